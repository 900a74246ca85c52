"""From a labelling page's messages to COCO entries, and from entries to what the page draws."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from wsislib.annotate.image_labels import Entry, ImageLabels
from wsislib.data.photographs.coco_labels import annotation_kind, clip_box, numbers
from wsislib.data.rle import checked_rle, decode_segmentation, rle_area, rle_box

MAX_SECONDS = 120.0  # between two actions that count as work; a longer gap is a break

Outline = list[list[float]]
"""Closed rings, each [x0, y0, x1, y1, ...] in pixels."""


def geometry_of(message: Mapping[str, Any], work: ImageLabels) -> dict[str, Any]:
    """What the page drew, as COCO has it; a box or outline is cut at the image's border."""
    if message.get("point"):
        return {"point": [round(n, 2) for n in numbers(message["point"], "point", 2)]}
    if message.get("box"):
        drawn = numbers(message["box"], "box", 4)
        x0, y0, x1, y1 = clip_box(drawn, work.height, work.width)
        if x1 - x0 < 1 or y1 - y0 < 1:
            raise ValueError("a box needs at least one pixel of the image on each side")
        return {"bbox": [round(n, 2) for n in (x0, y0, x1 - x0, y1 - y0)]}
    if message.get("polygons"):
        rings = [[round(float(n), 2) for n in ring] for ring in message["polygons"]]
        rle = checked_rle(rings, work.height, work.width)
        return {"segmentation": rings, "bbox": list(rle_box(rle)), "area": rle_area(rle)}
    return {}


def seconds_of(message: Mapping[str, Any]) -> float:
    """Working time that a message reports, 0 where it reports nothing plausible."""
    seconds = message.get("seconds", 0)
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not number or not math.isfinite(seconds):
        return 0.0
    return round(min(max(float(seconds), 0.0), MAX_SECONDS), 1)


def with_time(work: ImageLabels, message: Mapping[str, Any]) -> ImageLabels:
    """`work` with the message's time, which made no entry."""
    return replace(work, seconds=round(work.seconds + seconds_of(message), 1))


def shown(entry: Entry, work: ImageLabels) -> dict[str, Any]:
    """An entry as the page draws it."""
    kind = annotation_kind(entry).name.lower()
    drawn: dict[str, Any] = {"id": entry["id"], "category": entry["category_id"], "kind": kind}
    if kind == "mask":
        drawn["outline"] = outline_of_segmentation(entry["segmentation"], work.height, work.width)
    elif kind != "tag":
        drawn[kind] = entry["bbox" if kind == "box" else "point"]
    return drawn


def outline_of(mask: NDArray[np.bool_]) -> Outline:
    """Rings around the parts of a (H, W) bool mask and around its holes, on pixel borders."""
    # Twice as large, so that a ring can run along the border of a pixel and not through its centre.
    large = mask.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    rings, _ = cv2.findContours(large, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return [((ring.reshape(-1).astype(float) + 0.5) / 2).tolist() for ring in rings]


def outline_of_segmentation(segmentation: Any, height: int, width: int) -> Outline:
    """Rings of a COCO segmentation; raises SegmentationError where it does not fit the image."""
    if isinstance(segmentation, list):
        return [[float(number) for number in ring] for ring in segmentation]
    return outline_of(decode_segmentation(segmentation, height, width))
