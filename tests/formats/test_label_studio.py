"""Label Studio's JSON as its documentation shows it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.formats import drawn
from wsislib.data.rle import decode_segmentation
from wsislib.formats.brush import decode_brush, encode_brush
from wsislib.formats.convert import Conversion, convert_labels

SIZE = {"original_width": 200, "original_height": 100, "image_rotation": 0}
# What the code below paints, 4 x 3 pixels.
BRUSH_MASK = np.array([[0, 0, 1, 1], [0, 1, 1, 0], [0, 0, 0, 1]], dtype=bool)


def result(type: str, id: str = "", **value: Any) -> dict[str, Any]:
    key = {"id": id} if id else {}
    return {**SIZE, **key, "type": type, "from_name": "label", "to_name": "image", "value": value}


def task(
    *results: dict[str, Any], image: str = "/data/upload/3/3f2a9c1b-a.png", **more: Any
) -> Any:
    return {"id": 5, "data": {"image": image}, "annotations": [{"result": list(results)}], **more}


def read(tmp_path: Path, *tasks: Any) -> Conversion:
    (tmp_path / "export.json").write_text(json.dumps(list(tasks)))
    return convert_labels(tmp_path / "export.json")


def test_every_shape_is_read_or_named(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        task(
            result("rectanglelabels", x=10, y=20, width=25, height=50, rotation=0,
                   rectanglelabels=["cat"]),
            result("rectanglelabels", x=50, y=20, width=10, height=10, rotation=90,
                   rectanglelabels=["cat"]),
            result("polygonlabels", points=[[0, 0], [10, 0], [10, 10]], closed=True,
                   polygonlabels=["dog", "cat"]),
            result("keypointlabels", x=50, y=50, width=0.3, keypointlabels=["dog"]),
            result("ellipselabels", x=50, y=50, radiusX=10, radiusY=10, rotation=0,
                   ellipselabels=["dog"]),
            result("choices", choices=["cat", "dog"]),
            result("textarea", text=["hello"]),
            result("rectanglelabels", x=None, y=2, width=2, height=5, rectanglelabels=["cat"]),
            result("rectangle", x=1, y=2, width=2, height=5),
        ),
    )  # fmt: skip
    (picture,) = found.labels.pictures
    assert (picture.width, picture.height) == (200, 100)
    box, turned, outline, point, ellipse, *tags = picture.regions
    assert box.fields == {"bbox": [20, 20, 50, 50]}
    assert turned.fields == {"bbox": [90, 20, 10, 20]}  # about its upper left corner, clockwise
    assert outline.fields["segmentation"] == [[0, 0, 20, 0, 20, 10]]
    assert point.fields == {"point": [100, 50]}
    assert ellipse.fields["bbox"] == pytest.approx([80, 40, 40, 20], abs=1)
    assert [(tag.category, tag.kind) for tag in tags] == [("cat", "tag"), ("dog", "tag")]
    assert set(found.report.lost) == {
        "labels of one region after its first",
        "textarea of Label Studio",
        "entry that cannot be read",
    }
    assert len(found.report.lost["entry that cannot be read"]) == 2
    assert "a region without a label" in found.report.text()


def test_labels_may_be_results_of_their_own(tmp_path: Path) -> None:
    shape = {"x": 10, "y": 20, "width": 25, "height": 50, "rotation": 0}
    found = read(
        tmp_path,
        task(result("rectangle", "one", **shape), result("labels", "one", **shape, labels=["cat"])),
    )
    (region,) = found.labels.pictures[0].regions
    assert (region.category, region.fields) == ("cat", {"bbox": [20, 20, 50, 50]})


def test_the_brush_code_is_label_studios(tmp_path: Path) -> None:
    """Bits by hand after the documented code: 48 values of 8 bits, run classes 3, 4, 8, 16."""
    runs = [(8, 0), (8, 255), (4, 0), (8, 255), (16, 0), (4, 255)]
    bits = f"{48:032b}{7:05b}{2:04b}{3:04b}{7:04b}{15:04b}"
    for count, value in runs:
        index, size = (0, 3) if count <= 8 else (1, 4)
        bits += f"1{index:02b}{count - 1:0{size}b}{value:08b}"
    bits += "0" * (-len(bits) % 8)
    code = [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]
    assert encode_brush(BRUSH_MASK) == code
    assert np.array_equal(decode_brush(code, 4, 3), BRUSH_MASK)
    small = {"original_width": 4, "original_height": 3}
    one = {**result("brushlabels", format="rle", rle=code, brushlabels=["cat"]), **small}
    found = read(tmp_path, task(one))
    mask = found.labels.pictures[0].regions[0].fields["segmentation"]
    assert np.array_equal(decode_segmentation(mask, 3, 4), BRUSH_MASK)


def test_brushes_in_full_values_and_long_runs() -> None:
    """A run of values in full, as an antialiased edge has; any alpha above 0 is painted."""
    values = [0, 0, 0, 0, 9, 9, 9, 100]
    bits = f"{8:032b}{7:05b}{2:04b}{3:04b}{7:04b}{15:04b}" + "0" + "00" + f"{7:03b}"
    bits += "".join(f"{v:08b}" for v in values)
    bits += "0" * (-len(bits) % 8)
    code = [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]
    assert decode_brush(code, 2, 1).tolist() == [[False, True]]
    mask = np.zeros((300, 400), dtype=bool)
    mask[100:250, 3:390] = True
    mask[299, 399] = True
    assert np.array_equal(decode_brush(encode_brush(mask), 400, 300), mask)
    for broken in (code[:-2], "text", [300], None, [], [255] * 20):
        with pytest.raises(ValueError, match="brush"):
            decode_brush(broken, 2, 1)


def test_which_annotation_counts(tmp_path: Path) -> None:
    def boxed(x: int) -> dict[str, Any]:
        return result("rectanglelabels", x=x, y=2, width=2, height=5, rectanglelabels=["cat"])

    several = task(boxed(1))
    several["annotations"] += [
        {"result": [boxed(2)], "ground_truth": True},
        {"result": [boxed(3)], "was_cancelled": True},
        {"result": [boxed(4)]},
    ]
    empty = {**task(image="b.png"), "annotations": [], "predictions": [{"result": [boxed(5)]}]}
    nothing = task(image="/data/local-files/?d=dir%2Fc.png")
    predicted = {"data": {"image": "d.png"}, "predictions": [{"result": [boxed(6)]}]}
    for place, one in enumerate((several, empty, predicted)):
        drawn.write_pictures(tmp_path / "images")
        one["id"] = place
    for name in "abcd":
        drawn.Image.new("RGB", (200, 100)).save(tmp_path / "images" / f"{name}.png")
    found = read(tmp_path, several, empty, nothing, predicted)
    by_name = {p.name: [r.fields["bbox"][0] for r in p.regions] for p in found.labels.pictures}
    assert by_name == {"a.png": [4], "c.png": [], "d.png": [12]}
    assert set(found.report.lost) == {
        "annotations of a task beside the one that counts",
        "task that nobody has labelled",
    }


def test_the_small_export(tmp_path: Path) -> None:
    size = {"original_width": 200, "original_height": 100}
    box = {"x": 10, "y": 20, "width": 25, "height": 50, "rectanglelabels": ["cat"], **size}
    small = {"id": 1, "image": "a.png", "label": [box], "annotation_id": 3, "choice": "dog"}
    found = read(tmp_path, small)
    boxed, tag = found.labels.pictures[0].regions
    assert (boxed.fields, tag.category) == ({"bbox": [20, 20, 50, 50]}, "dog")
