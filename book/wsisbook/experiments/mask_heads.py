"""Experiment `mask_heads`: mask heads side by side over one frozen detector.

Hu et al., Learning to Segment Every Thing, section 4.2, stage-wise training. Features and regions
are computed once a step for all heads, and detections once an image, so a table of ablations
costs little more than one of its rows. A head comes out as in a run of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

import torch
from torch import Tensor

from wsisbook.experiments import training
from wsisbook.experiments.embedding import embedding_of
from wsisbook.experiments.partial_data import (
    BY_FREQUENCY,
    data_sets,
    instances_by_category,
    named_split,
)
from wsisbook.experiments.settings import (
    GrabCutConfig,
    HeadSpec,
    MaskHeadsConfig,
    PartialDataConfig,
)
from wsisbook.runs.experiments import Context, Outcome
from wsislib.data.sample import Dataset
from wsislib.engine.device import pick_device
from wsislib.engine.predict import Result, as_results, encode_masks
from wsislib.labels.datasets import PartialDataset
from wsislib.labels.splits import Split
from wsislib.models.maskrcnn import builders, lite_builders
from wsislib.models.maskrcnn.detector import Detector
from wsislib.models.maskrcnn.mask_branch import MaskBranch
from wsislib.models.maskrcnn.mask_heads import MaskHeads
from wsislib.models.maskrcnn.mask_rcnn import MaskRCNN

# Of the MLP branch, by the detector's builder; 1, the paper's, for others.
MLP_POOLS = {
    "mask_rcnn_lab": builders.LAB_MLP_POOL,
    "mask_rcnn_lite": lite_builders.LITE_MLP_POOL,
}
EXAMPLE_SCORE = 0.5  # pictures show what is above it


def run_mask_heads(context: Context) -> Outcome:
    """Train and judge the heads; metrics of each are under its name."""
    config: MaskHeadsConfig = context.config
    train_data, val = data_sets(config)
    splits = splits_of_heads(config, train_data)
    learnt = learnt_categories(config, splits)
    model = build_heads(config, train_data, learnt, context.seed)
    context.on_model(model)
    training.load_detector(model, context)
    labelled = labelled_for(train_data, learnt)
    fitted = training.train_model(context, model, labelled)
    results = predict_heads(context, model, val)
    splitless = {name for name, spec in config.specs().items() if spec.masks == "all"}
    frequent = training.frequent_side(config, val).get("frequent", ())
    metrics = head_metrics(val.ground_truth(), results, splits, splitless, frequent)
    notes = {"heads": len(splits), "splits": {name: asdict(s) for name, s in splits.items()}}
    examples = head_examples(results, val, EXAMPLE_SCORE)
    return training.record(context, fitted, labelled, val, metrics, notes, examples=examples)


def splits_of_heads(config: MaskHeadsConfig, train_data: Dataset) -> dict[str, Split]:
    """Head -> who is in A and who in B."""
    specs, count = config.specs(), len(train_data.categories)
    names = {config.split, *(spec.split for spec in specs.values())}
    instances = None
    if names & {*BY_FREQUENCY}:
        instances = instances_by_category(train_data.ground_truth())
    return {name: split_of(spec, config, count, instances) for name, spec in specs.items()}


def split_of(
    spec: HeadSpec,
    config: PartialDataConfig,
    category_count: int,
    instances: Sequence[int] | None = None,
) -> Split:
    """Who is in A and who in B, for one head; `instances` as of `named_split`."""
    return named_split(
        config.split if spec.split is None else spec.split,
        config.a_count if spec.a_count is None else spec.a_count,
        config.split_seed if spec.split_seed is None else spec.split_seed,
        category_count,
        instances,
    )


def learnt_categories(
    config: MaskHeadsConfig, splits: Mapping[str, Split]
) -> dict[str, tuple[int, ...]]:
    """Head -> the categories whose masks it learns from."""
    return {
        name: splits[name].a if spec.masks == "A" else tuple(range(len(splits[name])))
        for name, spec in config.specs().items()
    }


def labelled_for(train_data: Dataset, learnt: Mapping[str, Collection[int]]) -> PartialDataset:
    """The training data with the masks that any head learns from."""
    return PartialDataset(train_data, sorted({c for members in learnt.values() for c in members}))


def build_heads(
    config: MaskHeadsConfig, train_data: Dataset, learnt: Mapping[str, tuple[int, ...]], seed: int
) -> MaskHeads:
    """The heads that the settings name, with initial weights from the run's seed."""
    count, specs = len(train_data.categories), config.specs()
    if not specs:
        raise ValueError("no mask head is given; name at least one under `heads`")
    reads = any(spec.kind == "transfer" and spec.inputs == "embedding" for spec in specs.values())
    embedding = embedding_of(config, train_data) if reads else None
    detector = build_unfetched(config, count, "class-agnostic", seed)
    heads = {
        name: build_branch(spec, config, detector, embedding, count, seed)
        for name, spec in specs.items()
    }
    if config.regions is not None:
        detector.roi.fg_bg_sampler.batch_size_per_image = config.regions
    rows = {name: torch.isin(torch.arange(count), torch.tensor(a)) for name, a in learnt.items()}
    return MaskHeads(detector, heads, rows)


