"""CVAT's own XML, "CVAT for images 1.1": read and written.

Its documentation, "XML annotation format": boxes by corners, `rotation` in degrees clockwise about
the centre; points as "x,y;x,y"; masks by `left`, `top`, `width`, `height` and row-major run lengths
that begin with background; image-level tags; shapes of one `group_id` are parts of one object.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from wsislib.data.rle import decode_segmentation
from wsislib.formats.picture_names import PictureFinder
from wsislib.formats.record import ConversionReport, LabelledPicture, Labels, Region
from wsislib.formats.shapes import (
    box_fields,
    ellipse_ring,
    mask_crop,
    mask_from_runs,
    pasted_mask,
    ring_fields,
    runs_of_rows,
    turned,
    upright_box,
)
from wsislib.formats.untrusted import name_of, number, parse_xml, whole_number

Point = tuple[float, float]


def read_cvat(source: Path, finder: PictureFinder, report: ConversionReport) -> Labels:
    """The labels of an XML file, or of `annotations.xml` in a folder."""
    path = source / "annotations.xml" if source.is_dir() else source
    root = parse_xml(path)
    images = root.findall("image")
    if root.tag != "annotations" or not images:
        video = " (tracks of a video are not read)" if root.find("track") is not None else ""
        raise ValueError(f"{path}: holds no image{video}; export it as 'CVAT for images 1.1'")
    labels = [found for found in root.iterfind(".//meta//labels/label/name") if found.text]
    names = []
    for label in labels:
        with report.entry(f"{path}: label"):
            names.append(name_of(label.text, "name"))
    pictures = []
    for image in images:
        with report.entry(f"{path}: image {image.get('id')}"):
            pictures.append(_picture(image, report))
    return Labels(pictures, list(dict.fromkeys(names)))


def _picture(image: Element, report: ConversionReport) -> LabelledPicture:
    name = name_of(image.get("name"), "name")
    width = whole_number(image.get("width"), "width")
    height = whole_number(image.get("height"), "height")
    picture = LabelledPicture(name, width, height)
    for number_, shape in enumerate(image, start=1):
        where = f"{name}: {shape.tag} {number_}"
        if shape.tag not in _READERS:
            report.lose(f"{shape.tag:.40} of CVAT", where)
            continue
        with report.entry(where):
            category = name_of(shape.get("label"), "label")
            fields = _READERS[shape.tag](shape, picture, report, where)
            group = shape.get("group_id")
            score = shape.find("attribute[@name='score']")
            picture.regions.append(
                Region(
                    category,
                    fields,
                    None if score is None else number(score.text, "score"),
                    group=group if group and group != "0" else None,
                )
            )
            others = [a for a in shape.findall("attribute") if a.get("name") != "score"]
            if others:
                report.lose("attributes of a shape", where)
    return picture


def _box(
    shape: Element, _: LabelledPicture, report: ConversionReport, where: str
) -> dict[str, Any]:
    x0, y0, x1, y1 = (number(shape.get(key), key) for key in ("xtl", "ytl", "xbr", "ybr"))
    degrees = number(shape.get("rotation", "0"), "rotation") % 360
    if not degrees:
        return box_fields(x0, y0, x1, y1)
    report.change("rotated box, read as the upright box around it", where)
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    return upright_box(turned(corners, ((x0 + x1) / 2, (y0 + y1) / 2), degrees))


def _polygon(shape: Element, *_: Any) -> dict[str, Any]:
    return ring_fields(_pairs(shape))


def _points(
    shape: Element, _: LabelledPicture, report: ConversionReport, where: str
) -> dict[str, Any]:
    pairs = _pairs(shape)
    if len(pairs) > 1:
        report.lose("points of one shape after its first", f"{where}: {len(pairs) - 1}")
    return {"point": list(pairs[0])}


def _ellipse(
    shape: Element, _: LabelledPicture, report: ConversionReport, where: str
) -> dict[str, Any]:
    cx, cy, rx, ry = (number(shape.get(key), key) for key in ("cx", "cy", "rx", "ry"))
    report.change("ellipse, read as a polygon", where)
    degrees = number(shape.get("rotation", "0"), "rotation")
    return ring_fields(ellipse_ring((cx, cy), rx, ry, degrees))


def _mask(shape: Element, picture: LabelledPicture, *_: Any) -> dict[str, Any]:
    keys = ("left", "top", "width", "height")
    left, top, width, height = (whole_number(shape.get(key), key) for key in keys)
    runs = [whole_number(run, "rle") for run in (shape.get("rle") or "").split(",")]
    assert picture.width is not None and picture.height is not None
    crop = mask_from_runs(runs, width, height)
    return pasted_mask(crop, left, top, picture.width, picture.height)


def _tag(*_: Any) -> dict[str, Any]:
    return {}


_READERS: dict[str, Callable[[Element, LabelledPicture, ConversionReport, str], dict[str, Any]]] = {
    "box": _box,
    "polygon": _polygon,
    "points": _points,
    "ellipse": _ellipse,
    "mask": _mask,
    "tag": _tag,
}


def _pairs(shape: Element) -> list[Point]:
    """The points of a shape, written "x,y;x,y"."""
    found = []
    for pair in (shape.get("points") or "").split(";"):
        x, comma, y = pair.partition(",")
        if not comma:
            raise ValueError(f"'points' holds {pair!r:.60}, must be x,y")
        found.append((number(x, "points"), number(y, "points")))
    return found


def write_cvat(labels: Labels, report: ConversionReport) -> bytes:
    """The XML of cleaned labels. A polygon of several rings becomes a group of polygons."""
    root = Element("annotations")
    SubElement(root, "version").text = "1.1"
    declared = SubElement(SubElement(SubElement(root, "meta"), "job"), "labels")
    for name in labels.names:
        SubElement(SubElement(declared, "label"), "name").text = name
    group = 0
    for index, picture in enumerate(labels.pictures):
        facts = {"id": index, "name": picture.name, "width": picture.width}
        image = SubElement(root, "image", _texts(facts | {"height": picture.height}))
        for region in picture.regions:
            if region.crowd:
                report.lose("crowd mark of a region", f"{picture.name}: {region.category}")
            shapes = list(_shapes(region, picture))
            group += len(shapes) > 1
            for tag, values in shapes:
                common = {"label": region.category, "source": "manual", "occluded": 0, "z_order": 0}
                common |= {"group_id": group} if len(shapes) > 1 else {}
                shape = SubElement(image, tag, _texts(common | values))
                if region.score is not None:
                    SubElement(shape, "attribute", {"name": "score"}).text = repr(region.score)
    indent(root)
    return tostring(root, encoding="utf-8", xml_declaration=True)


def _shapes(region: Region, picture: LabelledPicture) -> list[tuple[str, dict[str, Any]]]:
    fields = region.fields
    if region.kind == "segmentation":
        if isinstance(fields["segmentation"], list):
            return [("polygon", {"points": _joined(ring)}) for ring in fields["segmentation"]]
        assert picture.width is not None and picture.height is not None
        mask = decode_segmentation(fields["segmentation"], picture.height, picture.width)
        crop, left, top = mask_crop(mask)
        runs = ", ".join(map(str, runs_of_rows(crop)))
        size = {"left": left, "top": top, "width": crop.shape[1], "height": crop.shape[0]}
        return [("mask", {"rle": runs, **size})]
    if region.kind == "bbox":
        x, y, w, h = fields["bbox"]
        return [("box", {"xtl": x, "ytl": y, "xbr": x + w, "ybr": y + h})]
    if region.kind == "point":
        return [("points", {"points": _joined(fields["point"])})]
    return [("tag", {})]


def _joined(values: list[float]) -> str:
    return ";".join(f"{x!r},{y!r}" for x, y in zip(values[::2], values[1::2], strict=True))


def _texts(values: dict[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in values.items()}
