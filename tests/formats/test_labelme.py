"""labelme's JSON as labelme 6 writes it."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from wsislib.data.rle import decode_segmentation
from wsislib.formats.convert import Conversion, convert_labels


def shape(kind: str | None, points: list[list[float]], **more: Any) -> dict[str, Any]:
    common = {"label": "cat", "group_id": None, "description": "", "flags": {}}
    return {**common, "points": points, "shape_type": kind, **more}


def coded(mask: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8)).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def read(tmp_path: Path, *shapes: dict[str, Any], **more: Any) -> Conversion:
    content = {
        "version": "5.5.0",
        "flags": {"indoor": True, "blurred": False},
        "shapes": list(shapes),
        "imagePath": "..\\photos\\a.png",
        "imageData": None,
        "imageHeight": 40,
        "imageWidth": 60,
        **more,
    }
    (tmp_path / "labels").mkdir(exist_ok=True)
    (tmp_path / "labels" / "a.json").write_text(json.dumps(content))
    (tmp_path / "photos").mkdir(exist_ok=True)
    Image.new("RGB", (60, 40)).save(tmp_path / "photos" / "a.png")
    return convert_labels(tmp_path / "labels")


def test_every_shape_is_read_or_named(tmp_path: Path) -> None:
    crop = np.array([[1, 0, 1], [1, 1, 1]], dtype=bool)
    found = read(
        tmp_path,
        shape("polygon", [[1, 1], [9, 1], [9, 5.5]]),
        shape(None, [[1, 1], [9, 1], [9, 5]], label=7),  # old files name no type
        shape("rectangle", [[20, 30], [10, 12.5]]),
        shape("point", [[3, 4]]),
        shape("circle", [[30, 20], [33, 24]]),
        shape("mask", [[50.0, 10.0], [52.0, 11.0]], mask=coded(crop)),
        shape("oriented_rectangle", [[5, 0], [10, 5], [5, 10], [0, 5]]),
        shape("line", [[1, 1], [2, 2]]),
        shape("polygon", [[1, 1], [9, 1]]),
        shape("mask", [[50, 10], [59, 11]], mask=coded(crop)),
        shape("mask", [[50, 10], [52, 11]], mask="no base64!"),
    )
    (picture,) = found.labels.pictures
    assert found.root == (tmp_path / "photos").resolve()
    assert picture.name == "a.png"
    tag, outline, old, box, point, circle, mask, turned = picture.regions
    assert (tag.category, tag.kind) == ("indoor", "tag")
    assert outline.fields["segmentation"] == [[1, 1, 9, 1, 9, 5.5]]
    assert old.category == "7"
    assert box.fields == {"bbox": [10, 12.5, 10, 17.5]}
    assert point.fields == {"point": [3, 4]}
    assert circle.fields["bbox"] == pytest.approx([25, 15, 10, 10], abs=1)
    pixels = decode_segmentation(mask.fields["segmentation"], 40, 60)
    assert np.array_equal(pixels[10:12, 50:53], crop)
    assert int(pixels.sum()) == 5
    assert turned.fields == {"bbox": [0, 0, 10, 10]}
    assert len(found.report.lost["entry that cannot be read"]) == 3
    assert len(found.report.lost["line of labelme"]) == 1
    assert "circle, read as a polygon" in found.report.changed


def test_a_group_is_one_object(tmp_path: Path) -> None:
    crop = np.ones((2, 3), dtype=bool)
    found = read(
        tmp_path,
        shape("polygon", [[1, 1], [9, 1], [9, 9], [1, 9]], group_id=1),
        shape("mask", [[50, 10], [52, 11]], mask=coded(crop), group_id=1),
        shape("polygon", [[1, 1], [9, 1], [9, 9]], group_id=1, label="dog"),
        flags={},
    )
    joined, other = found.labels.pictures[0].regions
    assert int(decode_segmentation(joined.fields["segmentation"], 40, 60).sum()) == 64 + 6
    assert joined.fields["bbox"] == [1, 1, 52, 11]
    assert other.category == "dog"


def test_one_broken_file_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "b.json").write_text("{")
    (tmp_path / "labels" / "c.json").write_text('{"shapes": 3, "imagePath": "a.png"}')
    found = read(tmp_path, shape("point", [[3, 4]]))
    assert len(found.labels.pictures) == 1
    assert len(found.report.lost["entry that cannot be read"]) == 2


def test_a_mask_must_be_of_its_corners_size(tmp_path: Path) -> None:
    """A small PNG that unfolds to gigabytes is refused before it is decoded."""
    buffer = io.BytesIO()
    Image.new("L", (9000, 9000)).save(buffer, format="PNG")
    code = base64.b64encode(buffer.getvalue()).decode()
    found = read(tmp_path, shape("mask", [[0, 0], [8999, 8999]], mask=code))
    assert "a mask much larger than its picture" in found.report.text()