def build_unfetched(
    config: MaskHeadsConfig | GrabCutConfig,
    category_count: int,
    kind: Literal["class-agnostic", "class-specific"],
    seed: int,
) -> MaskRCNN:
    """A Mask R-CNN whose weights come from a detector's run, so ImageNet's are not fetched."""
    if config.builder == "mask_rcnn_lab":
        return builders.mask_rcnn_lab(category_count, kind, seed)
    if config.builder == "mask_rcnn_lite":
        side = (config.photo_side, config.photo_side)
        return lite_builders.mask_rcnn_lite(category_count, kind, seed, side, fetch=False)
    build = getattr(builders, config.builder)
    return build(category_count, kind, seed, pretrained=config.pretrained, fetch=False)


def build_branch(
    spec: HeadSpec,
    config: MaskHeadsConfig,
    detector: Detector,
    embedding: Tensor | None,
    category_count: int,
    seed: int,
) -> MaskBranch:
    """One head over `detector`, with the initial weights that it has in a model of its own.

    `embedding` (C, D) is for `inputs` "embedding".
    """
    kind = "class-agnostic" if spec.kind == "transfer" else spec.kind
    model = build_unfetched(config, category_count, kind, seed)
    if spec.kind == "transfer":
        model.mask.predictor = builders.transfer_predictor(
            detector.roi.box_predictor,
            model.mask.width,
            spec.inputs,
            spec.layers,
            spec.activation,
            embedding=embedding if spec.inputs == "embedding" else None,
            seed=seed,
        )
    if spec.mlp_layers:
        builders.add_mlp_branch(model, spec.mlp_layers, MLP_POOLS.get(config.builder, 1), seed)
    return model.mask


class HeadResults:
    """COCO results of several heads, which differ in nothing but the masks.

    What is equal is stored once, so that fifty heads do not need fifty times the memory.
    """

    def __init__(self, heads: Iterable[str]) -> None:
        self.heads = tuple(heads)
        self._shared: list[Result] = []
        self._masks: dict[str, list[dict[str, Any]]] = {name: [] for name in self.heads}

    def add(self, shared: list[Result], masks: Mapping[str, list[dict[str, Any]]]) -> None:
        """Add one image's results with the masks of any head, and every head's mask codes."""
        self._shared += shared
        for name in self.heads:
            assert len(masks[name]) == len(shared)
            self._masks[name] += masks[name]

    def of(self, name: str) -> list[Result]:
        """COCO results of one head."""
        return [
            {**result, "segmentation": code}
            for result, code in zip(self._shared, self._masks[name], strict=True)
        ]


def predict_heads(context: Context, model: MaskHeads, dataset: Dataset) -> HeadResults:
    """Every head's predictions for every image, from one pass of the detector, in float32.

    The model is moved to the context's device and left in evaluation mode.
    """
    device = pick_device(context.device)
    model.to(device).eval()
    results = HeadResults(model.heads)
    with torch.inference_mode():
        for samples in training.sample_batches(dataset, "predict", context.progress):
            by_head = model.predict_each([sample.image.to(device) for sample in samples])
            for place, sample in enumerate(samples):
                detections = {name: images[place] for name, images in by_head.items()}
                first = next(iter(detections.values()))
                shared = as_results(first, sample.image_id, dataset.categories)
                # as_results drops an image without detections, whose masks have no code either
                codes = {n: encode_masks(d.masks) if shared else [] for n, d in detections.items()}
                results.add(shared, codes)
    return results


def head_metrics(
    ground_truth: dict,
    results: HeadResults,
    splits: Mapping[str, Split],
    splitless: Collection[str] = (),
    frequent: Collection[int] = (),
) -> dict[str, Any]:
    """All twelve numbers of masks and boxes for each head, on each side of its split.

    `frequent` are categories whose numbers are given on their own as well, those in A as
    "A_frequent" and those in B as "B_frequent".

    Returns:
        `{head: {"segm": {"A": {"AP": ..}, "B": .., "all": ..}, "bbox": ..,
        "per_category": {"segm": {category: AP}}}}`. Heads that learn from all masks know no split:
        they carry `"reversed"`, the same with A and B exchanged.
    """
    boxes: dict[tuple, dict[str, dict[str, float]]] = {}  # equal for all heads of one split
    metrics: dict[str, Any] = {}
    for head in results.heads:
        predicted, sides = results.of(head), training.sides_of(splits[head])
        some = {
            f"{side}_frequent": [c for c in members if c in frequent]
            for side, members in sides.items()
        }
        sides = {**sides, **some}
        masks, per_category = training.coco_stats(ground_truth, predicted, sides, "segm")
        key = (splits[head].a, splits[head].b)
        if key not in boxes:
            boxes[key] = training.coco_stats(ground_truth, predicted, sides, "bbox")[0]
        metrics[head] = {
            "segm": masks, "bbox": boxes[key], "per_category": {"segm": per_category},
        }  # fmt: skip
        if head in splitless:
            metrics[head]["reversed"] = training.swap_splits(metrics[head])
    return metrics


def head_examples(results: HeadResults, val: Dataset, min_score: float) -> list[Result]:
    """Predictions of each head in the first images, for pictures."""
    return [
        {**example, "head": head}
        for head in results.heads
        for example in training.examples_of(results.of(head), val.image_ids)
        if example["score"] >= min_score
    ]
