"""What a user of a detector sees: how many objects it finds at a score that he can set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from wsislib.engine.predict import Result

LEAST_IOU, LEAST_PRECISION = 0.5, 0.5


def operating_point(ground_truth: Mapping[str, Any], results: Sequence[Result]) -> dict[str, float]:
    """The lowest score at which at least half of what is predicted is right.

    A prediction is right if its mask has an IoU of 0.5 or more with an object of its category that
    no better scored prediction has taken. Crowd regions are left out.

    Returns:
        `recall`, `precision` (0..1) and `score` there; all 0 where no score will do.
    """
    true, given = defaultdict(list), defaultdict(list)
    for entry in ground_truth["annotations"]:
        if not entry.get("iscrowd"):
            true[entry["image_id"], entry["category_id"]].append(entry["segmentation"])
    for result in results:
        given[result["image_id"], result["category_id"]].append(result)
    objects = sum(map(len, true.values()))
    rows: list[tuple[float, bool]] = []
    for place, some in given.items():
        rows += _judged(sorted(some, key=lambda r: -r["score"]), true.get(place, []))
    if not rows or not objects:
        return {"recall": 0.0, "precision": 0.0, "score": 0.0}
    rows.sort(key=lambda row: -row[0])
    right = np.cumsum([correct for _, correct in rows])
    precision = right / np.arange(1, len(rows) + 1)
    enough = np.flatnonzero(precision >= LEAST_PRECISION)
    if not len(enough):
        return {"recall": 0.0, "precision": 0.0, "score": 0.0}
    last = int(enough[-1])
    return {
        "recall": float(right[last] / objects),
        "precision": float(precision[last]),
        "score": float(rows[last][0]),
    }


def _judged(results: Sequence[Result], truths: Sequence[Any]) -> list[tuple[float, bool]]:
    """Score and rightness of one category's predictions on one image, best score first."""
    if not truths:
        return [(result["score"], False) for result in results]
    codes = [result["segmentation"] for result in results]
    overlap = np.asarray(coco_mask.iou(codes, list(truths), [0] * len(truths)))  # (R, T)
    free = np.ones(len(truths), dtype=bool)
    rows = []
    for result, row in zip(results, overlap, strict=True):
        best = int(np.argmax(np.where(free, row, -1.0)))
        correct = bool(free[best] and row[best] >= LEAST_IOU)
        free[best] &= not correct
        rows.append((result["score"], correct))
    return rows
