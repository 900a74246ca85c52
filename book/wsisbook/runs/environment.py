"""Where a number comes from: code, libraries, machine. Never a host name or a path."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

LIBRARIES = (
    "torch", "torchvision", "numpy", "pycocotools", "faster-coco-eval", "safetensors", "scipy",
    "opencv-python-headless",
)  # fmt: skip


def code_version(root: Path, study_files: Iterable[Path]) -> dict[str, Any]:
    """The git commit and whether code or `study_files` differ from it; None outside of git."""
    commit = _output("git", "-C", str(root), "rev-parse", "HEAD")
    paths = ("wsislib", "book/wsisbook", *map(str, study_files))
    changed = _output("git", "-C", str(root), "status", "--porcelain", "--", *paths)
    return {"commit": commit or None, "dirty": None if changed is None else bool(changed)}


@functools.cache
def library_versions() -> dict[str, str]:
    """Name -> version of Python and of the libraries that numbers may depend on."""
    versions = {"python": platform.python_version()}
    for name in LIBRARIES:
        versions[name] = "not installed"
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


@functools.cache
def machine() -> dict[str, Any]:
    """Processor model, cores, memory in GiB and system."""
    memory = None
    with contextlib.suppress(AttributeError, ValueError, OSError):
        memory = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    return {
        "cpu": _cpu_model(),
        "cores": cores(),
        "memory_gib": memory,
        "system": f"{platform.system()} {platform.machine()}",
    }


def machine_text() -> str:
    """The machine in one line."""
    facts = machine()
    return f"{facts['cpu']}, {facts['cores']} cores, {facts['system']}"


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu_model() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.lower().startswith("model name"):
                return line.partition(":")[2].strip()
    model = _output("sysctl", "-n", "machdep.cpu.brand_string") if sys.platform == "darwin" else ""
    return model or platform.processor() or platform.machine() or "unknown"


def _output(*command: str) -> str | None:
    """What a command prints; None where it is not there or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
