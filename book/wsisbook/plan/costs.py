"""What a run will cost, from what runs have cost or from measured steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

from wsisbook.plan.step_times import GpuRate, StepTime, kind_of, match
from wsisbook.runs.resolve import Run
from wsisbook.runs.store import RunStore
from wsislib.atomic import read_json

MEASURED = "measured steps"
NO_TRAINING = "no training"
"""The source of a cost that is not known because the run only evaluates."""
_VALUE = 4  # bytes of a float32
_KEPT = 2  # checkpoints that training keeps, see engine/checkpoint.py


class Cost(NamedTuple):
    """Seconds that a run is expected to take, None where nothing is known, and their source."""

    seconds: float | None
    # "this row" (a run of the row with another seed, or an older one), "step time" (of runs of the
    # same kind, times steps), MEASURED (of one core, see step_times.py), NO_TRAINING or "unknown".
    source: str


@dataclass(frozen=True)
class Work:
    """What a run takes on hardware that it has not run on yet, from measured steps."""

    steps: int
    images_per_step: int
    core_seconds: float | None  # of one core; None where unknown
    gpu_seconds: float | None  # of one GPU
    gpu_source: str  # the GPU that was measured, or how its time was derived
    measured: str  # the row whose steps were measured, or how the numbers follow from several
    differs: tuple[str, ...]  # settings in which its kind differs
    weights_bytes: int  # bytes: see `room`
    checkpoint_bytes: int
    training_bytes: int
    memory_mib: float  # peak of the measurement, with so many images in a step:
    memory_images: int


def room(values: int, trained: int, optimiser: str, momentum: float) -> dict[str, int]:
    """Bytes that a run takes on disk: its weights, a checkpoint, and the most while it trains.

    The model's state has `values` numbers, buffers included, of which `trained` learn.
    """
    # AdamW keeps two numbers for each that learns, SGD with momentum one.
    moments = 2 if optimiser == "adamw" else int(momentum > 0)
    weights, checkpoint = _VALUE * values, _VALUE * (values + moments * trained)
    # Either a checkpoint is written beside those that are kept, or at the end the weights are
    # copied to their place.
    training = max((_KEPT + 1) * checkpoint, _KEPT * checkpoint + 2 * weights)
    return {"weights_bytes": weights, "checkpoint_bytes": checkpoint, "training_bytes": training}


def size(count: float) -> str:
    """Bytes for a reader: '12 kB', '180 MB', '1.6 GB' (powers of ten, as disks are sold)."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            value = count / unit
            return f"{value:.1f} {name}" if value < 10 else f"{value:.0f} {name}"
    return f"{count:.0f} B"


def expected_work(run: Run, steps: Sequence[StepTime], rate: GpuRate | None) -> Work | None:
    """What `run` takes, its needs not counted; None if nothing like it was measured or trained."""
    config, kind = run.config, kind_of(run)
    on_core, on_gpu = match(kind, steps, "cpu"), match(kind, steps, "cuda")
    found = on_core or on_gpu
    if not config.steps or found is None:
        return None
    nearest = min(filter(None, (on_core, on_gpu)), key=lambda m: len(m.differs)).step
    images = config.steps * config.batch_size
    core = None if on_core is None else images * on_core.step.seconds
    gpu, source = None, "unknown"
    if on_gpu is not None and not on_gpu.differs:
        gpu, source = images * on_gpu.step.seconds, on_gpu.step.machine
    elif core is not None and rate is not None:
        gpu, source = core * rate.ratio, rate.about
    return Work(
        steps=config.steps,
        images_per_step=config.batch_size,
        core_seconds=core,
        gpu_seconds=gpu,
        gpu_source=source,
        measured=found.derived or f"the steps of {found.step.row}",
        differs=found.differs,
        **room(nearest.values, nearest.trained, config.optimiser, config.momentum),
        memory_mib=nearest.memory_mib,
        memory_images=nearest.images,
    )


class PastRun(NamedTuple):
    """What a run has cost: its row "table/row", and its kinds from closest to roughest."""

    row: str
    seconds: float
    steps: int
    kinds: tuple[tuple, tuple]


def past_runs(store: RunStore) -> list[PastRun]:
    """The runs of `store` that have an account of their time."""
    found = []
    for folder in store.root.glob("runs/*/*/seed-*"):
        try:
            seconds = read_json(folder / "environment.json")["seconds"]
            params = read_json(folder / "params.json")
        except (FileNotFoundError, ValueError):
            continue
        settings = params["settings"]
        row = f"{folder.parts[-3]}/{folder.parts[-2]}"
        kinds = _kinds(params["experiment"], settings)
        found.append(PastRun(row, seconds, settings.get("steps", 0), kinds))
    return found


def expected_cost(run: Run, past: Sequence[PastRun], work: Work | None = None) -> Cost:
    """What `run` will cost, its needs not counted; `work` counts where no past run tells."""
    row, steps = f"{run.key.table}/{run.key.row}", run.config.steps
    own = [one.seconds for one in past if one.row == row and one.steps == steps]
    if own:
        return Cost(median(own), "this row")
    for close, kind in enumerate(_kinds(run.experiment_name, run.settings)):
        alike = [one.seconds / one.steps for one in past if one.steps and one.kinds[close] == kind]
        if alike and steps:
            return Cost(median(alike) * steps, "step time")
    if work is not None and work.core_seconds is not None:
        return Cost(work.core_seconds, MEASURED)
    return Cost(None, "unknown" if steps else NO_TRAINING)


def _kinds(experiment: str, settings: dict[str, Any]) -> tuple[tuple, tuple]:
    """What makes two runs cost alike for each step: closely, and roughly."""
    names = ("builder", "batch_size", "image_size", "data")
    rough = (experiment, *(settings.get(name) for name in names))
    # A teacher is asked in every step of tags, so they cost half as much again.
    tags = "tags" in (settings.get("shares") or settings.get("labels") or "")
    return (*rough, settings.get("method"), tags), rough
