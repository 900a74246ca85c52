"""What a run will cost, from what runs have cost or from measured steps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from wsisbook.plan.disk import Room, room
from wsisbook.plan.step_times import GpuRate, StepTime, kind_of, match
from wsisbook.runs.declared import RunKey, Study
from wsisbook.runs.resolve import Run, resolve
from wsisbook.runs.store import RunStore
from wsislib.atomic import read_json

NO_TRAINING = "no training"
"""The source of a cost that is not known because the run only evaluates."""


@dataclass(frozen=True)
class Cost:
    """Seconds that a run is expected to take, and how that is known.

    Attributes:
        seconds: None where nothing is known.
        source: "this row" (a run of the row, other seed or older), "step time" (seconds a step
            of runs of the same kind times the row's steps), "measured steps" (see
            step_times.py; seconds of one core), `NO_TRAINING`, or "unknown".
    """

    seconds: float | None
    source: str


@dataclass(frozen=True)
class Work:
    """What a run takes on hardware that it has not run on yet, from measured steps.

    Attributes:
        steps: optimiser steps.
        images: in a step.
        core_seconds: of one processor core, None where no such step was measured on one.
        gpu_seconds: of one GPU, None where unknown.
        gpu_source: the GPU that was measured, or how its time was derived.
        measured: what the numbers rest on: the row whose steps were measured, or how they follow
            from those of several.
        differs: settings in which that row's steps are of another kind.
        room: on disk, None where unknown.
        memory_mib: peak memory of the measurement.
        memory_images: images in a step of the measurement.
    """

    steps: int
    images: int
    core_seconds: float | None
    gpu_seconds: float | None
    gpu_source: str
    measured: str
    differs: tuple[str, ...]
    room: Room
    memory_mib: float
    memory_images: int


def expected_work(run: Run, steps: Sequence[StepTime], rate: GpuRate | None) -> Work | None:
    """What `run` takes, its needs not counted.

    None where nothing like it was measured, or it trains nothing.
    """
    if not run.config.steps:
        return None
    kind = kind_of(run)
    on_core, on_gpu = match(kind, steps, "cpu"), match(kind, steps, "cuda")
    found = on_core or on_gpu
    if found is None:
        return None
    nearest = min(filter(None, (on_core, on_gpu)), key=lambda m: len(m.differs))
    config = run.config
    images = config.steps * config.batch_size
    core = None if on_core is None else images * on_core.step.seconds
    gpu, source = None, "unknown"
    if on_gpu is not None and not on_gpu.differs:
        gpu, source = images * on_gpu.step.seconds, on_gpu.step.machine
    elif core is not None and rate is not None:
        gpu, source = core * rate.ratio, rate.about
    return Work(
        steps=config.steps,
        images=config.batch_size,
        core_seconds=core,
        gpu_seconds=gpu,
        gpu_source=source,
        measured=found.derived or f"the steps of {found.step.row}",
        differs=found.differs,
        room=room(nearest.step.values, nearest.step.trained, config.optimiser, config.momentum),
        memory_mib=nearest.step.memory_mib,
        memory_images=nearest.step.images,
    )


def expected_cost(study: Study, store: RunStore, key: RunKey, work: Work | None = None) -> Cost:
    """What the run `key` will cost, its needs not counted; `work` counts where no run tells."""
    run = resolve(study, key)
    row_folder = store.folder(run.key).parent
    own = [r for r in _records(row_folder.glob("seed-*")) if r.steps == run.config.steps]
    if own:
        return Cost(median(record.seconds for record in own), "this row")
    kinds = _kinds(run.experiment_name, run.settings)
    others = [r for r in _records(store.root.glob("runs/*/*/seed-*")) if r.steps]
    for close, kind in enumerate(kinds):
        alike = [r.seconds / r.steps for r in others if r.kinds[close] == kind]
        if alike and run.config.steps:
            return Cost(median(alike) * run.config.steps, "step time")
    if work is not None and work.core_seconds is not None:
        return Cost(work.core_seconds, "measured steps")
    return Cost(None, "unknown" if run.config.steps else NO_TRAINING)


@dataclass(frozen=True)
class _Record:
    seconds: float
    steps: int
    kinds: tuple[tuple, tuple]


def _kinds(experiment: str, settings: dict[str, Any]) -> tuple[tuple, tuple]:
    """What makes two runs cost alike for each step: closely, and roughly."""
    names = ("builder", "batch_size", "image_size", "data")
    rough = (experiment, *(settings.get(name) for name in names))
    # A teacher is asked in every step of tags, so they cost half as much again.
    tags = "tags" in (settings.get("shares") or settings.get("labels") or "")
    return (*rough, settings.get("method"), tags), rough


def _records(folders: Iterable[Path]) -> list[_Record]:
    records = []
    for folder in folders:
        try:
            environment = read_json(folder / "environment.json")
            params = read_json(folder / "params.json")
        except (FileNotFoundError, ValueError):
            continue
        settings = params["settings"]
        kinds = _kinds(params["experiment"], settings)
        records.append(_Record(environment["seconds"], settings.get("steps", 0), kinds))
    return records
