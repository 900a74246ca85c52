"""Experiment `large_heads`: mask heads for thousands of categories, from the masks of eighty.

Hu et al., Learning to Segment Every Thing, section 5, second stage: heads learn over the frozen
detector from the masks of A and are then used on all categories. With Visual Genome the masks are
COCO's, and the detector is cut to COCO's categories while they are learnt
(`experiments/category_subset.py`).
The heads are judged on detections and, where there are true masks, in true boxes as well.

How well heads outline thousands of categories: on detections, and in true boxes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from wsisbook.experiments.frozen_detector import load_detector
from wsisbook.experiments.large_detector import box_metrics, check_test, set_test
from wsisbook.experiments.mask_heads import (
    MASK_HEADS,
    HeadResults,
    MaskHeadsConfig,
    build_heads,
    head_metrics,
    predict_heads,
)
from wsisbook.experiments.mask_rcnn import examples_of, train_config
from wsisbook.experiments.partial_data import chosen_split, data_sets
from wsisbook.experiments.true_boxes import TrueBoxes, judge_true_boxes
from wsisbook.runs.experiments import Context, Experiment, Outcome
from wsislib.atomic import atomic_write

if TYPE_CHECKING:
    import torch

    from wsisbook.experiments.category_subset import BoxRows
    from wsisbook.experiments.partial_data import PartialDataConfig
    from wsislib.data.sample import Dataset
    from wsislib.labels.splits import Split
    from wsislib.models.maskrcnn.mask_heads import MaskHeads


TRUE_BOXES = "true_boxes.csv"


@dataclass(frozen=True)
class LargeHeadsConfig(MaskHeadsConfig):
    """Settings of heads over a `large_detector`, beside those of `mask_heads`.

    Attributes:
        score_threshold: detections below it are left out, 0..1.
        detections: the most there can be in an image.
        gallery: of how many categories without masks, at each distance to those with masks, one
            instance's masks are kept for pictures.
    """

    score_threshold: float = 0.05
    detections: int = 100
    gallery: int = 24

    def __post_init__(self) -> None:
        super().__post_init__()
        check_test(self.score_threshold, self.detections)
        for name, spec in self.specs().items():
            if (spec.split, spec.a_count, spec.split_seed) != (None, None, None):
                raise ValueError(f"heads.{name}: heads share the run's split here; name none")


def run_large_heads(context: Context) -> Outcome:
    """Train the heads on the masks of A and judge them; metrics of each are under its name."""
    from wsislib.engine.device import describe_device, pick_device
    from wsislib.engine.train import fit
    from wsislib.labels.datasets import PartialDataset

    config: LargeHeadsConfig = context.config
    if not config.heads:
        raise ValueError("no mask head is given; name at least one under `heads`")
    train, val = data_sets(config)
    split = chosen_split(config, len(train.categories))
    learnt = learnt_from(config, split)
    model = build_heads(config, train, learnt, context.seed)
    context.on_model(model)
    load_detector(model, context)
    masks, rows = _masks(config, train, model, split)
    labelled = PartialDataset(masks, sorted({c for own in learnt.values() for c in own}))
    device = pick_device(context.device)
    fitted = fit(
        model, labelled, train_config(config, context.seed), context.folder,
        device=device, progress=context.progress,
    )  # fmt: skip
    weights = _whole(model, rows, context.folder, device)
    set_test(model, config.score_threshold, config.detections)
    judged = judge_large(model, val, split, config, device=device, progress=context.progress)
    return Outcome(
        metrics=judged.metrics,
        data={"train": labelled.fingerprint(), "val": val.fingerprint()},
        device=describe_device(device),
        examples=judged.examples,
        files={
            "history.csv": context.folder / "history.csv",
            **judged.write(context.folder / TRUE_BOXES),
        },
        weights={f"final{end}": weights.with_suffix(end) for end in (".safetensors", ".json")},
        peak_memory_mib=fitted.peak_memory_mib,
        notes={"training_seconds": round(fitted.seconds, 1), "split": asdict(split)},
    )


def learnt_from(config: LargeHeadsConfig, split: Split) -> Mapping[str, tuple[int, ...]]:
    """Head -> the categories whose masks it learns from."""
    everyone = tuple(range(len(split)))
    return {n: split.a if s.masks == "A" else everyone for n, s in config.specs().items()}


def _masks(
    config: LargeHeadsConfig, train: Dataset, model: MaskHeads, split: Split
) -> tuple[Dataset, BoxRows | None]:
    """The data with masks, and the detector's rows where it was cut to the categories of A."""
    if config.data != "visual-genome":
        return train, None
    from wsisbook.experiments.category_subset import keep_first_categories
    from wsisbook.experiments.partial_data import coco_masks

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
    from wsisbook.experiments.category_subset import restore_categories
    from wsislib.engine.distributed import join_team
    from wsislib.engine.weights import read_meta, save_weights

    trained = folder / "checkpoints" / "final.safetensors"
    if rows is None:
        return trained
    restore_categories(model, rows)
    whole = folder / "whole" / trained.name
    team = join_team(device)
    if team.leads:
        save_weights(whole, model, {"trained": read_meta(trained)["sha256"]})
    team.wait()
    return whole


