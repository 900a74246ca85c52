"""Write a benchmark's numbers with the machine that they were measured on.

Numbers of two machines are not to be compared; ratios within one file are.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

from wsislib.atomic import write_json
from wsislib.engine.device import core_count, processor_name

RESULTS = Path(__file__).resolve().parent / "results"
LIBRARIES = ("torch", "torchvision", "numpy", "pycocotools", "faster-coco-eval", "wsis-book")
ASK_DRIVER = ("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")


def record(name: str, rows: list[dict[str, Any]], folder: Path = RESULTS) -> Path:
    """Write benchmarks/results/<name>.json: `rows` as they are, date and machine."""
    path = folder / f"{name}.json"
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    write_json(path, {"benchmark": name, "date": today, "machine": machine(), "rows": rows})
    return path


def machine() -> dict[str, Any]:
    """Processor, cores, threads, GPU, system and versions."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    cuda = {"driver": _driver(), "cuda": torch.version.cuda} if gpu else {}
    return {
        "processor": processor_name(),
        "cores": core_count(),
        "torch_threads": torch.get_num_threads(),
        "gpu": gpu,
        **cuda,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in LIBRARIES},
    }


def _driver() -> str | None:
    """The version of NVIDIA's driver."""
    try:
        said = subprocess.run(ASK_DRIVER, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.split("\n", 1)[0].strip() or None


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
