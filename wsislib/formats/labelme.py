"""labelme's JSON, one file a picture: read and written.

Shapes of labelme 6 (its `_label_file.py` and `utils/shape.py`): coordinates in pixels; a circle is
its centre and a point on it; a mask is a PNG in base64 between two corners, both within it; shapes
of one `group_id` and label are one object; `flags` of the file are image-level tags.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from wsislib.data.rle import decode_segmentation
from wsislib.formats.picture_names import PictureFinder
from wsislib.formats.record import ConversionReport, LabelledPicture, Labels, Region
from wsislib.formats.shapes import (
    Mask,
    box_fields,
    ellipse_ring,
    mask_crop,
    pasted_mask,
    ring_fields,
    upright_box,
)
from wsislib.formats.untrusted import (
    list_of,
    mapping_of,
    name_of,
    number,
    parse_json,
    point_list,
    whole_number,
)

_NEEDS = {"rectangle": 2, "circle": 2, "mask": 2, "point": 1}  # points of a shape


def read_labelme(source: Path, finder: PictureFinder, report: ConversionReport) -> Labels:
    """The labels of one JSON file, or of all in a folder and its subfolders."""
    files = sorted(source.rglob("*.json")) if source.is_dir() else [source]
    pictures = []
    for file in files:
        with report.entry(str(file)):
            content = mapping_of(parse_json(file), "file")
            if "shapes" not in content:
                raise ValueError("holds no 'shapes', so it is not labelme's")
            pictures.append(_picture(content, file, report))
    return Labels(pictures)


def _picture(content: dict[str, Any], file: Path, report: ConversionReport) -> LabelledPicture:
    name = name_of(content.get("imagePath") or file.stem, "imagePath")
    picture = LabelledPicture(name)
    if content.get("imageWidth") and content.get("imageHeight"):
        picture.width = whole_number(content["imageWidth"], "imageWidth")
        picture.height = whole_number(content["imageHeight"], "imageHeight")
    flags = content.get("flags")
    for flag, value in (flags if isinstance(flags, dict) else {}).items():
        if value is True:
            picture.regions.append(Region(name_of(flag, "flag")))
    for place, shape in enumerate(list_of(content["shapes"], "shapes"), start=1):
        where = f"{file}: shape {place}"
        with report.entry(where):
            region = _region(mapping_of(shape, "shape"), picture, report, where)
            picture.regions += [region] if region is not None else []
    return picture


def _region(
    shape: dict[str, Any], picture: LabelledPicture, report: ConversionReport, where: str
) -> Region | None:
    kind = shape.get("shape_type") or "polygon"
    points = point_list(shape.get("points"), "points")
    if kind in _NEEDS and len(points) != _NEEDS[kind]:
        raise ValueError(f"a {kind} of {len(points)} points")
    if kind == "polygon":
        fields = ring_fields(points)
    elif kind == "rectangle":
        fields = box_fields(*points[0], *points[1])
    elif kind == "point":
        fields = {"point": list(points[0])}
    elif kind == "circle":
        radius = math.dist(*points)
        fields = ring_fields(ellipse_ring(points[0], radius, radius))
        report.change("circle, read as a polygon", where)
    elif kind == "oriented_rectangle":
        fields = upright_box(points)
        report.change("rotated box, read as the upright box around it", where)
    elif kind == "mask":
        fields = _mask(shape.get("mask"), points, picture)
    else:
        report.lose(f"{str(kind):.40} of labelme", where)
        return None
    if any((shape.get("flags") or {}).values() if isinstance(shape.get("flags"), dict) else ()):
        report.lose("flags of a shape", where)
    group, score = shape.get("group_id"), shape.get("score")
    return Region(
        name_of(shape.get("label"), "label"),
        fields,
        None if score is None else number(score, "score"),
        group=None if group is None else repr(group),
    )


def _mask(code: Any, points: list[tuple[float, float]], picture: LabelledPicture) -> dict[str, Any]:
    if picture.width is None or picture.height is None:
        raise ValueError("a mask in a file without imageWidth and imageHeight")
    (left, top), (right, bottom) = ((int(x), int(y)) for x, y in points)
    try:
        with Image.open(io.BytesIO(base64.b64decode(code, validate=True))) as image:
            if image.size != (right - left + 1, bottom - top + 1):
                raise ValueError(f"a mask of {image.size} pixels between {points}")
            if image.width * image.height > 4 * picture.width * picture.height:
                raise ValueError("a mask much larger than its picture")
            crop = np.asarray(image.convert("L")) > 0
    except ValueError as error:
        broken = isinstance(error, binascii.Error)
        raise ValueError("a mask that is not base64" if broken else str(error)) from None
    except Exception as error:  # Pillow's decoders raise many kinds on damaged files
        raise ValueError(f"a mask that is no PNG ({error})") from None
    return pasted_mask(crop, left, top, picture.width, picture.height)


def write_labelme(
    labels: Labels, folder: Path, root: Path | None, report: ConversionReport
) -> Iterator[tuple[Path, bytes]]:
    """Paths in `folder` and content of one JSON file a picture; `root` has the pictures."""
    taken: set[str] = set()
    group = 0
    for picture in labels.pictures:
        path = folder / Path(picture.name).with_suffix(".json")
        if str(path).casefold() in taken:
            path = folder / f"{picture.name}.json"
            report.change("label file named with the picture's ending: two share a stem", str(path))
        taken.add(str(path).casefold())
        shapes, flags = [], {}
        for region in picture.regions:
            if region.crowd:
                report.lose("crowd mark of a region", f"{picture.name}: {region.category}")
            if region.kind == "tag":
                flags[region.category] = True
                continue
            drawn = list(_shapes(region, picture))
            group += len(drawn) > 1
            score = {} if region.score is None else {"score": region.score}
            common = {"label": region.category, "flags": {}, "description": "", **score}
            common["group_id"] = group if len(drawn) > 1 else None
            shapes += [{**common, **one} for one in drawn]
        image = root / picture.name if root is not None else Path(picture.name)
        content = {
            "version": "5.5.0",
            "flags": flags,
            "shapes": shapes,
            "imagePath": Path(os.path.relpath(image, path.parent)).as_posix(),
            "imageData": None,
            "imageHeight": picture.height,
            "imageWidth": picture.width,
        }
        yield path, json.dumps(content, ensure_ascii=False, indent=1).encode()


def _shapes(region: Region, picture: LabelledPicture) -> Iterator[dict[str, Any]]:
    fields = region.fields
    if region.kind == "segmentation" and isinstance(fields["segmentation"], list):
        for ring in fields["segmentation"]:
            pairs = [list(pair) for pair in zip(ring[::2], ring[1::2], strict=True)]
            yield {"shape_type": "polygon", "points": pairs}
    elif region.kind == "segmentation":
        assert picture.width is not None and picture.height is not None
        whole = decode_segmentation(fields["segmentation"], picture.height, picture.width)
        crop, left, top = mask_crop(whole)
        height, width = crop.shape
        points = [[float(left), float(top)], [float(left + width - 1), float(top + height - 1)]]
        yield {"shape_type": "mask", "points": points, "mask": _png(crop)}
    elif region.kind == "bbox":
        x, y, w, h = fields["bbox"]
        yield {"shape_type": "rectangle", "points": [[x, y], [x + w, y + h]]}
    else:
        yield {"shape_type": "point", "points": [list(fields["point"])]}


def _png(crop: Mask) -> str:
    buffer = io.BytesIO()
    Image.fromarray(crop.astype(np.uint8)).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()