EXAMPLE_SCORE = 0.3  # pictures of detections show what is above it
LEAST_PIXELS = 150  # an instance in the gallery shows at least so much of itself
QUARTERS = ("rarest", "rare", "common", "commonest")

Groups = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class LargeResults:
    """What `judge_large` gives.

    Attributes:
        metrics: for metrics.json.
        examples: for examples.json; those with "given": "box" are masks in true boxes.
        table: one line an instance, see `TrueBoxes.table`; None without true masks.
    """

    metrics: dict[str, Any]
    examples: list[dict[str, Any]]
    table: pd.DataFrame | None

    def write(self, file: Path) -> dict[str, Path]:
        """Write the table, where there is one; name -> file of what was written."""
        if self.table is None:
            return {}
        atomic_write(file, self.table.to_csv(index=False))
        return {file.name: file}


def judge_large(
    model: MaskHeads,
    val: Dataset,
    split: Split,
    config: LargeHeadsConfig,
    *,
    device: torch.device,
    progress: bool,
) -> LargeResults:
    """Judge every head of `model` on `val`.

    Returns:
        `metrics`: head -> {segm, bbox: side -> the twelve numbers; true_boxes: side -> IoU, AR;
        groups: name -> AP, IoU, AR of these categories of B}, and beside the heads "naming" (side
        -> share of true boxes whose category is the classifier's first, or among its first five)
        and "judged" (side or group -> how many instances of how many categories). Visual Genome
        has no true masks: only {bbox: side -> the twelve numbers} is there.
    """
    results = predict_heads(model, val, device=device, progress=progress)
    examples = _seen(results, val)
    truth = val.ground_truth()
    if config.data == "visual-genome":
        found = box_metrics(truth, results.of(results.heads[0]), split)
        return LargeResults({head: {"bbox": found} for head in results.heads}, examples, None)
    groups = groups_without_masks(config, split)
    chosen = gallery(val, groups, config.gallery)
    boxes = judge_true_boxes(model, val, device=device, examples=chosen, progress=progress)
    metrics = head_metrics(truth, results, dict.fromkeys(results.heads, split))
    names = [category.name for category in val.categories]
    for head, own in metrics.items():
        per_category = own.pop("per_category")["segm"]  # 3,000 lines a head say little one by one
        ap = np.array([per_category[name] for name in names])  # (C,) NaN where not in val
        own |= _in_true_boxes(head, ap, boxes, split, groups)
    return LargeResults(
        {**metrics, **_of_all(boxes, split, groups)}, examples + boxes.examples, boxes.table()
    )


def _in_true_boxes(
    head: str, ap: np.ndarray, boxes: TrueBoxes, split: Split, groups: Groups
) -> dict[str, Any]:
    sides = {name: boxes.quality(head, members) for name, members in _sides(split).items()}
    return {
        "true_boxes": sides,
        "groups": {
            name: {"AP": _mean(ap[list(members)]), **boxes.quality(head, members)}
            for name, members in groups.items()
        },
    }


def _of_all(boxes: TrueBoxes, split: Split, groups: Groups) -> dict[str, Any]:
    """What is the same for all heads."""
    sides = _sides(split)
    return {
        "naming": {
            name: {"first": boxes.naming(members), "five": boxes.naming(members, 5)}
            for name, members in sides.items()
        },
        "judged": {name: boxes.counts(members) for name, members in {**sides, **groups}.items()},
    }


def _sides(split: Split) -> dict[str, Sequence[int]]:
    everyone = range(len(split))
    return {"A": split.a, "B": split.b, "all": everyone} if split.b else {"A": split.a}


def groups_without_masks(config: PartialDataConfig, split: Split) -> dict[str, list[int]]:
    """The world's categories of B by what may decide how well they are outlined.

    Returns:
        "distance-1", ...: by distance to the nearest category of A. "rarest" ... "commonest":
        quarters by frequency. Nothing where the data are no world.
    """
    if config.data != "world" or not split.b:
        return {}
    from wsislib.data.world import World, WorldSpec

    world = World(WorldSpec(config.categories, config.image_size, config.world_seed))
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

    Chosen in the order of the images, whatever a model makes of them.
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
            visible = int(label.masks[place].sum()) >= LEAST_PIXELS
            if group is not None and taken[group] < count and visible:
                left[group].remove(category)
                taken[group] += 1
                chosen.setdefault(val.image_ids[index], []).append(place)
    return chosen


def _seen(results: HeadResults, val: Dataset) -> list[dict[str, Any]]:
    """Detections in the first images, for pictures."""
    return [
        {**example, "head": head}
        for head in results.heads
        for example in examples_of(results.of(head), val.image_ids)
        if example["score"] >= EXAMPLE_SCORE
    ]


def _mean(values: np.ndarray) -> float:
    """Mean of what is defined; NaN where nothing is."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")


def _parts(config: LargeHeadsConfig) -> tuple[str, ...]:
    masks = ("coco",) if config.data == "visual-genome" else ()
    return (*MASK_HEADS.parts(config), *masks)


LARGE_HEADS = Experiment(LargeHeadsConfig, run_large_heads, _parts, MASK_HEADS.files)
