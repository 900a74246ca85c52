"""Experiment `mask_rcnn`: a Mask R-CNN trained with masks of some categories, boxes of all.

Hu et al., Learning to Segment Every Thing, section 4: categories in A have masks, those in B
boxes only; AP is averaged over the categories of A, of B, and of both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from wsisbook.experiments.frozen_detector import load_detector
from wsisbook.experiments.partial_data import (
    PartialDataConfig,
    chosen_split,
    data_files,
    data_sets,
)
from wsisbook.runs.config import RunConfig
from wsisbook.runs.experiments import Context, Experiment, Outcome
from wsisbook.runs.paths import cache_folder

if TYPE_CHECKING:
    from wsislib.data.sample import Dataset
    from wsislib.engine.config import TrainConfig
    from wsislib.labels.splits import Split
    from wsislib.models.maskrcnn.mask_rcnn import MaskRCNN

EXAMPLE_SCENES, EXAMPLES_A_SCENE = 12, 20


@dataclass(frozen=True)
class MaskRcnnConfig(PartialDataConfig):
    """Settings of a Mask R-CNN run, beside those of its data.

    Attributes:
        stage: "end-to-end" trains everything at once. "detector" trains all but the mask
            branch, from boxes alone. "mask-head" takes the weights of the run that it `needs` as
            `detector`, freezes them and trains the mask branch (the paper's stage-wise training).
        masks: whose masks are trained on: of "A" or of "all" categories, or nobody's ("none",
            for the detector). "grabcut": no true mask, but GrabCut's of all boxes, which are
            made once and kept in build/grabcut (by `workers` processes).
        warm_start: end to end, begin with the weights of the run that it `needs` as `detector`.
            The lab has no ImageNet to start from; a shared detector plays that part.
        builder: which builder of wsislib.models; `pretrained` is for the large ones.
        mask_head: one mask for all categories or one each.
    """

    stage: Literal["end-to-end", "detector", "mask-head"] = "end-to-end"
    masks: Literal["A", "all", "none", "grabcut"] = "A"
    builder: Literal["mask_rcnn_lab", "mask_rcnn_r50_fpn", "mask_rcnn_r101_fpn"] = "mask_rcnn_lab"
    mask_head: Literal["class-agnostic", "class-specific"] = "class-agnostic"
    pretrained: bool = True
    warm_start: bool = False

    def __post_init__(self) -> None:
        if self.warm_start and self.stage != "end-to-end":
            raise ValueError(
                f"warm_start is for stage 'end-to-end'; the stage is {self.stage!r}: leave it out"
            )


def run_mask_rcnn(context: Context) -> Outcome:
    """Train and judge one Mask R-CNN; AP of masks and boxes on A, on B and on all."""
    config: MaskRcnnConfig = context.config
    train, val = data_sets(config)
    split = chosen_split(config, len(train.categories))
    model = build_model(config, len(train.categories), context.seed)
    context.on_model(model)
    if config.stage == "mask-head" or config.warm_start:
        load_detector(model, context, freeze=config.stage == "mask-head")
    labelled = labelled_data(config, train, split, context.progress)
    outcome = train_and_judge(context, model, labelled, val, split)
    if config.masks == "A":
        return outcome
    return replace(outcome, metrics={**outcome.metrics, "reversed": swap_splits(outcome.metrics)})


def train_and_judge(
    context: Context, model: MaskRCNN, labelled: Dataset, val: Dataset, split: Split
) -> Outcome:
    """Train `model` on `labelled` and judge it on `val`, as the context's settings say."""
    from wsislib.engine.device import describe_device, pick_device
    from wsislib.engine.evaluate import predict_all
    from wsislib.engine.train import fit

    device = pick_device(context.device)
    fitted = fit(
        model, labelled, train_config(context.config, context.seed), context.folder,
        device=device, progress=context.progress,
    )  # fmt: skip
    results = predict_all(model, val, device=device, progress=context.progress)
    checkpoints = context.folder / "checkpoints"
    return Outcome(
        metrics=average_precisions(val.ground_truth(), results, {"A": split.a, "B": split.b}),
        data={"train": labelled.fingerprint(), "val": val.fingerprint()},
        device=describe_device(device),
        examples=examples_of(results, val.image_ids),
        files={"history.csv": context.folder / "history.csv"},
        weights={name: checkpoints / name for name in ("final.safetensors", "final.json")},
        peak_memory_mib=fitted.peak_memory_mib,
        notes={"training_seconds": round(fitted.seconds, 1), "split": asdict(split)},
    )


