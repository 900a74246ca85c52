"""What a step of a row costs: measured once, kept in benchmarks/results/paper_steps_*.json.

    python benchmarks/paper_steps.py                # what is not measured yet, on this machine
    python benchmarks/paper_steps.py --device cuda  # the same on a GPU

Two rows have steps of one *kind* where no setting that bears on a step's cost differs. Where
there is no measurement on a GPU, its time follows from that of a processor by one rule: the
authors published what their runs of one kind took on their GPUs, and other kinds are taken to
cost more or less on a GPU in the ratio in which they do here on a processor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from wsisbook.experiments.wish_settings import WishConfig, kinds_held
from wsisbook.runs.resolve import Run
from wsislib.atomic import read_json

FOLDER, PATTERN = Path("benchmarks") / "results", "paper_steps_*.json"
PAPER = "learning-to-segment-every-thing"
HEADS = "mask heads"  # the kind of all experiments with heads over a frozen detector
# The kind of step that the authors published hours of: one mask head over a frozen detector.
ANCHOR: Mapping[str, Any] = {
    "experiment": HEADS, "builder": "mask_rcnn_r50_fpn", "data": "coco", "heads": 1, "mlp_heads": 0,
}  # fmt: skip
# Settings that change what is learnt, or how long, but not what a step costs: those of training,
# data, labels and WISH but for a few, and these of detectors and heads. Any other setting counts.
_COSTLY = {"precision", "data", "categories", "image_size", "photo_side", "builder", "peak_contest"}
_COST_FREE = {field.name for field in fields(WishConfig)} - _COSTLY | {
    "masks", "mask_head", "warm_start", "inputs", "layers", "activation", "stop_gradient",
    "embedding_file", "embedding_width", "score_threshold", "detections", "gallery", "heads",
    "draw", "sizes", "trials", "moments", "keep_student",
}  # fmt: skip


@dataclass(frozen=True)
class StepTime:
    """One measurement of the steps of a row."""

    row: str  # "table/row"
    kind: Mapping[str, Any]  # see `kind_of`
    device: Literal["cpu", "cuda"]
    seconds: float  # of one image: processor time of one core, or time of one GPU
    images: int  # in a step
    values: int  # numbers in the model's state
    trained: int  # those of them that learn
    memory_mib: float  # the peak
    date: str
    machine: str


class Match(NamedTuple):
    """A measurement that speaks for a row."""

    step: StepTime
    differs: tuple[str, ...] = ()  # settings in which their kinds differ
    derived: str = ""  # how the measurement follows from several, if it does


def kind_of(run: Run) -> dict[str, Any]:
    """What the cost of a step of `run` depends on: settings that are not the default."""
    config, defaults = run.config, run.default_settings
    kind: dict[str, Any] = {"experiment": run.experiment_name}
    for name, value in run.settings.items():
        if name not in _COST_FREE and value != defaults.get(name):
            kind[name] = value
    specs = getattr(config, "specs", None)
    if specs is not None:
        heads = specs().values()
        with_mlp = sum(bool(getattr(head, "mlp_layers", 0)) for head in heads)
        kind |= {"experiment": HEADS, "heads": len(heads), "mlp_heads": with_mlp}
    if isinstance(config, WishConfig) and config.method != "wish":
        kind["experiment"] = "mask2former"  # learns from pseudo masks or true ones
    elif isinstance(config, WishConfig):
        kind["experiment"] = getattr(config, "variant", "wish")
        # Candidates of points and boxes are read from a cache, but for tags the teacher is asked
        # in every step. A mix with tags counts as tags, so its time is an upper bound.
        if "tags" in kinds_held(config):
            kind["live_teacher"] = config.teacher
    return kind


def read_step_times(root: Path) -> list[StepTime]:
    """Every measurement on record in the repository at `root`; a ValueError names a bad file."""
    found = []
    for file in sorted((root / FOLDER).glob(PATTERN)):
        content = read_json(file)
        try:
            found += [StepTime(**row) for row in content["rows"]]
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"{file.name}: is no record of step times ({error}); make it again with "
                "benchmarks/paper_steps.py"
            ) from None
    return found


def match(
    kind: Mapping[str, Any], steps: Sequence[StepTime], device: Literal["cpu", "cuda"]
) -> Match | None:
    """What measurements on `device` say of `kind`.

    That of the same kind; else, for heads side by side, what follows from those with other
    numbers of heads; else the one from which fewest settings differ. None where there is none of
    the same builder: another backbone's time says nothing.
    """
    own = [s for s in steps if s.device == device and s.kind.get("builder") == kind.get("builder")]
    matches = [Match(step, _differences(kind, step.kind)) for step in own]
    nearest = min(matches, key=lambda m: (len(m.differs), m.step.row), default=None)
    if nearest is not None and nearest.differs:
        return _by_heads(kind, own) or nearest
    return nearest


def _differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sorted(n for n in {*one, *other} if one.get(n) != other.get(n)))


def _by_heads(kind: Mapping[str, Any], steps: Sequence[StepTime]) -> Match | None:
    """A row with heads side by side, from rows with fewer: each head costs as much as the next.

    Solves for what a detector, a head and an MLP branch cost; None where the rows do not tell.
    """
    names = ("heads", "mlp_heads")
    alike = [step for step in steps if {*_differences(kind, step.kind)} <= {*names}]
    counts = np.array([[1, *(s.kind.get(n, 0) for n in names)] for s in alike], dtype=float)
    if not alike or np.linalg.matrix_rank(counts) < 3:
        return None
    known = np.array([[s.seconds, s.values, s.trained, s.memory_mib] for s in alike], dtype=float)
    shares = np.linalg.lstsq(counts, known, rcond=None)[0]
    total = np.array([1, *(kind.get(n, 0) for n in names)], dtype=float) @ shares
    seconds, values, trained, memory = total.tolist()
    rows = ", ".join(step.row for step in alike)
    step = replace(
        alike[-1], row=rows, kind=kind, seconds=seconds, values=round(values),
        trained=round(trained), memory_mib=memory,
    )  # fmt: skip
    return Match(step, derived=f"what a detector, a head and an MLP cost in {rows}")


class GpuRate(NamedTuple):
    """GPU seconds for each second of processor time, and one sentence on where that comes from."""

    ratio: float
    about: str


def gpu_rate(steps: Sequence[StepTime], papers: Path) -> GpuRate | None:
    """The authors' GPU seconds an image over ours on a processor, for the kind in `ANCHOR`.

    None where that kind was not measured or nothing is published in the folder `papers`.
    """
    found = match(ANCHOR, steps, "cpu")
    file = papers / PAPER / "published.csv"
    if found is None or found.differs or not file.exists():
        return None
    published = pd.read_csv(file, index_col="metric")
    one_run = published.query("table == 'figure-3' and row == 'one-run'")["value"]
    hours, gpus, taken, images = (
        float(one_run[name]) for name in ("hours", "gpus", "steps", "images-per-step")
    )
    theirs = hours * 3600 * gpus / (taken * images)
    about = (
        f"the authors' {hours:g} h on {gpus:g} GPUs for {taken:,.0f} steps of {images:g} images of "
        f"one mask head over a frozen detector, {theirs:.2f} GPU seconds an image; other steps in "
        "the ratio of their processor times here"
    )
    return GpuRate(theirs / found.step.seconds, about)
