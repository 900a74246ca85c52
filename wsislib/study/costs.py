"""What a run will cost, from what runs have cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from wsislib.atomic import read_json
from wsislib.study.declared import RunKey, Study
from wsislib.study.resolve import resolve
from wsislib.study.store import RunStore


@dataclass(frozen=True)
class Cost:
    """Seconds that a run is expected to take, and how that is known.

    Attributes:
        seconds: None where nothing is known.
        source: "this row" (a run of the row, other seed or older), "step time" (seconds a step
            of runs of the same kind times the row's steps), or "unknown".
    """

    seconds: float | None
    source: str


def expected_cost(study: Study, store: RunStore, key: RunKey) -> Cost:
    """What the run `key` will cost, its needs not counted."""
    run = resolve(study, key)
    row_folder = store.folder(run.key).parent
    own = [r for r in _records(row_folder.glob("seed-*")) if r.steps == run.config.steps]
    if own:
        return Cost(median(record.seconds for record in own), "this row")
    alike = [
        record.seconds / record.steps
        for record in _records(store.root.glob("runs/*/*/seed-*"))
        if record.steps and record.kind == _kind(run.experiment_name, run.settings)
    ]
    if alike and run.config.steps:
        return Cost(median(alike) * run.config.steps, "step time")
    return Cost(None, "unknown")


@dataclass(frozen=True)
class _Record:
    seconds: float
    steps: int
    kind: tuple


def _kind(experiment: str, settings: dict[str, Any]) -> tuple:
    """What makes two runs cost alike for each step."""
    names = ("builder", "batch_size", "image_size", "data")
    return (experiment, *(settings.get(name) for name in names))


def _records(folders: Iterable[Path]) -> list[_Record]:
    records = []
    for folder in folders:
        try:
            environment = read_json(folder / "environment.json")
            params = read_json(folder / "params.json")
        except (FileNotFoundError, ValueError):
            continue
        settings = params["settings"]
        kind = _kind(params["experiment"], settings)
        records.append(_Record(environment["seconds"], settings.get("steps", 0), kind))
    return records


def duration(seconds: float | None) -> str:
    """Seconds for a reader: '45 s', '12 min', '3.5 h', 'unknown'."""
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
