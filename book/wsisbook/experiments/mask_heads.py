"""Experiment `mask_heads`: mask heads side by side over one frozen detector.

Hu et al., Learning to Segment Every Thing, section 4.2, stage-wise training. Features and regions
are computed once a step for all heads, and detections once an image, so a table of ablations
costs little more than one of its rows. A head comes out as in a run of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict
from typing import Any, Literal

import torch
from torch import Tensor

from wsisbook.experiments.embedding import embedding_of
from wsisbook.experiments.partial_data import data_sets, named_split
from wsisbook.experiments.settings import HeadSpec, MaskHeadsConfig, PartialDataConfig
from wsisbook.experiments.training import (
    ap_by_side,
    batches,
    coco_stats,
    examples_of,
    load_detector,
    record,
    sides_of,
    swap_splits,
    train,
)
from wsisbook.runs.experiments import Context, Outcome
from wsislib.data.sample import Dataset
from wsislib.engine.device import pick_device
from wsislib.engine.predict import Result, as_results, encode_masks
from wsislib.labels.datasets import PartialDataset
from wsislib.labels.splits import Split
from wsislib.models.maskrcnn import builders
from wsislib.models.maskrcnn.builders_maskx import (
    LAB_MLP_POOL,
    add_mlp_branch,
    transfer_predictor,
)
from wsislib.models.maskrcnn.detector import Detector
from wsislib.models.maskrcnn.mask_branch import MaskBranch
from wsislib.models.maskrcnn.mask_heads import MaskHeads
from wsislib.models.maskrcnn.mask_rcnn import MaskRCNN

EXAMPLE_SCORE = 0.5  # pictures show what is above it

BuildMaskRCNN = Callable[[Literal["class-agnostic", "class-specific"]], MaskRCNN]


def run_mask_heads(context: Context) -> Outcome:
    """Train and judge the heads; metrics of each are under its name."""
    config: MaskHeadsConfig = context.config
    require_heads(config)
    training, val = data_sets(config)
    count = len(training.categories)
    splits = {name: split_of(spec, config, count) for name, spec in config.specs().items()}
    learnt = learnt_categories(config, splits)
    model = build_heads(config, training, learnt, context.seed)
    context.on_model(model)
    load_detector(model, context)
    labelled = labelled_for(training, learnt)
    fitted = train(context, model, labelled)
    results = predict_heads(
        model, val, device=pick_device(context.device), progress=context.progress
    )
    splitless = {name for name, spec in config.specs().items() if spec.masks == "all"}
    notes = {
        "heads": len(config.heads),
        "splits": {name: asdict(split) for name, split in splits.items()},
    }
    return record(
        context, fitted, labelled, val,
        head_metrics(val.ground_truth(), results, splits, splitless), notes,
        examples=head_examples(results, val, EXAMPLE_SCORE),
    )  # fmt: skip


def require_heads(config: MaskHeadsConfig) -> None:
    """Raise ValueError where the settings name no head."""
    if not config.heads:
        raise ValueError("no mask head is given; name at least one under `heads`")


def split_of(spec: HeadSpec, config: PartialDataConfig, category_count: int) -> Split:
    """Who is in A and who in B, for one head."""
    return named_split(
        config.split if spec.split is None else spec.split,
        config.a_count if spec.a_count is None else spec.a_count,
        config.split_seed if spec.split_seed is None else spec.split_seed,
        category_count,
    )


def learnt_categories(
    config: MaskHeadsConfig, splits: Mapping[str, Split]
) -> dict[str, tuple[int, ...]]:
    """Head -> the categories whose masks it learns from."""
    return {
        name: splits[name].a if spec.masks == "A" else tuple(range(len(splits[name])))
        for name, spec in config.specs().items()
    }


def labelled_for(training: Dataset, learnt: Mapping[str, Collection[int]]) -> PartialDataset:
    """The training data with the masks that any head learns from."""
    return PartialDataset(training, sorted({c for members in learnt.values() for c in members}))


def build_heads(
    config: MaskHeadsConfig, train: Dataset, learnt: Mapping[str, tuple[int, ...]], seed: int
) -> MaskHeads:
    """The heads that the settings name, with initial weights from the run's seed."""
    count, lab = len(train.categories), config.builder == "mask_rcnn_lab"

    def build(kind: Literal["class-agnostic", "class-specific"]) -> MaskRCNN:
        return build_unfetched(config.builder, count, kind, config.pretrained, seed)

    specs = config.specs()
    reads = any(spec.kind == "transfer" and spec.inputs == "embedding" for spec in specs.values())
    embedding = embedding_of(config, train) if reads else None
    detector = build("class-agnostic")
    heads = {
        name: build_branch(spec, build, detector, embedding, LAB_MLP_POOL if lab else 1, seed)
        for name, spec in specs.items()
    }
    if config.regions is not None:
        detector.roi.fg_bg_sampler.batch_size_per_image = config.regions
    rows = {name: torch.isin(torch.arange(count), torch.tensor(a)) for name, a in learnt.items()}
    return MaskHeads(detector, heads, rows)