def examples_of(results: list[dict], image_ids: Sequence[int]) -> list[dict]:
    """The best results of the first validation images, for pictures without the weights."""
    kept: list[dict] = []
    for image_id in image_ids[:EXAMPLE_SCENES]:
        found = [result for result in results if result["image_id"] == image_id]
        kept += sorted(found, key=lambda r: r["score"], reverse=True)[:EXAMPLES_A_SCENE]
    return kept


def train_config(config: RunConfig, seed: int) -> TrainConfig:
    """The engine's share of the settings; the run's seed is the training's."""
    from wsislib.engine.config import TrainConfig

    names = {field.name for field in fields(RunConfig)}
    shared = {name: getattr(config, name) for name in names}
    return TrainConfig.from_dict({**shared, "seed": seed})


def labelled_data(
    config: MaskRcnnConfig, train: Dataset, split: Split, progress: bool = True
) -> Dataset:
    """The training data with boxes of all instances and masks of those that may have one."""
    from wsislib.data.sample import LabelKind
    from wsislib.labels.datasets import PartialDataset, WeakDataset

    if config.masks == "none":
        return WeakDataset(train, [LabelKind.BOX] * len(train), seed=0)
    if config.masks == "grabcut":
        from wsislib.labels.grabcut_dataset import GrabCutDataset

        folder = cache_folder() / "grabcut"
        return GrabCutDataset(train, folder, config.workers, progress=progress)
    members = split.a if config.masks == "A" else tuple(range(len(train.categories)))
    return PartialDataset(train, members)


def build_model(config: MaskRcnnConfig, category_count: int, seed: int) -> MaskRCNN:
    """The model that the settings name, with initial weights from the run's seed."""
    from wsislib.models.maskrcnn import builders

    if config.builder == "mask_rcnn_lab":
        return builders.mask_rcnn_lab(category_count, config.mask_head, seed)
    build = getattr(builders, config.builder)
    return build(category_count, config.mask_head, seed, pretrained=config.pretrained)


def average_precisions(
    ground_truth: dict, results: list[dict], sides: dict[str, Sequence[int]]
) -> dict[str, Any]:
    """All twelve numbers for masks and boxes, on each side and on all, and AP per category.

    Returns:
        `{"segm": {"A": {"AP": ..}, "B": .., "all": ..}, "bbox": .., "per_category": ..}`.
    """
    from wsislib.engine.evaluate import coco_ap

    metrics: dict[str, Any] = {"per_category": {}}
    for kind in ("segm", "bbox"):
        whole = coco_ap(ground_truth, results, iou_type=kind)
        metrics[kind] = {"all": coco_stats(whole)}
        metrics["per_category"][kind] = dict(whole.per_category)
        for side, members in sides.items():
            if members:
                part = coco_ap(ground_truth, results, categories=list(members), iou_type=kind)
                metrics[kind][side] = coco_stats(part)
    return metrics


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


def coco_stats(result: Any) -> dict[str, float]:
    """The twelve numbers of an `ApResult` by name."""
    names = (
        "AP", "AP50", "AP75", "APS", "APM", "APL", "AR1", "AR10", "AR100", "ARS", "ARM", "ARL",
    )  # fmt: skip
    return {name: float(getattr(result, name)) for name in names}


def _parts(config: MaskRcnnConfig) -> tuple[str, ...]:
    masks = ("grabcut",) if config.masks == "grabcut" else ()
    return (config.data, "labels", *masks, "mask_rcnn", "engine", "evaluation")


MASK_RCNN = Experiment(MaskRcnnConfig, run_mask_rcnn, _parts, data_files)
