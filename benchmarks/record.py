"""Write a benchmark's numbers with the machine that they were measured on.

Numbers of two machines are not to be compared; ratios within one file are.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
from pathlib import Path
from typing import Any

import torch

from wsislib.atomic import write_json
from wsislib.engine.device import core_count, processor_name

RESULTS = Path(__file__).resolve().parent / "results"
LIBRARIES = ("torch", "torchvision", "numpy", "pycocotools", "faster-coco-eval", "wsis-book")


def record(name: str, rows: list[dict[str, Any]]) -> Path:
    """Write benchmarks/results/<name>.json: `rows` as they are, date and machine."""
    path = RESULTS / f"{name}.json"
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    write_json(path, {"benchmark": name, "date": today, "machine": machine(), "rows": rows})
    return path


def machine() -> dict[str, Any]:
    """Processor, cores, threads, GPU, system and versions."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "processor": processor_name(),
        "cores": core_count(),
        "torch_threads": torch.get_num_threads(),
        "gpu": gpu,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in LIBRARIES},
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
