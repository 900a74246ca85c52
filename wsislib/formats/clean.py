"""From what a tool says to what can be trained on: files found, shapes checked, names agreed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from wsislib.data.photographs.coco_labels import clip_box
from wsislib.data.photographs.validate_labels import BOX_SLACK
from wsislib.data.rle import (
    SegmentationError,
    checked_rle,
    decode_segmentation,
    encode_mask,
    rle_area,
    rle_box,
)
from wsislib.formats.picture_names import PictureFinder, path_form, plain_path
from wsislib.formats.record import ConversionReport, LabelledPicture, Labels, Region
from wsislib.formats.shapes import require_area
from wsislib.formats.untrusted import list_of, number


def clean_labels(
    labels: Labels, finder: PictureFinder, report: ConversionReport, least_score: float = 0.0
) -> Labels:
    """Labels whose pictures exist, whose shapes are sound and whose categories are declared.

    Names become those of files under the finder's root, where it has any. Predictions below
    `least_score` are left out.
    """
    meant: dict[str, list[tuple[str, LabelledPicture]]] = {}  # by file, with the source's names
    for picture in labels.pictures:
        with report.entry(f"picture {picture.name:.200}"):
            name = _found(picture.name, finder, report)
            size = _size(picture, name, finder, report)
            regions = _regions(picture, name, size, least_score, report)
            width, height = size
            sound = replace(picture, name=name, width=width, height=height, regions=regions)
            meant.setdefault(name, []).append((picture.name, sound))
    pictures = []
    for name, found in meant.items():
        with report.entry(f"picture {name:.200}"):
            pictures.append(_as_one(found, report))
    if not pictures:
        raise ValueError("no picture could be read; the report says why:\n" + report.text())
    used = {region.category for picture in pictures for region in picture.regions}
    names = [*labels.names, *sorted(used - set(labels.names))]
    if not names:
        raise ValueError("no category is declared and nothing is labelled")
    ids = labels.ids if used <= set(labels.ids) else {}
    return replace(labels, pictures=pictures, names=names, ids=ids)


def only_categories(
    labels: Labels, names: Sequence[str], ids: dict[str, int], report: ConversionReport
) -> Labels:
    """Labels of the categories of another list, with its ids; the rest is left out."""
    for picture in labels.pictures:
        for region in picture.regions:
            if region.category not in names:
                where = f"{picture.name}: {region.category}"
                report.lose("label of a category that is not in the list", where)
        picture.regions = [region for region in picture.regions if region.category in names]
    return replace(labels, names=list(names), ids=ids)


def _found(name: str, finder: PictureFinder, report: ConversionReport) -> str:
    """The picture's file, or its name as a plain path where no pictures are at hand."""
    found = finder.find(name) if finder.names else plain_path(name, "://" in name)
    if found != name:
        report.change("name of a picture", f"{name!r:.200} -> {found!r:.200}")
    if not found:
        raise ValueError("a name without a file")
    return found


def _as_one(found: list[tuple[str, LabelledPicture]], report: ConversionReport) -> LabelledPicture:
    """All that a source says of one file; ValueError where it may speak of two."""
    (name, first), *others = found
    for other_name, other in others:
        if path_form(other_name) != path_form(name):
            raise ValueError(
                f"{name!r:.200} and {other_name!r:.200} seem to mean it; none is taken"
            )
        if (other.width, other.height) != (first.width, first.height):
            raise ValueError("is named twice, with two sizes")
        report.change("picture that is named twice, labels joined", first.name)
        first.regions += [one for one in other.regions if one not in first.regions]
    return first


def _size(
    picture: LabelledPicture, name: str, finder: PictureFinder, report: ConversionReport
) -> tuple[int, int]:
    if picture.width is None or picture.height is None:
        if not finder.names:
            raise ValueError("no size is given; say --images FOLDER, and it is read from the file")
        if picture.regions:
            report.change("size that was missing, read from the picture", name)
        return finder.size(name)
    require_area(picture.width, picture.height)
    size = picture.width, picture.height
    if finder.names:
        with suppress(ValueError):  # `wsis data check` names pictures that cannot be read
            actual = finder.size(name)
            if actual != size:
                what = "labels made on another size than the picture has; `wsis data check` judges"
                report.change(what, f"{name}: {size[0]} x {size[1]}, not {actual[0]} x {actual[1]}")
    return size


def _regions(
    picture: LabelledPicture,
    name: str,
    size: tuple[int, int],
    least: float,
    report: ConversionReport,
) -> list[Region]:
    cleaned: list[Region] = []
    for place, region in enumerate(picture.regions, start=1):
        if region.score is not None and region.score < least:
            report.lose(f"prediction with a score below {least:g}", f"{name}: {region.category}")
            continue
        with report.entry(f"{name}: label {place} ({region.category:.60})"):
            fields = _fields(region, size, f"{name}: label {place}", report)
            cleaned.append(replace(region, fields=fields))
    return _joined_groups(cleaned, name, size, report)


