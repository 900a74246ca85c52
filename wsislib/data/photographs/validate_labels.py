"""Checks of what COCO annotations draw: boxes, polygons, run-length codes, points."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wsislib.data.photographs.coco_labels import (
    FAR,
    NumbersError,
    annotation_kind,
    check_amount,
    clip_box,
    numbers,
)
from wsislib.data.photographs.validate_report import Place, Problem
from wsislib.data.photographs.validate_structure import place_of
from wsislib.data.rle import SegmentationError, checked_rle, rle_area, rle_box
from wsislib.data.sample import LabelKind

BOX_SLACK = 2.0
"""Pixels by which a box may leave the image or differ from its mask: rounding of tools."""
AREA_SLACK = 0.1
"""Share by which `area` may differ from the mask's pixels; polygon areas are not pixel counts."""
AREA_PIXELS = 16
"""Pixels by which `area` may differ in any case."""


def check_image_labels(
    annotations: list[dict[str, Any]],
    image: dict[str, Any],
    path: Path,
    kind: LabelKind,
    least: LabelKind,
) -> Iterator[Problem]:
    """Every problem of the annotations of one image.

    Args:
        annotations: of the image, well typed (`validate_structure.whole_records`).
        image: the image's record, well typed, of legal size.
        path: the annotation file, for the messages.
        kind: the dearest kind that is read.
        least: the kind that every annotation must have.

    Yields:
        Problems, annotation by annotation.
    """
    if not annotations:
        message = "has no annotation; it teaches that nothing is there"
        remedy = "leave it out if it was not looked at"
        yield place_of(image, "images", path).warning("image-unlabelled", message, remedy)
    try:
        check_amount(len(annotations), image["height"], image["width"])
    except ValueError as error:
        place = place_of(image, "images", path)
        yield place.error("too-many-instances", str(error), "cut the image into tiles")
        return
    seen: dict[str, int] = {}
    for annotation in annotations:
        place = place_of(annotation, "annotations", path)
        yield from _check_annotation(annotation, image["height"], image["width"], place)
        if not annotation.get("iscrowd"):
            yield from _check_kind(annotation, place, kind, least)
        yield from _check_repeated(annotation, place, seen)


def _check_annotation(
    annotation: dict[str, Any], height: int, width: int, place: Place
) -> Iterator[Problem]:
    have = annotation_kind(annotation)
    mask_box: tuple[float, float, float, float] | None = None
    if have == LabelKind.MASK:
        try:
            rle = checked_rle(annotation["segmentation"], height, width)
        except SegmentationError as error:
            yield place.error(error.code, str(error), error.remedy)
        else:
            area = rle_area(rle)
            if area == 0:
                remedy = "draw the mask again, or delete the annotation"
                yield place.error("mask-empty", "its mask covers no pixel", remedy)
            else:
                mask_box = rle_box(rle)
            yield from _check_area(annotation, area, place)
    if annotation.get("bbox") not in (None, []):
        yield from _check_box(annotation["bbox"], mask_box, height, width, place)
    if annotation.get("point") not in (None, []):
        yield from _check_point(annotation["point"], height, width, place)


def _check_box(
    bbox: Any,
    mask_box: tuple[float, float, float, float] | None,
    height: int,
    width: int,
    place: Place,
) -> Iterator[Problem]:
    try:
        x, y, w, h = numbers(bbox, "bbox", 4)
    except NumbersError as error:
        yield place.error(error.code, str(error), "write [x, y, width, height] in pixels")
        return
    text = f"box [{x:g}, {y:g}, {w:g}, {h:g}]"
    if w <= 0 or h <= 0:
        message = f"{text} is empty: width and height must be above 0"
        yield place.error("box-empty", message, "draw the box again, or delete the annotation")
        return
    x0, y0, x1, y1 = clip_box(bbox, height, width)
    beyond = max(-x, -y, x + w - width, y + h - height)
    if x0 >= x1 or y0 >= y1 or beyond > BOX_SLACK:
        message = f"{text} leaves the image of {width} x {height} pixels"
        remedy = "give [x, y, width, height] in pixels of this image, not corners or fractions"
        yield place.error("box-outside", message, remedy)
        return
    if mask_box is not None:
        mx, my, mw, mh = mask_box
        off = max(abs(mx - x), abs(my - y), abs(mx + mw - x - w), abs(my + mh - y - h))
        if off > BOX_SLACK:
            message = f"{text} misses its mask's box [{mx:g}, {my:g}, {mw:g}, {mh:g}] by {off:g}"
            remedy = "compute the box from the mask"
            yield place.warning("box-differs", message, remedy)


def _check_point(point: Any, height: int, width: int, place: Place) -> Iterator[Problem]:
    try:
        x, y = numbers(point, "point", 2)
    except NumbersError as error:
        yield place.error(error.code, str(error), "write [x, y] in pixels")
        return
    if not (0 <= x <= width and 0 <= y <= height):
        message = f"point [{x:g}, {y:g}] lies outside the image of {width} x {height} pixels"
        yield place.error("point-outside", message, "give [x, y] in pixels of this image")


def _check_area(annotation: dict[str, Any], pixels: int, place: Place) -> Iterator[Problem]:
    area = annotation.get("area")
    if area is None:
        return
    remedy = "write the mask's pixel count: it decides between small, medium and large"
    if isinstance(area, bool) or not isinstance(area, int | float):
        yield place.error("wrong-type", f"'area' is {area!r:.60}, must be a number", remedy)
    elif not abs(area) < FAR:
        yield place.error("not-finite", f"'area' is {area!r:.60}", remedy)
    elif abs(area - pixels) > max(AREA_PIXELS, AREA_SLACK * pixels):
        message = f"'area' is {area:g}, its mask has {pixels} pixels"
        yield place.warning("area-differs", message, remedy)


def _check_kind(
    annotation: dict[str, Any], place: Place, kind: LabelKind, least: LabelKind
) -> Iterator[Problem]:
    """A label kind without what it needs."""
    have = annotation_kind(annotation)
    carrier = {
        LabelKind.TAG: "nothing but its category",
        LabelKind.POINT: "a point",
        LabelKind.BOX: "a box",
        LabelKind.MASK: "a mask",
    }
    if have < least:
        message = f"has {carrier[have]}; at least {carrier[least]} is needed"
        remedy = (
            f"add {carrier[least]}, delete the annotation, or allow less (--least "
            f"{have.name.lower()}) for a model that learns from it"
        )
        yield place.error("kind-missing", message, remedy)
    elif kind == LabelKind.POINT and have > kind and annotation.get("point") in (None, []):
        message = f"has {carrier[have]} but no 'point', and points are asked for"
        remedy = "add 'point': [x, y] on the object, or draw points from the masks"
        yield place.error("kind-missing", message, remedy)
    elif have < kind:
        message = f"has {carrier[have]}, {carrier[kind]} is asked for; it is read as what it is"
        remedy = f"add {carrier[kind]} if it is missing by mistake"
        yield place.warning("kind-weaker", message, remedy)


def _check_repeated(
    annotation: dict[str, Any], place: Place, seen: dict[str, int]
) -> Iterator[Problem]:
    keys = ("category_id", "segmentation", "bbox", "point", "iscrowd")
    content = repr([annotation.get(key) for key in keys])
    if content in seen:
        message = f"says the same as annotation {seen[content]}"
        yield place.warning("duplicate-annotation", message, "delete one of them")
    seen.setdefault(content, annotation["id"])
