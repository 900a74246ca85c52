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
from wsislib.data.photographs.validate_report import Location, Problem
from wsislib.data.photographs.validate_structure import CONVERT, record_location
from wsislib.data.rle import SegmentationError, checked_rle, rle_area, rle_box
from wsislib.data.sample import LabelKind

BOX_SLACK = 2.0  # pixels by which a box may leave the image or differ from its mask: rounding
# Polygon areas are no pixel counts: `area` may differ by this share, and by so many pixels.
AREA_SLACK, AREA_PIXELS = 0.1, 16


def check_image_labels(
    annotations: list[dict[str, Any]],
    image: dict[str, Any],
    path: Path,
    kind: LabelKind,
    least: LabelKind,
) -> Iterator[Problem]:
    """Every problem of the annotations of one image, all records well typed.

    `kind` is the most expensive kind that is read, `least` the one that each annotation needs.
    """
    here = record_location(image, "images", path)
    if not annotations:
        message = "has no annotation; it teaches that nothing is there"
        remedy = "leave it out if it was not looked at"
        yield here.warning("image-unlabelled", message, remedy)
    try:
        check_amount(len(annotations))
    except ValueError as error:
        yield here.error(
            "too-many-instances", str(error), "cut the images into tiles with `wsis data tile`"
        )
        return
    seen: dict[str, int] = {}
    for annotation in annotations:
        here = record_location(annotation, "annotations", path)
        yield from _check_annotation(annotation, image["height"], image["width"], here)
        if not annotation.get("iscrowd"):
            yield from _check_kind(annotation, here, kind, least)
        yield from _check_repeated(annotation, here, seen)


def _check_annotation(
    annotation: dict[str, Any], height: int, width: int, here: Location
) -> Iterator[Problem]:
    mask_box: tuple[float, float, float, float] | None = None
    if annotation_kind(annotation) == LabelKind.MASK:
        try:
            rle = checked_rle(annotation["segmentation"], height, width)
        except SegmentationError as error:
            yield here.error(error.code, str(error), error.remedy)
        else:
            area = rle_area(rle)
            mask_box = rle_box(rle) if area else None
            if not area:
                remedy = "draw the mask again, or delete the annotation"
                yield here.error("mask-empty", "its mask covers no pixel", remedy)
            yield from _check_area(annotation, area, here)
    if annotation.get("keypoints") and _is_without_area(annotation.get("bbox")):
        message = "has key points and an empty box, as exports of points do"
        yield here.error("key-points", message, f"read them as points: {CONVERT}")
    elif annotation.get("bbox") not in (None, []):
        yield from _check_box(annotation["bbox"], mask_box, height, width, here)
    if annotation.get("point") not in (None, []):
        yield from _check_point(annotation["point"], height, width, here)


def _is_without_area(bbox: Any) -> bool:
    """Whether a box is written and covers nothing."""
    return isinstance(bbox, list) and len(bbox) == 4 and (bbox[2] == 0 or bbox[3] == 0)


def _check_box(
    bbox: Any,
    mask_box: tuple[float, float, float, float] | None,
    height: int,
    width: int,
    here: Location,
) -> Iterator[Problem]:
    try:
        x, y, w, h = numbers(bbox, "bbox", 4)
    except NumbersError as error:
        yield here.error(error.code, str(error), "write [x, y, width, height] in pixels")
        return
    text = f"box [{x:g}, {y:g}, {w:g}, {h:g}]"
    if w <= 0 or h <= 0:
        message = f"{text} is empty: width and height must be above 0"
        yield here.error("box-empty", message, "draw the box again, or delete the annotation")
        return
    x0, y0, x1, y1 = clip_box(bbox, height, width)
    beyond = max(-x, -y, x + w - width, y + h - height)
    if x0 >= x1 or y0 >= y1 or beyond > BOX_SLACK:
        message = f"{text} leaves the image of {width} x {height} pixels"
        remedy = "give [x, y, width, height] in pixels of this image, not corners or fractions"
        yield here.error("box-outside", message, remedy)
        return
    if min(w, h) < 1:
        message = f"{text} is thinner than a pixel"
        remedy = "draw the box again, in pixels of this image; fractions of it are not read"
        yield here.warning("box-thin", message, remedy)
    if mask_box is not None:
        mx, my, mw, mh = mask_box
        off = max(abs(mx - x), abs(my - y), abs(mx + mw - x - w), abs(my + mh - y - h))
        if off > BOX_SLACK:
            message = f"{text} misses its mask's box [{mx:g}, {my:g}, {mw:g}, {mh:g}] by {off:g}"
            remedy = "compute the box from the mask"
            yield here.warning("box-differs", message, remedy)


def _check_point(point: Any, height: int, width: int, here: Location) -> Iterator[Problem]:
    try:
        x, y = numbers(point, "point", 2)
    except NumbersError as error:
        yield here.error(error.code, str(error), "write [x, y] in pixels")
        return
    if not (0 <= x <= width and 0 <= y <= height):
        message = f"point [{x:g}, {y:g}] lies outside the image of {width} x {height} pixels"
        yield here.error("point-outside", message, "give [x, y] in pixels of this image")


def _check_area(annotation: dict[str, Any], pixels: int, here: Location) -> Iterator[Problem]:
    area = annotation.get("area")
    if area is None:
        return
    remedy = "write the mask's pixel count: it decides between small, medium and large"
    if isinstance(area, bool) or not isinstance(area, int | float):
        yield here.error("wrong-type", f"'area' is {area!r:.60}, must be a number", remedy)
    elif not abs(area) < FAR:
        yield here.error("not-finite", f"'area' is {area!r:.60}", remedy)
    elif abs(area - pixels) > max(AREA_PIXELS, AREA_SLACK * pixels):
        message = f"'area' is {area:g}, its mask has {pixels} pixels"
        yield here.warning("area-differs", message, remedy)


def _check_kind(
    annotation: dict[str, Any], here: Location, kind: LabelKind, least: LabelKind
) -> Iterator[Problem]:
    """A label kind without what it needs."""
    have = annotation_kind(annotation)
    carrier = ("nothing but its category", "a point", "a box", "a mask")  # by kind
    if have < least:
        message = f"has {carrier[have]}; at least {carrier[least]} is needed"
        remedy = (
            f"add {carrier[least]}, delete the annotation, or learn from it as it is: "
            f"`wsis data check --least {have.name.lower()}`, `wsis train --model wish`"
        )
        yield here.error("kind-missing", message, remedy)
    elif kind == LabelKind.POINT and have > kind and annotation.get("point") in (None, []):
        message = f"has {carrier[have]} but no 'point', and points are asked for"
        remedy = "add 'point': [x, y] on the object, or draw points from the masks"
        yield here.error("kind-missing", message, remedy)
    elif have < kind:
        message = f"has {carrier[have]}, not {carrier[kind]}; it is read as what it is"
        remedy = f"add {carrier[kind]} if it is missing by mistake"
        yield here.warning("kind-weaker", message, remedy)


def _check_repeated(
    annotation: dict[str, Any], here: Location, seen: dict[str, int]
) -> Iterator[Problem]:
    keys = ("category_id", "segmentation", "bbox", "point", "iscrowd")
    content = repr([annotation.get(key) for key in keys])
    if content in seen:
        message = f"says the same as annotation {seen[content]}"
        yield here.warning("duplicate-annotation", message, "delete one of them")
    seen.setdefault(content, annotation["id"])
