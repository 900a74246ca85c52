"""Peak memory, measured without loading PyTorch where no GPU is asked about."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def peak_memory_mib(device: torch.device | None = None) -> float | None:
    """Most memory used so far in MiB: of a CUDA device, else of this process; None if unknown."""
    if device is not None and device.type == "cuda":
        import torch

        return round(torch.cuda.max_memory_allocated(device) / 2**20, 1)
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)
