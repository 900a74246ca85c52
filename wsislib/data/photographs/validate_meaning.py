"""Checks of what a whole COCO file says: is there anything to learn, can it be meant so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from wsislib.data.photographs.ap_ceiling import METRIC_LIMIT, ap_ceiling
from wsislib.data.photographs.coco_labels import Annotation
from wsislib.data.photographs.validate_report import Location, Problem


def check_meaning(
    annotations: Mapping[int, list[dict[str, Any]]], declared: int, path: Path, allow_empty: bool
) -> Iterator[Problem]:
    """Problems of a COCO file as a whole.

    Args:
        annotations: the well-typed ones, by image id.
        declared: how many annotations the file holds, well typed or not.
        path: of the file.
        allow_empty: whether a file without any annotation is meant so.
    """
    here = Location(str(path))
    members = [one for group in annotations.values() for one in group]
    if declared == 0 and not allow_empty:
        message = "holds no annotation at all; a model would learn that there is nothing to find"
        remedy = "label some images; `wsis train --allow-empty` learns from images without objects"
        yield here.error("no-annotation", message, remedy)
    if members and all(one.get("iscrowd") == 1 for one in members):
        message = (
            f"all {len(members)} annotations are crowd regions ('iscrowd' 1), which no model learns"
        )
        remedy = "make 'iscrowd' 0 where an annotation is one object; some tools write 1 on RLE"
        yield here.error("all-crowd", message, remedy)
    placed = [held for one in members if (held := _coordinates(one))]
    fractions = sum(all(0 <= value <= 1 for value in held) for held in placed)
    if placed and 2 * fractions > len(placed):
        message = (
            f"{fractions} of {len(placed)} annotations lie within 0..1: they are fractions of the "
            "image, not pixels"
        )
        remedy = "multiply x and width by the image's width, y and height by its height"
        yield here.error("fractions", message, remedy)
    yield from _check_amounts(annotations, here)


def amounts_of(annotations: Mapping[int, list[Any]]) -> dict[int, dict[int, int]]:
    """Objects of each image and category, crowd regions left out."""
    counted: dict[int, dict[int, int]] = {}
    for image_id, members in annotations.items():
        of_image = counted.setdefault(image_id, {})
        for one in members:
            if not one.get("iscrowd"):
                category = one["category_id"]
                of_image[category] = of_image.get(category, 0) + 1
    return counted


def _check_amounts(
    annotations: Mapping[int, list[dict[str, Any]]], here: Location
) -> Iterator[Problem]:
    amounts = amounts_of(annotations)
    many = [image for image, of in amounts.items() if max(of.values(), default=0) > METRIC_LIMIT]
    if many:
        most = max(max(amounts[image].values()) for image in many)
        some = ", ".join(map(str, many[:3])) + (", ..." if len(many) > 3 else "")
        message = (
            f"{len(many)} images hold more than {METRIC_LIMIT} objects of a category (up to "
            f"{most}; images {some}), and COCO's AP counts {METRIC_LIMIT} detections of an image "
            f"and category: perfect predictions of this file reach AP {ap_ceiling(amounts):.1f}"
        )
        remedy = (
            f"`wsis evaluate --max-detections {most}` counts more, or cut the images into tiles"
        )
        yield here.warning("many-objects", message, remedy)


def _coordinates(annotation: Annotation) -> list[float]:
    """All numbers of an annotation's box, polygons and point; none where some are no numbers."""
    held = [value for key in ("bbox", "point") for value in _listed(annotation.get(key))]
    held += [value for part in _listed(annotation.get("segmentation")) for value in _listed(part)]
    return held if all(map(_is_number, held)) else []


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
