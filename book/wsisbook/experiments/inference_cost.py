"""What inference costs: time and memory an image, beside a peer that is timed in between."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsislib.engine.memory import peak_memory_mib

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Predict = Callable[[Sequence["Tensor"]], Any]


@dataclass(frozen=True)
class InferenceCost:
    """Costs of one image at a time.

    Attributes:
        milliseconds: median over images.
        ratio: median over images of its time by the peer's on the same image.
        memory_mib: most that the process (on a GPU: the GPU) held meanwhile; None where unknown.
    """

    milliseconds: float
    ratio: float
    memory_mib: float | None


def inference_cost(
    predict: Predict, peer: Predict, images: Sequence[Tensor], device: torch.device
) -> InferenceCost:
    """Time `predict` and `peer` on each image in turn, after one image of warm-up."""
    pairs = []
    for image in [images[0], *images]:
        one = image.to(device)
        pairs.append((_seconds(predict, one, device), _seconds(peer, one, device)))
    own, other = zip(*pairs[1:], strict=True)
    forget_peak(device)
    predict([images[0].to(device)])
    return InferenceCost(
        1000 * statistics.median(own),
        statistics.median(a / b for a, b in zip(own, other, strict=True)),
        peak_memory_mib(device),
    )


def forget_peak(device: torch.device) -> None:
    """Have the peak memory counted from here, where the system can."""
    import torch

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _seconds(predict: Predict, image: Tensor, device: torch.device) -> float:
    import torch

    start = time.perf_counter()
    predict([image])
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start
