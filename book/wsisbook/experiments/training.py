"""What the experiments share: train, judge and record; begin with a trained detector.

fitted = train(context, model, labelled)
results = predict(context, model, val)
return record(context, fitted, labelled, val, average_precisions(...), notes)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn
from tqdm import tqdm

from wsisbook.runs.config import RunConfig
from wsisbook.runs.experiments import Context, Outcome
from wsislib.atomic import read_json
from wsislib.data.sample import Dataset, Sample
from wsislib.engine.config import TrainConfig
from wsislib.engine.device import describe_device, pick_device
from wsislib.engine.evaluate import ApResult, coco_ap
from wsislib.engine.predict import Result, predict_all
from wsislib.engine.train import FitResult, fit
from wsislib.engine.weights import load_weights
from wsislib.labels.splits import Split
from wsislib.models.maskrcnn.detector import Detector

EXAMPLE_SCENES, EXAMPLES_A_SCENE = 12, 20
# Settings that decide which categories there are and in which order.
_CATEGORIES = ("data", "categories", "world_seed")


def train(
    context: Context,
    model: nn.Module,
    labelled: Dataset,
    loss_weights: dict[str, float] | None = None,
    **options: Any,
) -> FitResult:
    """`fit` with the settings of the context; `options` are its `augment` and `after_step`."""
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


def predict(context: Context, model: nn.Module, val: Dataset) -> list[Result]:
    """COCO results of `model` on `val`."""
    return predict_all(model, val, device=pick_device(context.device), progress=context.progress)


def batches(
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
    **others: Any,
) -> Outcome:
    """The outcome of a training; `others` are further fields of `Outcome`."""
    checkpoints = context.folder / "checkpoints"
    outcome = Outcome(
        metrics=metrics,
        data={"train": labelled.fingerprint(), "val": val.fingerprint()},
        device=describe_device(pick_device(context.device)),
        files={"history.csv": context.folder / "history.csv"},
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
        judged = ap_by_side(ground_truth, results, sides, kind)
        metrics[kind] = {side: coco_stats(ap) for side, ap in judged.items()}
        metrics["per_category"][kind] = dict(judged["all"].per_category)
    return metrics


def ap_by_side(
    ground_truth: dict,
    results: list[Result],
    sides: Mapping[str, Sequence[int]],
    kind: Literal["segm", "bbox"],
) -> dict[str, ApResult]:
    """AP on "all" categories and on each side that has any."""
    members = {"all": None, **{side: list(chosen) for side, chosen in sides.items() if chosen}}
    return {
        side: coco_ap(ground_truth, results, categories=chosen, iou_type=kind)
        for side, chosen in members.items()
    }


def sides_of(split: Split) -> dict[str, Sequence[int]]:
    """The sides of a split as `average_precisions` takes them."""
    return {"A": split.a, "B": split.b}


def coco_stats(result: ApResult) -> dict[str, float]:
    """The twelve numbers of COCO by name."""
    names = (
        "AP", "AP50", "AP75", "APS", "APM", "APL", "AR1", "AR10", "AR100", "ARS", "ARM", "ARL",
    )  # fmt: skip
    return {name: float(getattr(result, name)) for name in names}


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
    other = {"A": "B", "B": "A"}
    return {
        kind: {other.get(side, side): numbers for side, numbers in metrics[kind].items()}
        for kind in ("segm", "bbox")
    }


def load_detector(model: Detector, context: Context, freeze: bool = True) -> None:
    """Load the detector of the run that this one needs, and freeze it unless told otherwise.

    Raises:
        ValueError: the row declares no `detector` among its needs, or it knows other categories.
    """
    if "detector" not in context.needs:
        raise ValueError(
            "this run begins with a trained detector; declare the run that trains it as "
            "`detector` under `needs`"
        )
    folder = context.needs["detector"]
    _check_categories(folder, context)
    load_weights(final_weights(folder), model, skip=("mask.", "heads."))
    if freeze:
        model.freeze_detector()


def final_weights(folder: Path) -> Path:
    """The trained weights of the run in `folder`."""
    return folder / "checkpoints" / "final.safetensors"


def _check_categories(folder: Path, context: Context) -> None:
    """Weights of the right shape may still belong to other categories."""
    try:
        trained_with = read_json(folder / "params.json")["settings"]
    except FileNotFoundError:
        return
    for name in _CATEGORIES:
        here = getattr(context.config, name, None)
        if trained_with.get(name, here) != here:
            raise ValueError(
                f"the detector was trained with {name} = {trained_with[name]!r}, but this run has "
                f"{here!r}: it knows other categories. Train a detector for these, or name "
                "another row under `needs`."
            )
