"""What the experiments share: train, judge and record; begin with a trained detector.

A run ends with
    fitted = train_model(context, model, labelled)
    results = predict_set(context, model, val)
    return record(context, fitted, labelled, val, average_precisions(...), notes)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn
from tqdm import tqdm

from wsisbook.experiments.settings import PartialDataConfig
from wsisbook.runs.config import RunConfig
from wsisbook.runs.experiments import Context, Outcome
from wsislib.atomic import read_json
from wsislib.data.sample import Dataset, Sample
from wsislib.engine.config import TrainConfig
from wsislib.engine.device import describe_device, pick_device
from wsislib.engine.evaluate import coco_ap
from wsislib.engine.predict import Result, predict_all
from wsislib.engine.train import FitResult, fit
from wsislib.engine.weights import load_weights
from wsislib.labels.splits import Split
from wsislib.models.maskrcnn.detector import Detector

EXAMPLE_SCENES, EXAMPLES_A_SCENE = 12, 20


def train_model(
    context: Context,
    model: nn.Module,
    labelled: Dataset,
    loss_weights: dict[str, float] | None = None,
    **options: Any,
) -> FitResult:
    """`fit` with the settings of the context; `options` are its `augment` and `after_step`.

    Raises:
        ValueError: the settings ask for no step.
    """
    if context.config.steps == 0:
        raise ValueError(
            "steps is 0, its default, so nothing would be trained: set 'steps' for this scale "
            "under `scales` of the table in book/study.yml or a file it includes"
        )
    settings = train_config(context.config, context.seed)
    if loss_weights is not None:
        settings = replace(settings, loss_weights=loss_weights)
    device = pick_device(context.device)
    return fit(
        model, labelled, settings, context.folder,
        device=device, progress=context.progress, **options,
    )  # fmt: skip


def train_config(config: RunConfig, seed: int) -> TrainConfig:
    """The engine's share of the settings; the run's seed is the training's."""
    shared = {field.name: getattr(config, field.name) for field in fields(RunConfig)}
    return TrainConfig.from_dict({**shared, "seed": seed})


def predict_set(context: Context, model: nn.Module, val: Dataset) -> list[Result]:
    """COCO results of `model` on `val`."""
    return predict_all(model, val, device=pick_device(context.device), progress=context.progress)


def sample_batches(
    dataset: Dataset, name: str, progress: bool = True, size: int = 8
) -> Iterator[list[Sample]]:
    """The images of `dataset`, `size` at a time, under a progress bar called `name`."""
    with tqdm(total=len(dataset), disable=not progress, unit="image", desc=name) as bar:
        for start in range(0, len(dataset), size):
            samples = [dataset[i] for i in range(start, min(start + size, len(dataset)))]
            yield samples
            bar.update(len(samples))


def record(
    context: Context,
    fitted: FitResult,
    labelled: Dataset,
    val: Dataset,
    metrics: Mapping[str, Any],
    notes: Mapping[str, Any],
    files: Mapping[str, Path] | None = None,
    **others: Any,
) -> Outcome:
    """The outcome of a training: `files` beside its history, `others` further fields of it."""
    checkpoints = context.folder / "checkpoints"
    outcome = Outcome(
        metrics=metrics,
        data={"train": labelled.fingerprint(), "val": val.fingerprint()},
        device=describe_device(pick_device(context.device)),
        files={"history.csv": context.folder / "history.csv", **(files or {})},
        weights={name: checkpoints / name for name in ("final.safetensors", "final.json")},
        peak_memory_mib=fitted.peak_memory_mib,
        notes={"training_seconds": round(fitted.seconds, 1), **notes},
    )
    return replace(outcome, **others)


def examples_of(results: Sequence[Result], image_ids: Sequence[int]) -> list[Result]:
    """The best results of the first validation images, for pictures without the weights."""
    examples: list[Result] = []
    for image_id in image_ids[:EXAMPLE_SCENES]:
        of_image = [result for result in results if result["image_id"] == image_id]
        examples += sorted(of_image, key=lambda r: r["score"], reverse=True)[:EXAMPLES_A_SCENE]
    return examples


