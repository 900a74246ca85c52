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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from wsisbook.experiments.wish_settings import WeakLabelConfig, kinds_held
from wsisbook.runs.resolve import Run
from wsislib.atomic import read_json

FOLDER, PATTERN = Path("benchmarks") / "results", "paper_steps_*.json"
PAPER = "learning-to-segment-every-thing"
HEADS = "mask heads"  # the kind of all experiments with heads over a frozen detector
# The kind of step that the authors published hours of: one mask head over a frozen detector.
ANCHOR: Mapping[str, Any] = {
    "experiment": HEADS,
    "builder": "mask_rcnn_r50_fpn",
    "data": "coco",
    "heads": 1,
    "mlp_heads": 0,
}
# Settings that change what is learnt, or how long, but not what a step costs.
_NO_COST = frozenset((
    "steps", "batch_size", "optimiser", "learning_rate", "momentum", "weight_decay",
    "decay_norms", "bias_lr_factor", "lr_factors", "warmup_steps", "warmup_factor", "decay_steps",
    "decay_factor", "schedule", "clip_norm", "flip", "loss_weights", "checkpoint_every",
    "log_every", "workers", "world_seed", "train_seed", "train_count", "val_seed", "val_count",
    "train_annotations", "train_images", "val_annotations", "val_images", "genome",
    "genome_test_count", "voc", "train_list", "val_list", "split", "a_count", "split_seed",
    "masks", "mask_head", "pretrained", "warm_start", "inputs", "layers", "activation",
    "stop_gradient", "embedding_file", "embedding_width", "label_seed", "redraw", "budget",
    "mask_price", "tag_pretraining", "prompt_weight", "prompt_temperature", "gate", "apart",
    "candidate", "mask_cost", "peak_least", "peak_overlap", "cam_warmup", "self_start",
    "score_threshold", "detections", "gallery", "heads", "draw", "sizes", "trials", "labels",
    "shares", "method", "teacher", "jitter", "prompt_distance", "prompt_tokens", "moments",
    "keep_student", "b_labels", "prompt_sees",
))  # fmt: skip


@dataclass(frozen=True)
class StepTime:
    """One measurement.

    Attributes:
        row: the row that was measured, "table/row".
        kind: what its steps depend on, see `kind_of`.
        device: "cpu" or "cuda".
        seconds: of one image in a step: processor time of one core, or time of one GPU.
        images: in a measured step.
        values: numbers in the model's state.
        trained: those of them that learn.
        memory_mib: peak.
        date: of the measurement.
        machine: what it was measured on.
    """

    row: str
    kind: Mapping[str, Any]
    device: Literal["cpu", "cuda"]
    seconds: float
    images: int
    values: int
    trained: int
    memory_mib: float
    date: str
    machine: str


@dataclass(frozen=True)
class Match:
    """A measurement that speaks for a row.

    Attributes:
        step: the measurement.
        differs: settings in which the row's kind differs from it; empty where it is the same.
        derived: how it follows from several measurements; empty where it is one.
    """

    step: StepTime
    differs: tuple[str, ...] = ()
    derived: str = ""


def kind_of(run: Run) -> dict[str, Any]:
    """What the cost of a step of `run` depends on: settings that are not the default."""
    defaults = run.default_settings
    kind: dict[str, Any] = {"experiment": run.experiment_name}
    for name, value in run.settings.items():
        if name not in _NO_COST and value != defaults.get(name):
            kind[name] = value
    specs = getattr(run.config, "specs", None)
    if specs is not None:
        heads = specs().values()
        kind["experiment"] = HEADS
        kind["heads"] = len(heads)
        kind["mlp_heads"] = sum(bool(getattr(head, "mlp_layers", 0)) for head in heads)
    if isinstance(run.config, WeakLabelConfig):
        kind.update(_of_weak_labels(run.config))
    return kind


def _of_weak_labels(config: Any) -> dict[str, Any]:
    """What a step costs under weak labels.

    Candidates of points and boxes are read from a cache, but for tags the teacher is asked in
    every step. A mix with tags counts as tags, so its time is an upper bound.
    """
    if config.method != "wish":
        return {"experiment": "mask2former"}  # pseudo masks or true ones
    live = {"live_teacher": config.teacher} if "tags" in kinds_held(config) else {}
    return {"experiment": getattr(config, "variant", "wish"), **live}


def read_step_times(root: Path) -> list[StepTime]:
    """Every measurement that is on record in the repository at `root`.

    Raises:
        ValueError: a file is corrupt or holds something else; names it.
    """
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

    Needs rows that tell what a detector, a head and an MLP branch cost.
    """
    names = ("heads", "mlp_heads")
    alike = [s for s in steps if set(_differences(kind, s.kind)) <= set(names)]
    counts = np.array([[1, *(s.kind.get(n, 0) for n in names)] for s in alike], dtype=float)
    if len(alike) < 3 or np.linalg.matrix_rank(counts) < 3:
        return None
    known = [[s.seconds, s.values, s.trained, s.memory_mib] for s in alike]
    shares = np.linalg.lstsq(counts, np.array(known, dtype=float), rcond=None)[0]
    wanted = np.array([1, *(kind.get(n, 0) for n in names)], dtype=float)
    seconds, values, trained, memory = (wanted @ shares).tolist()
    derived = "what a detector, a head and an MLP cost in " + ", ".join(s.row for s in alike)
    step = replace(
        alike[-1], row=", ".join(s.row for s in alike), kind=kind, seconds=seconds,
        values=round(values), trained=round(trained), memory_mib=memory,
    )  # fmt: skip
    return Match(step, derived=derived)


@dataclass(frozen=True)
class GpuRate:
    """GPU seconds for each second of processor time, and where that comes from.

    Attributes:
        ratio: GPU seconds a processor second.
        about: one sentence for the reader.
    """

    ratio: float
    about: str


def gpu_rate(steps: Sequence[StepTime], papers: Path) -> GpuRate | None:
    """The authors' GPU seconds an image over ours on a processor, for the kind in `ANCHOR`.

    None where that kind was not measured or nothing is published.

    Args:
        steps: measurements.
        papers: the folder `papers/`.
    """
    found = match(ANCHOR, steps, "cpu")
    if found is None or found.differs or not (papers / PAPER).is_dir():
        return None
    from wsisbook.tables.published import published_value

    hours, gpus, taken, images = (
        published_value(PAPER, "figure-3", "one-run", name, papers).value
        for name in ("hours", "gpus", "steps", "images-per-step")
    )
    theirs = hours * 3600 * gpus / (taken * images)
    about = (
        f"the authors' {hours:g} h on {gpus:g} GPUs for {taken:,.0f} steps of {images:g} images of "
        f"one mask head over a frozen detector, {theirs:.2f} GPU seconds an image; other steps in "
        "the ratio of their processor times here"
    )
    return GpuRate(theirs / found.step.seconds, about)
