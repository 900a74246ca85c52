"""Which device a run uses, and how it is named in the run's record."""

from __future__ import annotations

import contextlib
import os
import platform
from pathlib import Path

import torch

from wsislib.engine.config import Precision


def pick_device(name: str | torch.device = "auto") -> torch.device:
    """The device to compute on; a ValueError names those that there are.

    "auto" takes the environment variable WSIS_DEVICE where it is set, else CUDA, else Apple's MPS,
    else the CPU. Any other name ("cpu", "cuda", "cuda:1", "mps") is taken as it stands. Under
    torchrun "cuda" means the GPU of this process's local rank.
    """
    source, chosen = "device", str(name)
    if chosen == "auto":
        source, chosen = "WSIS_DEVICE", os.environ.get("WSIS_DEVICE", "").strip() or "auto"
    if chosen == "auto":
        chosen = available_devices()[0]
    try:
        device = torch.device(chosen)
    except RuntimeError:
        device = torch.device("meta")  # no such name: refused below with the others
    if device.type not in available_devices():
        raise ValueError(
            f"{source} {chosen!r} is not available here; there is: "
            f"{', '.join(available_devices())} (or auto)"
        )
    if chosen == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    if device.type == "cuda" and device.index >= torch.cuda.device_count():
        raise ValueError(
            f"{source} {chosen!r}: this machine has {torch.cuda.device_count()} GPU(s), "
            "counted from 0; start fewer processes or choose another GPU"
        )
    return device


def available_devices() -> list[str]:
    """Device types of this machine, fastest first; "cpu" is always the last."""
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    return [name for name, there in (("cuda", cuda), ("mps", mps)) if there] + ["cpu"]


def describe_device(device: torch.device) -> str:
    """One line for a run's record: kind, name, cores, threads, torch version."""
    torch_version = f"torch {torch.__version__}"
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        memory = properties.total_memory / 2**30
        return f"cuda: {properties.name}, {memory:.0f} GiB, {torch_version}"
    kind = "mps: Apple GPU of " if device.type == "mps" else "cpu: "
    return (
        f"{kind}{processor_name()}, {core_count()} cores, "
        f"{torch.get_num_threads()} threads, {torch_version}"
    )


def processor_name() -> str:
    """The processor's name as the system gives it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or "unknown processor"


def core_count() -> int:
    """Logical cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """The context in which a model's forward pass runs.

    bfloat16 has float32's range, so no loss scaling is needed. A GPU that would only emulate it,
    and MPS before macOS 14, stay in float32.
    """
    half = precision == "bf16"
    if half and device.type == "cuda":
        half = torch.cuda.is_bf16_supported(including_emulation=False)
    elif half and device.type == "mps":
        half = torch.backends.mps.is_macos_or_newer(14, 0)
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=half)