def _fields(
    region: Region, size: tuple[int, int], where: str, report: ConversionReport
) -> dict[str, Any]:
    """Sound fields of a region; ValueError where none of what it had is left."""
    (width, height), given = size, region.fields
    found: dict[str, Any] = {}
    faults: list[str] = []
    rle = None
    if given.get("segmentation"):
        try:
            found["segmentation"], rle = _mask(given["segmentation"], width, height, where, report)
        except ValueError as error:
            faults.append(f"mask: {error}")
    if given.get("bbox"):
        try:
            found["bbox"] = _box(given["bbox"], width, height, where, report)
        except ValueError as error:
            if rle is None:
                faults.append(f"box: {error}")
    if rle is not None:
        tight = [float(side) for side in rle_box(rle)]
        if "bbox" not in found or _apart(found["bbox"], tight) > BOX_SLACK:
            if given.get("bbox"):
                report.change("box that is not its mask's, drawn again", where)
            found["bbox"] = tight
    if given.get("point"):
        x, y = (number(value, "point") for value in list_of(given["point"], "point")[:2])
        if 0 <= x <= width and 0 <= y <= height:
            found["point"] = [x, y]
        else:
            faults.append(f"point [{x:g}, {y:g}] lies outside the picture")
    if faults and not found:
        raise ValueError("; ".join(faults))
    for fault in faults:
        report.lose("part of a label that cannot be read, the rest is kept", f"{where}: {fault}")
    return found


def _mask(
    given: Any, width: int, height: int, where: str, report: ConversionReport
) -> tuple[Any, dict[str, Any]]:
    """A sound segmentation, and its checked code."""
    if isinstance(given, list) and all(isinstance(v, int | float | str) for v in given):
        report.change("polygon that was one flat list", where)
        given = [given]
    if isinstance(given, list):
        rings = []
        for ring in given:
            values = [number(v, "polygon") for v in list_of(ring, "polygon")]
            if len(values) < 6 or len(values) % 2:
                report.lose("polygon of fewer than 3 points", where)
                continue
            rings.append(values)
        given = rings
    try:
        rle = checked_rle(given, height, width)
    except SegmentationError as error:
        raise ValueError(f"{error} ({error.remedy})") from None
    if rle_area(rle) == 0:
        raise ValueError("covers no pixel")
    if isinstance(given, list):
        return given, rle
    text = rle["counts"].decode("ascii") if isinstance(rle["counts"], bytes) else rle["counts"]
    return {"size": [height, width], "counts": text}, rle


def _box(given: Any, width: int, height: int, where: str, report: ConversionReport) -> list[float]:
    values = [number(side, "bbox") for side in list_of(given, "bbox")]
    if len(values) != 4:
        raise ValueError(f"{len(values)} numbers, must be 4")
    x, y, w, h = values
    if w <= 0 or h <= 0:
        raise ValueError(f"[{x:g}, {y:g}, {w:g}, {h:g}] is empty")
    x0, y0, x1, y1 = clip_box(values, height, width)
    if x0 >= x1 or y0 >= y1:
        raise ValueError(f"[{x:g}, {y:g}, {w:g}, {h:g}] lies outside the picture")
    if max(-x, -y, x + w - width, y + h - height) > BOX_SLACK:
        report.change("box that left its picture, cut off", where)
        return [x0, y0, x1 - x0, y1 - y0]
    return values


def _apart(box: Sequence[float], tight: Sequence[float]) -> float:
    edges = [(b[0], b[1], b[0] + b[2], b[1] + b[3]) for b in (box, tight)]
    return max(abs(one - other) for one, other in zip(*edges, strict=True))


def _joined_groups(
    regions: list[Region], name: str, size: tuple[int, int], report: ConversionReport
) -> list[Region]:
    """Masks of one group and category as one object; what is no mask stays as it is."""
    found: list[Region] = []
    first: dict[tuple[str, str], int] = {}
    for region in regions:
        key = (region.category, region.group or "")
        if region.group is None or region.kind != "segmentation":
            found.append(replace(region, group=None))
        elif key not in first:
            first[key] = len(found)
            found.append(replace(region, group=None))
        else:
            report.change("shapes of one group, joined to one object", f"{name}: {key[0]}")
            place = first[key]
            found[place] = _union(found[place], region, size)
    return found


def _union(one: Region, other: Region, size: tuple[int, int]) -> Region:
    width, height = size
    parts = [region.fields["segmentation"] for region in (one, other)]
    if all(isinstance(part, list) for part in parts):
        whole: Any = [*parts[0], *parts[1]]
    else:
        whole = encode_mask(
            np.logical_or(*(decode_segmentation(part, height, width) for part in parts))
        )
    tight = [float(side) for side in rle_box(checked_rle(whole, height, width))]
    return replace(one, fields={**one.fields, "segmentation": whole, "bbox": tight})
