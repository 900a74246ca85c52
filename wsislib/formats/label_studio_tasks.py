"""Label Studio's tasks with annotations or predictions, and their labelling interface: written."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from wsislib.data.rle import decode_segmentation
from wsislib.formats.brush import encode_brush
from wsislib.formats.record import ConversionReport, LabelledPicture, Labels, Region

# Form of a region -> control, key of its labels, name in the interface.
_CONTROLS = {
    "bbox": ("RectangleLabels", "rectanglelabels", "box"),
    "polygon": ("PolygonLabels", "polygonlabels", "polygon"),
    "brush": ("BrushLabels", "brushlabels", "brush"),
    "point": ("KeyPointLabels", "keypointlabels", "point"),
    "tag": ("Choices", "choices", "tags"),
}


def write_label_studio(labels: Labels, report: ConversionReport) -> bytes:
    """Tasks for import: predictions where there are scores, else annotations.

    Pictures are named as files of local storage, relative to its root.
    """
    tasks = []
    for picture in labels.pictures:
        results = []
        for place, region in enumerate(picture.regions):
            if region.crowd:
                report.lose("crowd mark of a region", f"{picture.name}: {region.category}")
            results.append(_result(region, picture, f"r{place}", report))
        scores = [region.score for region in picture.regions if region.score is not None]
        made: dict[str, Any] = {"result": results}
        if scores:
            made |= {"model_version": "wsis", "score": min(scores)}
        key = "predictions" if scores else "annotations"
        data = {"image": f"/data/local-files/?d={quote(picture.name)}"}
        tasks.append({"data": data, key: [made]})
    return json.dumps(tasks, ensure_ascii=False, indent=1).encode()


def label_studio_config(labels: Labels) -> bytes:
    """The labelling interface that the tasks need, as XML."""
    view = Element("View")
    SubElement(view, "Image", {"name": "image", "value": "$image"})
    for control, _, name in _CONTROLS.values():
        choice = {"choice": "multiple"} if control == "Choices" else {}
        element = SubElement(view, control, {"name": name, "toName": "image", **choice})
        for category in labels.names:
            item = "Choice" if control == "Choices" else "Label"
            SubElement(element, item, {"value": category})
    indent(view)
    return tostring(view, encoding="utf-8")


def _result(
    region: Region, picture: LabelledPicture, id: str, report: ConversionReport
) -> dict[str, Any]:
    width, height, fields = picture.width, picture.height, region.fields
    assert width is not None and height is not None

    def percent(x: float, y: float) -> list[float]:
        return [100 * x / width, 100 * y / height]

    form, value = region.kind, {}
    if form == "segmentation":
        rings = fields["segmentation"]
        if isinstance(rings, list) and len(rings) == 1:
            pairs = zip(rings[0][::2], rings[0][1::2], strict=True)
            form, value = "polygon", {"points": [percent(x, y) for x, y in pairs], "closed": True}
        else:
            if isinstance(rings, list):
                where = f"{picture.name}: {region.category}"
                report.change("polygon of several rings, written as a brush", where)
            mask = decode_segmentation(rings, height, width)
            form, value = "brush", {"format": "rle", "rle": encode_brush(mask)}
    elif form == "bbox":
        (x, y), (w, h) = percent(*fields["bbox"][:2]), percent(*fields["bbox"][2:])
        value = {"x": x, "y": y, "width": w, "height": h, "rotation": 0}
    elif form == "point":
        x, y = percent(*fields["point"])
        value = {"x": x, "y": y, "width": 0.5}
    _, key, name = _CONTROLS[form]
    result = {"id": id, "type": key, "from_name": name, "to_name": "image"}
    size = {"original_width": width, "original_height": height, "image_rotation": 0}
    score = {} if region.score is None else {"score": region.score}
    return {**result, **size, "value": {**value, key: [region.category]}, **score}
