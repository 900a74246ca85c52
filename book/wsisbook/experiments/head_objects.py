"""Experiment `head_objects`: trained heads object by object, for the gallery.

A run of many heads stores the masks of a few scenes only. This one takes the weights of such runs,
predicts many more scenes with some of their heads, and records how well the masks fit the objects
of B and whether they tell two objects in one box apart. Heads over one frozen detector have the
same boxes, so their masks can be compared object by object. Pictures are chosen from these by a
rule, never by hand.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wsisbook.experiments import mask_heads, training
from wsisbook.experiments.partial_data import FirstScenes, chosen_split, data_sets
from wsisbook.experiments.settings import HeadObjectsConfig, MaskHeadsConfig
from wsisbook.runs.config import config_from
from wsisbook.runs.experiments import Context, Outcome
from wsislib.atomic import read_json
from wsislib.data.rle import decode_segmentation
from wsislib.data.sample import Dataset, Sample
from wsislib.engine.device import describe_device, pick_device
from wsislib.engine.predict import Result
from wsislib.engine.weights import load_weights
from wsislib.models.maskrcnn.mask_heads import MaskHeads

FOUND = 0.5  # a box counts as found from this overlap (IoU) with the true one on
GOOD = 0.75  # IoU of a good mask
Mask = NDArray[np.bool_]


def run_head_objects(context: Context) -> Outcome:
    """Predict and compare object by object; metrics of each head are under its name."""
    config: HeadObjectsConfig = context.config
    predicted: dict[str, list[Result]] = {}
    for label in dict.fromkeys(config.heads.values()):
        heads = [head for head, where in config.heads.items() if where == label]
        predicted |= predict_scenes(training.needed_run(context, label), heads, config, context)
    source = source_config(training.needed_run(context, "heads"))
    train_data, val_data = data_sets(source)
    val = FirstScenes(val_data, config.scenes)
    b = set(chosen_split(source, len(val.categories), train_data).b)
    results = {head: predicted[head] for head in config.heads}
    cases = cases_of(val, results, context.seed, len(val))
    pairs = [
        pair
        for pair in pairs_of(cases, val, config.least_overlap)
        if {pair.first.category, pair.second.category} & b
    ]
    present = sum(int(c) in b for i in range(len(val)) for c in val[i].label.categories)
    return Outcome(
        metrics=object_metrics(of_categories(cases, b), pairs, config.heads, present),
        data={"val": val.fingerprint()},
        device=describe_device(pick_device(context.device)),
        examples=[{**one, "head": head} for head, of_head in results.items() for one in of_head],
    )


def predict_scenes(
    folder: Path, heads: Sequence[str], config: HeadObjectsConfig, context: Context
) -> dict[str, list[Result]]:
    """Head -> COCO results of the first scenes, by the weights of the run in `folder`."""
    source = source_config(folder)
    train_data, val = data_sets(source)
    splits = mask_heads.splits_of_heads(source, train_data)
    learnt = mask_heads.learnt_categories(source, splits)
    seed = read_json(folder / "params.json")["seed"]
    model = mask_heads.build_heads(source, train_data, learnt, seed)
    context.on_model(model)
    load_weights(training.final_weights(folder), model)
    keep_heads(model, heads)
    results = mask_heads.predict_heads(context, model, FirstScenes(val, config.scenes))
    return {
        head: [result for result in results.of(head) if result["score"] >= config.min_score]
        for head in heads
    }


def source_config(folder: Path) -> MaskHeadsConfig:
    """The settings of the run of many heads in `folder`."""
    settings = read_json(folder / "params.json")["settings"]
    return config_from(MaskHeadsConfig, settings, "params.json")


def keep_heads(model: MaskHeads, heads: Iterable[str]) -> None:
    """Leave only some heads in `model`, which then predicts with those alone."""
    chosen = list(heads)
    missing = [name for name in chosen if name not in model.heads]
    if missing:
        raise ValueError(
            f"no mask heads {missing} in that run; it trained {', '.join(model.heads)}: name "
            "some of these"
        )
    for name in [name for name in model.heads if name not in chosen]:
        del model.heads[name]


def object_metrics(
    cases: Sequence[Case], pairs: Sequence[Pair], heads: Iterable[str], present: int
) -> dict[str, Any]:
    """Numbers of the objects of B that were found, in percent.

    Returns:
        `{head: {"B": {"IoU": mean overlap with the truth, "good": share of 0.75 or more},
        "pairs": {"alike": mean overlap of a head's two masks}}, "B": {"present", "found"},
        "pairs": {"count"}}`; a mean of nothing is left out.
    """
    metrics: dict[str, Any] = {
        "B": {"present": present, "found": len(cases)},
        "pairs": {"count": len(pairs)},
    }
    for head in heads:
        of_head: dict[str, Any] = {"B": {}, "pairs": {}}
        if cases:
            overlaps = [case.iou(head) for case in cases]
            of_head["B"]["IoU"] = 100 * sum(overlaps) / len(overlaps)
            of_head["B"]["good"] = 100 * sum(value >= GOOD for value in overlaps) / len(overlaps)
        if pairs:
            of_head["pairs"]["alike"] = 100 * sum(pair.alike(head) for pair in pairs) / len(pairs)
        metrics[head] = of_head
    return metrics


@dataclass(frozen=True)
class Case:
    """One object that was found under its own name."""

    seed: int  # of the run
    image_id: int
    instance: int  # its place in the scene's label
    category: int  # index
    score: float  # of the detection, 0..1
    box: tuple[float, float, float, float]  # xyxy in pixels, as predicted
    truth: Mask  # (H, W)
    masks: Mapping[str, Mask]  # head -> (H, W), predicted

    def iou(self, head: str) -> float:
        """Overlap of a head's mask with the true one, 0..1."""
        return overlap(self.masks[head], self.truth)

    def gain(self, before: str, after: str) -> float:
        """How much better one head's mask is than another's, in IoU, -1..1."""
        return self.iou(after) - self.iou(before)