def build_unfetched(
    builder: str,
    category_count: int,
    kind: Literal["class-agnostic", "class-specific"],
    pretrained: bool,
    seed: int,
) -> MaskRCNN:
    """A Mask R-CNN whose weights come from a detector's run, so ImageNet's are not fetched."""
    if builder == "mask_rcnn_lab":
        return builders.mask_rcnn_lab(category_count, kind, seed)
    build = getattr(builders, builder)
    return build(category_count, kind, seed, pretrained=pretrained, fetch=False)


def build_branch(
    spec: HeadSpec,
    build: BuildMaskRCNN,
    detector: Detector,
    embedding: Tensor | None,
    mlp_pool: int,
    seed: int,
) -> MaskBranch:
    """The head over `detector`, with the initial weights that it has in a model of its own.

    Args:
        spec: what it is.
        build: makes a Mask R-CNN whose mask branch is taken.
        detector: whose box predictor weight transfer reads.
        embedding: (C, D), for `inputs` "embedding".
        mlp_pool: see `MaskMLP`.
        seed: of the initial weights of transfer and MLP.
    """
    model = build("class-specific" if spec.kind == "class-specific" else "class-agnostic")
    if spec.kind == "transfer":
        model.mask.predictor = transfer_predictor(
            detector.roi.box_predictor,
            model.mask.width,
            spec.inputs,
            spec.layers,
            spec.activation,
            embedding=embedding if spec.inputs == "embedding" else None,
            seed=seed,
        )
    if spec.mlp_layers:
        add_mlp_branch(model, spec.mlp_layers, mlp_pool, seed)
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


def predict_heads(
    model: MaskHeads, dataset: Dataset, *, device: torch.device, progress: bool = True
) -> HeadResults:
    """Every head's predictions for every image, from one pass of the detector, in float32.

    The model is moved to `device` and left in evaluation mode.
    """
    model.to(device).eval()
    results = HeadResults(model.heads)
    with torch.inference_mode():
        for samples in batches(dataset, "predict", progress):
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
) -> dict[str, Any]:
    """All twelve numbers of masks and boxes for each head, on each side of its split.

    Returns:
        `{head: {"segm": {"A": {"AP": ..}, "B": .., "all": ..}, "bbox": ..,
        "per_category": {"segm": {category: AP}}}}`. Heads that learn from all masks know no split:
        they carry `"reversed"`, the same with A and B exchanged.
    """
    boxes: dict[tuple, dict[str, dict[str, float]]] = {}  # equal for all heads of one split
    metrics: dict[str, Any] = {}
    for head in results.heads:
        predicted, sides = results.of(head), sides_of(splits[head])
        masks = ap_by_side(ground_truth, predicted, sides, "segm")
        key = (splits[head].a, splits[head].b)
        if key not in boxes:
            judged = ap_by_side(ground_truth, predicted, sides, "bbox")
            boxes[key] = {side: coco_stats(ap) for side, ap in judged.items()}
        metrics[head] = {
            "segm": {side: coco_stats(ap) for side, ap in masks.items()},
            "bbox": boxes[key],
            "per_category": {"segm": dict(masks["all"].per_category)},
        }
        if head in splitless:
            metrics[head]["reversed"] = swap_splits(metrics[head])
    return metrics


def head_examples(results: HeadResults, val: Dataset, min_score: float) -> list[Result]:
    """Predictions of each head in the first images, for pictures."""
    return [
        {**example, "head": head}
        for head in results.heads
        for example in examples_of(results.of(head), val.image_ids)
        if example["score"] >= min_score
    ]
