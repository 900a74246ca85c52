"""Experiments `large_detector` and `large_heads`: thousands of categories, masks of eighty.

Hu et al., Learning to Segment Every Thing, section 5. First a detector learns from boxes alone; a
softmax over thousands of categories gives small scores, so the threshold under which detections
are dropped is a setting, the same for all rows of a table. Then mask heads learn over the frozen
detector from the masks of A and are used on all categories. With Visual Genome the masks are
COCO's, and the detector is cut to COCO's categories meanwhile (`category_subset.py`). The heads
are judged on detections and, where there are true masks, in true boxes as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from wsisbook.experiments import mask_heads, training
from wsisbook.experiments.category_subset import (
    BoxRows,
    keep_first_categories,
    restore_categories,
)
from wsisbook.experiments.mask_rcnn import build_mask_rcnn
from wsisbook.experiments.partial_data import chosen_split, coco_masks, data_sets, world_spec
from wsisbook.experiments.settings import (
    LargeDetectorConfig,
    LargeHeadsConfig,
    PartialDataConfig,
)
from wsisbook.experiments.true_boxes import judge_true_boxes
from wsisbook.runs.experiments import Context, Outcome
from wsislib.atomic import atomic_write
from wsislib.data.sample import Dataset, LabelKind
from wsislib.data.world import World
from wsislib.engine.device import pick_device
from wsislib.engine.distributed import join_process_group
from wsislib.engine.predict import Result
from wsislib.engine.weights import load_weights, read_meta, save_weights
from wsislib.labels.datasets import WeakDataset
from wsislib.labels.splits import Split
from wsislib.models.maskrcnn.detector import Detector
from wsislib.models.maskrcnn.mask_heads import MaskHeads

TRUE_BOXES = "true_boxes.csv"
EXAMPLE_SCORE = 0.3  # pictures of detections show what is above it
MIN_PIXELS = 150  # visible, of an instance in the gallery
QUARTERS = ("rarest", "rare", "common", "commonest")
# What a detector of other categories cannot give: masks, and weights of its own categories.
_CATEGORY_WEIGHTS = ("mask.", "heads.", "roi.box_predictor.")

Groups = Mapping[str, Sequence[int]]


def run_large_detector(context: Context) -> Outcome:
    """Train and judge a detector; box AP on A, on B and on all."""
    config: LargeDetectorConfig = context.config
    train_data, val = data_sets(config)
    split = chosen_split(config, len(train_data.categories), train_data)
    model = build_mask_rcnn(config, len(train_data.categories), context.seed)
    context.on_model(model)
    if "start" in context.needs:
        load_weights(training.final_weights(context.needs["start"]), model, skip=_CATEGORY_WEIGHTS)
    boxes = WeakDataset(train_data, [LabelKind.BOX] * len(train_data), seed=0)
    fitted = training.train_model(context, model, boxes)
    set_test(model, config.score_threshold, config.detections)
    results = training.predict_set(context, model, val)
    sides = training.sides_of(split)
    stats, _ = training.coco_stats(val.ground_truth(), results, sides, "bbox")
    notes = {"split": asdict(split)}
    return training.record(context, fitted, boxes, val, {"bbox": stats}, notes)


def run_large_heads(context: Context) -> Outcome:
    """Train the heads on the masks of A and judge them; metrics of each are under its name."""
    config: LargeHeadsConfig = context.config
    train_data, val = data_sets(config)
    split = chosen_split(config, len(train_data.categories), train_data)
    learnt = mask_heads.learnt_categories(config, dict.fromkeys(config.specs(), split))
    model = mask_heads.build_heads(config, train_data, learnt, context.seed)
    context.on_model(model)
    training.load_detector(model, context)
    masks, rows = _masks(config, train_data, model, split)
    labelled = mask_heads.labelled_for(masks, learnt)
    fitted = training.train_model(context, model, labelled)
    weights = _whole(model, rows, context.folder, pick_device(context.device))
    set_test(model, config.score_threshold, config.detections)
    metrics, examples, table = judge_large(model, val, split, context)
    files = {}
    if table is not None:
        files[TRUE_BOXES] = context.folder / TRUE_BOXES
        atomic_write(files[TRUE_BOXES], table.to_csv(index=False))
    return training.record(
        context, fitted, labelled, val, metrics, {"split": asdict(split)},
        files, examples=examples,
        weights={f"final{end}": weights.with_suffix(end) for end in (".safetensors", ".json")},
    )  # fmt: skip


def set_test(model: Detector, score_threshold: float, detections: int) -> None:
    """Set which detections `model` outputs; training has none."""
    model.roi.score_thresh, model.roi.detections_per_img = score_threshold, detections


def _masks(
    config: LargeHeadsConfig, train_data: Dataset, model: MaskHeads, split: Split
) -> tuple[Dataset, BoxRows | None]:
    """The data with masks, and the detector's rows where it was cut to the categories of A."""
    if config.data != "visual-genome":
        return train_data, None
    if split.a != tuple(range(len(split.a))) or any(
        spec.masks != "A" for spec in config.specs().values()
    ):
        raise ValueError(
            "masks of Visual Genome are those of COCO's categories, which are its first: use "
            "split 'first' with a_count 80 and heads with masks of A"
        )
    masks = coco_masks(config)
    if len(masks.categories) != len(split.a):
        raise ValueError(f"a_count is {len(split.a)}, but COCO has {len(masks.categories)}: use it")
    return masks, keep_first_categories(model, len(split.a))