@dataclass(frozen=True)
class Pair:
    """Two objects of one scene that lie in nearly the same box."""

    first: Case
    second: Case
    boxes: float  # IoU of the true boxes

    def alike(self, head: str) -> float:
        """Overlap of the two masks of a head, 0..1: 1 if it cannot tell the objects apart."""
        return overlap(self.first.masks[head], self.second.masks[head])


def overlap(first: Mask, second: Mask) -> float:
    """Intersection over union, 0..1; 0 where both are empty."""
    union = int((first | second).sum())
    return int((first & second).sum()) / union if union else 0.0


def cases_of(
    truth: Dataset, results: Mapping[str, Sequence[Result]], seed: int, scenes: int
) -> list[Case]:
    """Every object of the first scenes that was found.

    As in COCO's evaluation, detections are matched in the order of their scores, each to the
    nearest free object of its own category, if their boxes overlap by 0.5 or more.

    `results` are those of each head on the first `scenes` of `truth`, by the run of `seed`; all
    heads have the same detections in the same order.
    """
    heads = list(results)
    for head in heads[1:]:
        if [_detection(r) for r in results[head]] != [_detection(r) for r in results[heads[0]]]:
            raise ValueError(
                f"heads {heads[0]!r} and {head!r} have different detections; compare heads of one "
                "run only"
            )
    ids = [category.id for category in truth.categories]
    cases = []
    for index in range(min(scenes, len(truth))):
        rows = [
            number
            for number, result in enumerate(results[heads[0]] if heads else ())
            if result["image_id"] == truth.image_ids[index]
        ]
        if rows:
            in_scene = {head: [results[head][number] for number in rows] for head in heads}
            cases += _in_scene(truth[index], ids, in_scene, seed)
    return cases


def _in_scene(
    sample: Sample, ids: Sequence[int], results: Mapping[str, Sequence[Result]], seed: int
) -> list[Case]:
    label, (height, width) = sample.label, sample.image.shape[1:]
    boxes = label.boxes
    assert boxes is not None and label.masks is not None
    detections = next(iter(results.values()))
    free = set(range(len(label)))
    cases = []
    for number in sorted(range(len(detections)), key=lambda n: -detections[n]["score"]):
        x, y, w, h = detections[number]["bbox"]
        box = (x, y, x + w, y + h)
        category = ids.index(detections[number]["category_id"])
        same = [i for i in sorted(free) if int(label.categories[i]) == category]
        near = max(same, key=lambda i: box_iou(box, boxes[i].tolist()), default=None)
        if near is None or box_iou(box, boxes[near].tolist()) < FOUND:
            continue
        free.remove(near)
        masks = {
            head: decode_segmentation(of_head[number]["segmentation"], height, width)
            for head, of_head in results.items()
        }
        score = float(detections[number]["score"])
        truth = label.masks[near].numpy()
        cases.append(Case(seed, sample.image_id, near, category, score, box, truth, masks))
    return cases


def box_iou(first: Sequence[float], second: Sequence[float]) -> float:
    """Intersection over union of two boxes xyxy."""
    low = np.maximum(first[:2], second[:2])
    high = np.minimum(first[2:], second[2:])
    both = float(np.prod(np.clip(high - low, 0, None)))
    areas = [float((b[2] - b[0]) * (b[3] - b[1])) for b in (first, second)]
    union = sum(areas) - both
    return both / union if union > 0 else 0.0


def once_each(cases: Iterable[Case]) -> list[Case]:
    """Each object once, from the first seed that found it."""
    first: dict[tuple[int, int], Case] = {}
    for case in cases:
        first.setdefault((case.image_id, case.instance), case)
    return list(first.values())


def pairs_of(cases: Iterable[Case], truth: Dataset, min_overlap: float) -> list[Pair]:
    """Pairs of objects whose true boxes overlap by `min_overlap` or more, both found by one seed.

    The nearest pair first.
    """
    scenes: dict[tuple[int, int], list[Case]] = {}
    for case in cases:
        scenes.setdefault((case.seed, case.image_id), []).append(case)
    pairs = []
    for (_, image_id), in_scene in scenes.items():
        boxes = truth[truth.image_ids.index(image_id)].label.boxes
        assert boxes is not None
        for first, second in itertools.combinations(in_scene, 2):
            near = box_iou(boxes[first.instance].tolist(), boxes[second.instance].tolist())
            if near >= min_overlap:
                pairs.append(Pair(first, second, near))
    return sorted(pairs, key=lambda pair: -pair.boxes)


def of_categories(cases: Iterable[Case], members: Collection[int]) -> list[Case]:
    """The cases of some categories, such as those of B."""
    return [case for case in cases if case.category in members]


def case_frame(cases: Sequence[Case], heads: Sequence[str]) -> pd.DataFrame:
    """One line a case: seed, image, instance, category, score, and the IoU of each head."""
    columns = ["seed", "image_id", "instance", "category", "score"]
    lines = [
        {**{name: getattr(case, name) for name in columns}, **{h: case.iou(h) for h in heads}}
        for case in cases
    ]
    return pd.DataFrame(lines, columns=[*columns, *heads])


def _detection(result: Result) -> tuple[Any, ...]:
    return result["image_id"], result["category_id"], tuple(result["bbox"]), result["score"]
