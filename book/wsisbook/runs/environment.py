"""Where a number comes from: code, libraries, machine. Never a host name or a path."""

from __future__ import annotations

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
_CODE = ("wsislib", "book/wsisbook")


def code_version(root: Path, study_files: Iterable[Path]) -> dict[str, Any]:
    """The git commit, and whether the code or the study's files differ from it.

    Both are None outside a git repository.

    Args:
        root: the repository.
        study_files: every file that the study was read from (`Study.files`).
    """
    commit = _git(root, "rev-parse", "HEAD")
    changed = _git(root, "status", "--porcelain", "--", *_CODE, *map(str, study_files))
    return {"commit": commit or None, "dirty": None if changed is None else bool(changed)}


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


@functools.cache
def library_versions() -> dict[str, str]:
    """Name -> version of Python and of the libraries that numbers may depend on."""
    versions = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


@functools.cache
def machine() -> dict[str, Any]:
    """Processor model, cores, memory in GiB and system."""
    return {
        "cpu": _cpu_model(),
        "cores": cores(),
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def machine_text() -> str:
    """The machine in one line."""
    facts = machine()
    return f"{facts['cpu']}, {facts['cores']} cores, {facts['system']}"


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.lower().startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    if sys.platform == "darwin":
        try:
            query = ["sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(query, capture_output=True, text=True).stdout.strip()
        except OSError:
            pass
    return platform.processor() or platform.machine() or "unknown"


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None