def average_precisions(
    ground_truth: dict, results: list[Result], sides: Mapping[str, Sequence[int]]
) -> dict[str, Any]:
    """All twelve numbers for masks and boxes, on each side and on all, and AP per category.

    Returns:
        `{"segm": {"A": {"AP": ..}, "B": .., "all": ..}, "bbox": .., "per_category": ..}`.
    """
    metrics: dict[str, Any] = {"per_category": {}}
    for kind in ("segm", "bbox"):
        stats, per_category = coco_stats(ground_truth, results, sides, kind)
        metrics[kind], metrics["per_category"][kind] = stats, per_category
    return metrics


def coco_stats(
    ground_truth: dict,
    results: list[Result],
    sides: Mapping[str, Sequence[int]],
    kind: Literal["segm", "bbox"],
) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """COCO's twelve numbers on "all" and on each side that has categories; AP per category."""
    members = {"all": None, **{side: list(chosen) for side, chosen in sides.items() if chosen}}
    judged = {
        side: coco_ap(ground_truth, results, categories=chosen, iou_type=kind)
        for side, chosen in members.items()
    }
    stats = {side: {n: float(v) for n, v in ap.numbers().items()} for side, ap in judged.items()}
    return stats, dict(judged["all"].per_category)


def sides_of(split: Split) -> dict[str, Sequence[int]]:
    """The sides of a split as `average_precisions` takes them."""
    return {"A": split.a, "B": split.b}


def frequent_side(config: PartialDataConfig, dataset: Dataset) -> dict[str, Sequence[int]]:
    """The side "frequent" of `average_precisions`, where the settings name its categories.

    Raises:
        ValueError: the data set has no category of that name.
    """
    names = [category.name for category in dataset.categories]
    for name in config.frequent:
        if name not in names:
            raise ValueError(f"frequent: the data have no category {name!r}; {', '.join(names)}")
    chosen = [names.index(name) for name in config.frequent]
    return {"frequent": chosen} if chosen else {}


def mask_iou(first: Tensor, second: Tensor) -> Tensor:
    """(...) float32 intersection over union of (..., H, W) bool masks; 0 where both are empty."""
    both = (first & second).flatten(-2).sum(dim=-1)
    either = (first | second).flatten(-2).sum(dim=-1)
    return both / either.clamp(min=1)


def swap_splits(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """`average_precisions` with A and B exchanged.

    A model that knew nothing of the split has these numbers in the other direction, so it is not
    trained twice.
    """
    other = {"A": "B", "B": "A", "A_frequent": "B_frequent", "B_frequent": "A_frequent"}
    return {
        kind: {other.get(side, side): numbers for side, numbers in metrics[kind].items()}
        for kind in ("segm", "bbox")
    }


def load_detector(model: Detector, context: Context, freeze: bool = True) -> None:
    """Load the detector of the run that this one needs, and freeze it unless told otherwise."""
    # Weights of the right shape may still belong to other categories, or to another order.
    names = ("data", "categories", "world_seed", "coco_categories", "photo_side")
    folder = needed_run(context, "detector", names)
    load_weights(final_weights(folder), model, skip=("mask.", "heads."))
    if freeze:
        model.freeze_detector()


def needed_run(context: Context, label: str, names: Sequence[str] = ()) -> Path:
    """The folder of the run that the row needs as `label`."""
    if label not in context.needs:
        raise ValueError(
            f"no run {label!r} is there; declare the run that trains it as `{label}` under `needs`"
        )
    folder, config = context.needs[label], context.config
    params = folder / "params.json"
    if not params.is_file():
        return folder
    # A setting that is younger than the record had its default then.
    defaults = {field.name: field.default for field in fields(config)}
    trained_with = {**defaults, **read_json(params)["settings"]}
    for name in names:
        here, there = getattr(config, name), trained_with[name]
        if there != here:
            raise ValueError(
                f"the {label} of {folder} was trained with {name} = {there!r}, but this run has "
                f"{here!r}; give both rows the same, or name another row under `needs`"
            )
    return folder


def final_weights(folder: Path) -> Path:
    """The trained weights of the run in `folder`."""
    return folder / "checkpoints" / "final.safetensors"
