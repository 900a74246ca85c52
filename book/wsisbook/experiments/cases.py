"""Single objects that a run found, with what several mask heads drew into the same box.

Heads over one frozen detector find the same boxes, so object by object their masks can be
compared. Pictures are chosen from these by a rule, never by hand.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wsislib.data.rle import decode_segmentation
from wsislib.data.sample import Dataset, Sample

FOUND = 0.5  # a box counts as found from this overlap (IoU) with the true one on
Mask = NDArray[np.bool_]
Result = Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """One object that was found under its own name.

    Attributes:
        seed: of the run.
        image_id: of its scene.
        instance: its place in the scene's label.
        category: index.
        score: of the detection, 0..1.
        box: xyxy in pixels, as found.
        truth: (H, W), its true mask.
        masks: head -> (H, W), what the head drew.
    """

    seed: int
    image_id: int
    instance: int
    category: int
    score: float
    box: tuple[float, float, float, float]
    truth: Mask
    masks: Mapping[str, Mask]

    def iou(self, head: str) -> float:
        """Overlap of a head's mask with the true one, 0..1."""
        return overlap(self.masks[head], self.truth)

    def gain(self, before: str, after: str) -> float:
        """How much better one head's mask is than another's, in IoU, -1..1."""
        return self.iou(after) - self.iou(before)


@dataclass(frozen=True)
class Pair:
    """Two objects of one scene that lie in nearly the same box.

    Attributes:
        first, second: the two.
        boxes: overlap of their true boxes, 0..1.
    """

    first: Case
    second: Case
    boxes: float

    def alike(self, head: str) -> float:
        """Overlap of the two masks that a head drew, 0..1: 1 if it cannot tell them apart."""
        return overlap(self.first.masks[head], self.second.masks[head])


def overlap(first: Mask, second: Mask) -> float:
    """Intersection over union, 0..1; 0 where both are empty."""
    union = int((first | second).sum())
    return int((first & second).sum()) / union if union else 0.0


def cases_of(
    truth: Dataset, found: Mapping[str, Sequence[Result]], seed: int, scenes: int
) -> list[Case]:
    """Every object of the first scenes that was found.

    As in COCO's evaluation, detections take their objects in the order of their scores, each the
    nearest free one of its own category, if their boxes overlap by 0.5 or more.

    Args:
        truth: the validation data.
        found: head -> COCO results; all heads with the same detections in the same order.
        seed: of the run that they come from.
        scenes: how many of the first scenes the results are of.

    Raises:
        ValueError: the heads do not have the same detections.
    """
    heads = list(found)
    for head in heads[1:]:
        if [_place(r) for r in found[head]] != [_place(r) for r in found[heads[0]]]:
            raise ValueError(
                f"heads {heads[0]!r} and {head!r} have different detections; compare heads of one "
                "run only"
            )
    cases = []
    for index in range(min(scenes, len(truth))):
        rows = [
            number
            for number, result in enumerate(found[heads[0]] if heads else ())
            if result["image_id"] == truth.image_ids[index]
        ]
        if rows:
            own = {head: [found[head][number] for number in rows] for head in heads}
            cases += _in_scene(truth[index], [c.id for c in truth.categories], own, seed)
    return cases


def _in_scene(
    sample: Sample, ids: Sequence[int], found: Mapping[str, Sequence[Result]], seed: int
) -> list[Case]:
    label, (height, width) = sample.label, sample.image.shape[1:]
    boxes = label.boxes
    assert boxes is not None and label.masks is not None
    results = next(iter(found.values()))
    free = set(range(len(label)))
    cases = []
    for number in sorted(range(len(results)), key=lambda n: -results[n]["score"]):
        x, y, w, h = results[number]["bbox"]
        box = (x, y, x + w, y + h)
        category = ids.index(results[number]["category_id"])
        same = [i for i in sorted(free) if int(label.categories[i]) == category]
        near = max(same, key=lambda i: box_iou(box, boxes[i].tolist()), default=None)
        if near is None or box_iou(box, boxes[near].tolist()) < FOUND:
            continue
        free.remove(near)
        masks = {
            head: decode_segmentation(own[number]["segmentation"], height, width)
            for head, own in found.items()
        }
        score = float(results[number]["score"])
        true = label.masks[near].numpy()
        cases.append(Case(seed, sample.image_id, near, category, score, box, true, masks))
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


def pairs_of(cases: Iterable[Case], truth: Dataset, least: float) -> list[Pair]:
    """Pairs of objects whose true boxes overlap by `least` or more, both found by one seed.

    The nearest pair first.
    """
    scenes: dict[tuple[int, int], list[Case]] = {}
    for case in cases:
        scenes.setdefault((case.seed, case.image_id), []).append(case)
    pairs = []
    for (_, image_id), own in scenes.items():
        boxes = truth[truth.image_ids.index(image_id)].label.boxes
        assert boxes is not None
        for first, second in itertools.combinations(own, 2):
            near = box_iou(boxes[first.instance].tolist(), boxes[second.instance].tolist())
            if near >= least:
                pairs.append(Pair(first, second, near))
    return sorted(pairs, key=lambda pair: -pair.boxes)


def of_categories(cases: Iterable[Case], members: Collection[int]) -> list[Case]:
    """The cases of some categories, such as those of B."""
    return [case for case in cases if case.category in members]


def case_frame(cases: Sequence[Case], heads: Sequence[str]) -> pd.DataFrame:
    """One line a case: seed, image, instance, category, score, and the IoU of each head."""
    lines = [
        {
            **{name: getattr(case, name) for name in ("seed", "image_id", "instance", "category")},
            "score": case.score,
            **{head: case.iou(head) for head in heads},
        }
        for case in cases
    ]
    columns = ["seed", "image_id", "instance", "category", "score", *heads]
    return pd.DataFrame(lines, columns=columns)


def _place(result: Result) -> tuple[Any, ...]:
    return result["image_id"], result["category_id"], tuple(result["bbox"]), result["score"]