def _whole(model: MaskHeads, rows: BoxRows | None, folder: Path, device: torch.device) -> Path:
    """The weights of the model with all of its categories; of several processes one writes."""
    trained = training.final_weights(folder)
    if rows is None:
        return trained
    restore_categories(model, rows)
    whole = folder / "whole" / trained.name
    team = join_process_group(device)
    if team.is_main:
        save_weights(whole, model, {"trained": read_meta(trained)["sha256"]})
    team.barrier()
    return whole


def judge_large(
    model: MaskHeads, val: Dataset, split: Split, context: Context
) -> tuple[dict[str, Any], list[Result], pd.DataFrame | None]:
    """Judge every head of `model` on `val`.

    Returns:
        Metrics: head -> {segm, bbox: side -> the twelve numbers; true_boxes: side -> IoU, AR;
        groups: name -> AP, IoU, AR of these categories of B}, and beside the heads "naming" (side
        -> share of true boxes whose category is the classifier's first, or among its first five)
        and "judged" (side or group -> how many instances of how many categories). Visual Genome
        has no true masks: only {bbox: side -> the twelve numbers} is there.
        Examples; those with "given": "box" are masks in true boxes.
        One line an instance, see `TrueBoxes.table`; None without true masks.
    """
    config: LargeHeadsConfig = context.config
    results = mask_heads.predict_heads(context, model, val)
    examples = mask_heads.head_examples(results, val, EXAMPLE_SCORE)
    truth = val.ground_truth()
    if config.data == "visual-genome":
        first, sides = results.of(results.heads[0]), training.sides_of(split)
        stats, _ = training.coco_stats(truth, first, sides, "bbox")  # all heads have these boxes
        return {head: {"bbox": stats} for head in results.heads}, examples, None
    groups = groups_without_masks(config, split)
    chosen = gallery(val, groups, config.gallery)
    judged = judge_true_boxes(
        model, val, device=pick_device(context.device), examples=chosen, progress=context.progress
    )
    metrics = mask_heads.head_metrics(truth, results, dict.fromkeys(results.heads, split))
    names = [category.name for category in val.categories]
    sides = {"A": split.a, "B": split.b, "all": range(len(split))} if split.b else {"A": split.a}
    for head, of_head in metrics.items():
        # 3,000 lines a head would make metrics.json long and say little one by one.
        per_category = of_head.pop("per_category")["segm"]
        ap = np.array([per_category[name] for name in names])  # (C,) NaN where not in val
        of_head |= {
            "true_boxes": {name: judged.quality(head, c) for name, c in sides.items()},
            "groups": {
                name: {"AP": _mean(ap[list(c)]), **judged.quality(head, c)}
                for name, c in groups.items()
            },
        }
    metrics["naming"] = {
        name: {"first": judged.naming(c), "five": judged.naming(c, 5)} for name, c in sides.items()
    }
    metrics["judged"] = {name: judged.counts(c) for name, c in {**sides, **groups}.items()}
    return metrics, examples + judged.examples, judged.table()


def groups_without_masks(config: PartialDataConfig, split: Split) -> dict[str, list[int]]:
    """The world's categories of B by what may decide how well they are segmented.

    Returns:
        "distance-1", ...: by distance to the nearest category of A. "rarest" ... "commonest":
        quarters by frequency. Nothing where the data are no world.
    """
    if config.data != "world" or not split.b:
        return {}
    world = World(world_spec(config))
    distance = world.nearest_distance(split.a)
    groups = {
        f"distance-{d}": [c for c in split.b if distance[c] == d]
        for d in sorted({int(distance[c]) for c in split.b})
    }
    ranked = sorted(split.b, key=lambda c: (world.table.frequency[c], c))
    quarters = zip(QUARTERS, np.array_split(np.array(ranked), len(QUARTERS)), strict=True)
    return groups | {name: sorted(members.tolist()) for name, members in quarters}


def gallery(val: Dataset, groups: Groups, count: int) -> dict[int, list[int]]:
    """The first instances of `count` categories at each distance: image id -> places in its label.

    Chosen in the order of the images, whatever a model predicts for them.
    """
    left = {n: set(members) for n, members in groups.items() if n.startswith("distance-")}
    taken = dict.fromkeys(left, 0)
    chosen: dict[int, list[int]] = {}
    for index in range(len(val)):
        if all(not left[name] or taken[name] >= count for name in left):
            break
        label = val[index].label
        assert label.masks is not None
        for place, category in enumerate(label.categories.tolist()):
            group = next((name for name in left if category in left[name]), None)
            visible = int(label.masks[place].sum()) >= MIN_PIXELS
            if group is not None and taken[group] < count and visible:
                left[group].remove(category)
                taken[group] += 1
                chosen.setdefault(val.image_ids[index], []).append(place)
    return chosen


def _mean(values: NDArray[np.float64]) -> float:
    """Mean of what is defined; NaN where nothing is."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")
