"""Experiments `mask_rcnn` and `maskx`: masks of some categories, boxes of all.

Hu et al., Learning to Segment Every Thing, section 4: categories in A have masks, those in B boxes
only; AP is averaged over the categories of A, of B, and of both. `maskx` is Mask^X R-CNN trained
end to end (section 4.3 and table 2), `mask_rcnn` what it is compared with. Rows that train a mask
head over a frozen detector belong to `mask_heads`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from safetensors.torch import save
from torch import Tensor

from wsisbook.experiments import training
from wsisbook.experiments.embedding import embedding_of
from wsisbook.experiments.partial_data import chosen_split, data_sets
from wsisbook.experiments.settings import MaskRcnnConfig, MaskXConfig
from wsisbook.runs.experiments import Context, Outcome
from wsisbook.runs.paths import cache_folder
from wsislib.atomic import atomic_write
from wsislib.data.sample import Dataset, LabelKind
from wsislib.engine.operating_point import operating_point
from wsislib.labels.datasets import PartialDataset, WeakDataset
from wsislib.labels.grabcut_dataset import GrabCutDataset
from wsislib.labels.splits import Split
from wsislib.models.maskrcnn import builders, lite_builders
from wsislib.models.maskrcnn.mask_rcnn import MaskRCNN
from wsislib.photos.starts import load_start

DETECTION_WEIGHTS = "detection_weights.safetensors"


def run_mask_rcnn(context: Context) -> Outcome:
    """Train and judge one Mask R-CNN; AP of masks and boxes on A, on B and on all."""
    config: MaskRcnnConfig = context.config
    train_data, val = data_sets(config)
    split = chosen_split(config, len(train_data.categories), train_data)
    model = build_mask_rcnn(config, len(train_data.categories), context.seed)
    context.on_model(model)
    if config.stage == "mask-head" or config.warm_start:
        training.load_detector(model, context, freeze=config.stage == "mask-head")
    labelled = labelled_data(config, train_data, split, context.progress)
    outcome = train_and_judge(context, model, labelled, val, split)
    if config.masks == "A":
        return outcome
    return replace(
        outcome, metrics={**outcome.metrics, "reversed": training.swap_splits(outcome.metrics)}
    )


def run_maskx(context: Context) -> Outcome:
    """Train and judge one Mask^X R-CNN; AP of masks and boxes on A, on B and on all.

    Its detection weights are published beside the numbers (`published_rows`): they show what the
    gradient stop protects.
    """
    config: MaskXConfig = context.config
    train_data, val = data_sets(config)
    split = chosen_split(config, len(train_data.categories), train_data)
    model = build_maskx(config, train_data, context.seed)
    context.on_model(model)
    start = None
    if config.warm_start:
        training.load_detector(model, context, freeze=False)
        start = detection_rows(model.state_dict())
    outcome = train_and_judge(context, model, labelled_data(config, train_data, split), val, split)
    file = context.folder / DETECTION_WEIGHTS
    atomic_write(file, save(published_rows(detection_rows(model.state_dict()), start)))
    return replace(outcome, files={**outcome.files, DETECTION_WEIGHTS: file})


def train_and_judge(
    context: Context, model: MaskRCNN, labelled: Dataset, val: Dataset, split: Split
) -> Outcome:
    """Train `model` on `labelled` and judge it on `val`, as the context's settings say."""
    fitted = training.train_model(context, model, labelled)
    results = training.predict_set(context, model, val)
    sides = {**training.sides_of(split), **training.frequent_side(context.config, val)}
    metrics = training.average_precisions(val.ground_truth(), results, sides)
    if context.config.photographs:
        metrics["operating"] = operating_point(val.ground_truth(), results)
    return training.record(
        context, fitted, labelled, val, metrics, {"split": asdict(split)},
        examples=training.examples_of(results, val.image_ids),
    )  # fmt: skip


def labelled_data(
    config: MaskRcnnConfig | MaskXConfig, train_data: Dataset, split: Split, progress: bool = True
) -> Dataset:
    """The training data with boxes of all instances and masks of those that may have one."""
    if config.masks == "none":
        return WeakDataset(train_data, [LabelKind.BOX] * len(train_data), seed=0)
    if config.masks == "grabcut":
        folder = cache_folder() / "grabcut"
        return GrabCutDataset(train_data, folder, config.workers, progress=progress)
    members = split.a if config.masks == "A" else tuple(range(len(train_data.categories)))
    return PartialDataset(train_data, members)


def build_mask_rcnn(config: MaskRcnnConfig, category_count: int, seed: int) -> MaskRCNN:
    """The Mask R-CNN that the settings name, with initial weights from the run's seed."""
    if config.builder == "mask_rcnn_lab":
        return builders.mask_rcnn_lab(category_count, config.mask_head, seed)
    if config.builder == "mask_rcnn_lite":
        side = (config.photo_side, config.photo_side)
        model = lite_builders.mask_rcnn_lite(category_count, config.mask_head, seed, side)
        if config.start == "ours":
            load_start(model, "ours", "mask-rcnn", config.mask_head)
        return model
    build = getattr(builders, config.builder)
    return build(category_count, config.mask_head, seed, pretrained=config.pretrained)


def build_maskx(config: MaskXConfig, train_data: Dataset, seed: int) -> MaskRCNN:
    """The Mask^X R-CNN that the settings name, with initial weights from the run's seed."""
    own: dict[str, Any] = {}
    if config.builder == "maskx_rcnn_lite":
        own = {"image_side": (config.photo_side, config.photo_side)}
    elif config.builder != "maskx_rcnn_lab":
        own = {"pretrained": config.pretrained}
    rooms = lite_builders if config.builder == "maskx_rcnn_lite" else builders
    return getattr(rooms, config.builder)(
        len(train_data.categories),
        config.inputs,
        config.layers,
        config.activation,
        config.mlp_layers,
        config.stop_gradient,
        embedding_of(config, train_data) if config.inputs == "embedding" else None,
        seed,
        **own,
    )


def detection_rows(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A detector's weights category by category, float32 on the CPU, from its `state_dict`.

    Returns:
        `cls` (C + 1, D) and `box` (C + 1, 4 D), background first.
    """
    where = "roi.box_predictor"
    names = {"cls": f"{where}.cls_score.weight", "box": f"{where}.bbox_pred.weight"}
    rows = len(state[names["cls"]])
    return {
        name: state[key].detach().float().cpu().clone().reshape(rows, -1)
        for name, key in names.items()
    }


def published_rows(
    end: Mapping[str, Tensor], start: Mapping[str, Tensor] | None
) -> dict[str, Tensor]:
    """float16 `cls` at the end of a run and, with a `start`, `cls_moved` and `box_moved`."""
    rows = {"cls": end["cls"]}
    if start is not None:
        rows |= {f"{name}_moved": end[name] - start[name] for name in ("cls", "box")}
    return {name: values.half().contiguous() for name, values in rows.items()}
