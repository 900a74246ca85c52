"""From a labelling page's messages to COCO entries, and from entries to what the page draws."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from wsislib.annotate.image_labels import Entry, ImageLabels
from wsislib.data.photographs.coco_labels import annotation_kind, clip_box, numbers
from wsislib.data.rle import (
    MAX_VERTICES,
    checked_rle,
    decode_segmentation,
    encode_mask,
    rle_area,
    rle_box,
)

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
    if message.get("stroke"):
        return mask_fields(_stroke(message, work))
    return {}


def edited(entry: Entry, message: Mapping[str, Any], work: ImageLabels) -> dict[str, Any]:
    """A MASK entry with what the page drew painted onto it, or erased from it where `op` says so.

    Holes and parts are kept as run-length code, as COCO's polygons cannot say a hole. Raises
    ValueError where the entry has no mask, nothing was drawn, or nothing would be left.
    """
    if annotation_kind(entry).name != "MASK":
        raise ValueError("only a mask can be painted on or erased; choose one, or draw one")
    if message.get("op") not in ("paint", "erase"):
        raise ValueError(
            f"the page asked to {message.get('op')!r} a mask; paint and erase are known"
        )
    mask = decode_segmentation(entry["segmentation"], work.height, work.width).copy()
    if message.get("stroke"):
        drawn = _stroke(message, work)
    else:
        drawn = decode_segmentation(message["polygons"], work.height, work.width)
    mask[drawn] = message["op"] == "paint"
    if not mask.any():
        raise ValueError("nothing of the mask would be left; remove the entry instead")
    return {**entry, **mask_fields(mask)}


def mask_fields(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """`segmentation`, `bbox` and `area` of a (H, W) mask that is not empty."""
    rle = encode_mask(mask)
    return {"segmentation": rle, "bbox": list(rle_box(rle)), "area": rle_area(rle)}


def _stroke(message: Mapping[str, Any], work: ImageLabels) -> NDArray[np.bool_]:
    """(H, W) bool of a brush of `width` pixels along `stroke`, [x0, y0, x1, y1, ...]."""
    stroke, width = message["stroke"], message.get("width", 1)
    numeric = all(isinstance(n, int | float) and math.isfinite(n) for n in (*stroke, width))
    if not numeric or len(stroke) % 2 or len(stroke) > 2 * MAX_VERTICES:
        raise ValueError("a stroke is a list of finite numbers x and y, and a width")
    # OpenCV's coordinates are those of pixel centres, here in sixteenths of a pixel.
    limit = 2.0 * max(work.width, work.height)
    path = np.clip(np.array(stroke, dtype=np.float64).reshape(-1, 2), -limit, limit) - 0.5
    path = np.rint(path.repeat(2 if len(path) == 1 else 1, axis=0) * 16).astype(np.int32)
    canvas = np.zeros((work.height, work.width), dtype=np.uint8)
    thick = max(1, min(round(width), 1000))
    cv2.polylines(canvas, [path], isClosed=False, color=1, thickness=thick, shift=4)
    if not canvas.any():
        raise ValueError("the stroke lies outside the image")
    return canvas.astype(bool)


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
    columns, rows = (np.flatnonzero(mask.any(axis=axis)) for axis in (0, 1))
    if not rows.size:
        return []
    x, y = int(columns[0]), int(rows[0])
    part = mask[y : rows[-1] + 1, x : columns[-1] + 1]  # a large image costs what its object costs
    # Twice as large, so that a ring can run along the border of a pixel and not through its centre.
    large = part.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    rings, _ = cv2.findContours(large, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    moved = ((ring.reshape(-1, 2).astype(float) + 0.5) / 2 + (x, y) for ring in rings)
    return [ring.reshape(-1).tolist() for ring in moved]


def outline_of_segmentation(segmentation: Any, height: int, width: int) -> Outline:
    """Rings of a COCO segmentation; raises SegmentationError where it does not fit the image."""
    if isinstance(segmentation, list):
        return [[float(number) for number in ring] for ring in segmentation]
    return _outline_of_code(checked_rle(segmentation, height, width)["counts"], height, width)


@lru_cache(maxsize=1024)  # the page shows an image's masks after every change of one of them
def _outline_of_code(counts: bytes, height: int, width: int) -> Outline:
    return outline_of(
        decode_segmentation({"size": [height, width], "counts": counts}, height, width)
    )
