"""What a labelling page says, as the file has it, and what the file has, as the page draws it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from wsislib.annotate.outlines import outline_of_segmentation
from wsislib.annotate.work import Entry, Work
from wsislib.data.photographs.coco_labels import annotation_kind, clip_box, numbers
from wsislib.data.rle import checked_rle, rle_area, rle_box

LONGEST = 120.0  # seconds between two actions that count as work; a longer gap is a break


def place_of(message: Mapping[str, Any], work: Work) -> dict[str, Any]:
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
    """Working time that a message reports, 0 where it reports none that can be."""
    said = message.get("seconds", 0)
    if isinstance(said, bool) or not isinstance(said, int | float) or not math.isfinite(said):
        return 0.0
    return round(min(max(float(said), 0.0), LONGEST), 1)


def with_time(work: Work, message: Mapping[str, Any]) -> Work:
    """With time that made no entry."""
    return replace(work, seconds=round(work.seconds + seconds_of(message), 1))


def shown(entry: Entry, work: Work) -> dict[str, Any]:
    """An entry as the page draws it."""
    kind = annotation_kind(entry).name.lower()
    seen: dict[str, Any] = {"id": entry["id"], "category": entry["category_id"], "kind": kind}
    if kind == "mask":
        segmentation = entry["segmentation"]
        seen["outline"] = outline_of_segmentation(segmentation, work.height, work.width)
    elif kind != "tag":
        seen[kind] = entry["bbox" if kind == "box" else "point"]
    return seen
