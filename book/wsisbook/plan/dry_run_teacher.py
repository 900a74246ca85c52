"""A stand-in for a published SAM: its size, random weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from wsisbook.runs.digest import file_digest
from wsislib.models.sam.sam_weights import CHECKPOINTS


def write_teacher(config: Any, data: Path, seed: int = 0) -> None:
    """Write random weights under the name that the settings of a run give its teacher.

    Args:
        config: of the run; one without a teacher, or with the package's own, needs nothing.
        data: the data folder.
        seed: of the weights.
    """
    name = _published(config)
    if name is None or (data / config.teacher).exists():
        return
    from segment_anything import sam_model_registry

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        sam = sam_model_registry[CHECKPOINTS[name].model]()
    file = data / config.teacher
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(sam.state_dict(), file)


@contextmanager
def stand_in_teacher(config: Any, data: Path) -> Iterator[None]:
    """Within, the stand-in of `write_teacher` passes for the published file of its name."""
    name = _published(config)
    if name is None:
        yield
        return
    known = CHECKPOINTS[name]
    file = data / config.teacher
    CHECKPOINTS[name] = replace(known, size=file.stat().st_size, sha256=file_digest(file))
    try:
        yield
    finally:
        CHECKPOINTS[name] = known


def _published(config: Any) -> str | None:
    """Which published checkpoint the settings name by their teacher's file; None for none."""
    teacher = str(getattr(config, "teacher", "tiny"))
    if getattr(config, "method", "") == "mask2former":
        return None
    return next((name for name in CHECKPOINTS if Path(teacher).name.startswith(name)), None)
