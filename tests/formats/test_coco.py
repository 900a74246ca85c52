"""COCO documents as tools really write them."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from wsislib.data.photographs.validate import check_coco
from wsislib.data.sample import LabelKind
from wsislib.formats.coco import labels_document
from wsislib.formats.convert import convert_labels, write_labels
from wsislib.formats.record import ConversionReport

RING = [10, 10, 30, 10, 30, 30, 10, 30]


def document() -> dict[str, Any]:
    return {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 60, "height": 40} for i in (1, 2)],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [RING],
             "bbox": [10, 10, 20, 20], "area": 400, "iscrowd": 0},
            {"id": 2, "image_id": 2, "category_id": 2, "bbox": [5, 5, 10, 10], "iscrowd": 0},
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    }  # fmt: skip


def converted(tmp_path: Path, content: Any) -> tuple[dict[str, Any], ConversionReport]:
    """The written document, which the check must accept, and the report."""
    (tmp_path / "images").mkdir(exist_ok=True)
    for i in (1, 2):
        Image.new("RGB", (60, 40)).save(tmp_path / "images" / f"{i}.png")
    (tmp_path / "in.json").write_text(json.dumps(content))
    found = convert_labels(tmp_path / "in.json")
    write_labels(found, "coco", tmp_path / "out.json", None, True)
    report = check_coco(
        tmp_path / "out.json", tmp_path / "images", least=LabelKind.TAG, allow_empty=True
    )
    assert report.may_train, report.text()
    return json.loads((tmp_path / "out.json").read_text()), found.report


def test_a_clean_document_stays(tmp_path: Path) -> None:
    content = document()
    content["annotations"][1]["area"] = 100
    content["info"] = {"year": 2026}
    content["images"][0]["patient"] = "p7"
    content["annotations"][0]["attributes"] = {"occluded": False}
    content["categories"][0]["supercategory"] = "animal"
    found, report = converted(tmp_path, content)
    assert found == content
    assert report.text() == ""


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("ids of images numbered anew", lambda i: i - 1),
        ("ids of images that are text or floats, read as numbers", str),
        ("ids of images that are text or floats, read as numbers", float),
        ("ids of images numbered anew", lambda i: f"img-{i}"),
    ],
)
def test_ids_of_any_kind(tmp_path: Path, kind: str, change: Any) -> None:
    content = document()
    for record in content["images"] + content["categories"]:
        record["id"] = change(record["id"])
    for record in content["annotations"]:
        for key in ("id", "image_id", "category_id"):
            record[key] = change(record[key])
    found, report = converted(tmp_path, content)
    assert kind in report.changed
    assert [record["id"] for record in found["images"]] == [1, 2]
    assert [(a["image_id"], a["category_id"]) for a in found["annotations"]] == [(1, 1), (2, 2)]


def test_ids_given_twice(tmp_path: Path) -> None:
    content = document()
    content["annotations"][1]["id"] = 1
    content["images"].append({"id": 2, "file_name": "1.png", "width": 60, "height": 40})
    content["categories"].append({"id": 2, "name": "bird"})
    found, report = converted(tmp_path, content)
    assert [a["id"] for a in found["annotations"]] == [1, 2]
    assert [c["name"] for c in found["categories"]] == ["cat", "dog"]
    text = report.text()
    assert "id 2 is given twice, here for 1.png" in text
    assert "categories[2]: id 2 is given twice" in text


def test_sizes_are_read_from_the_pictures(tmp_path: Path) -> None:
    content = document()
    del content["images"][0]["width"]
    content["images"][1]["height"] = None
    found, report = converted(tmp_path, content)
    assert [(r["width"], r["height"]) for r in found["images"]] == [(60, 40), (60, 40)]
    assert len(report.changed["size that was missing, read from the picture"]) == 2


def test_crowd_marks(tmp_path: Path) -> None:
    content = document()
    for annotation in content["annotations"]:
        annotation["iscrowd"] = 1
    found, report = converted(tmp_path, content)
    assert [a["iscrowd"] for a in found["annotations"]] == [0, 0]
    assert "crowd mark of every annotation" in report.text()
    content["annotations"][0]["iscrowd"] = None
    found, report = converted(tmp_path, content)
    assert [a["iscrowd"] for a in found["annotations"]] == [0, 1]
    assert "iscrowd that is neither 0 nor 1" in report.text()


def test_key_points_with_empty_boxes_are_points(tmp_path: Path) -> None:
    content = document()
    one, other = content["annotations"]
    one |= {"segmentation": [], "bbox": [20, 15, 0, 0], "area": 0, "num_keypoints": 1}
    one["keypoints"] = [20, 15, 2]
    other["keypoints"] = [0, 0, 0, 7, 8, 2]  # it has a box: the key points stay beside it
    found, report = converted(tmp_path, content)
    point, box = found["annotations"]
    assert point["point"] == [20, 15]
    assert not {"bbox", "segmentation", "keypoints", "area"} & set(point)
    assert (box["bbox"], box["keypoints"]) == ([5, 5, 10, 10], [0, 0, 0, 7, 8, 2])
    assert len(report.changed["key point with an empty box, read as a point"]) == 1
    one["keypoints"] = [0, 0, 0, 20, 15, 2, 21, 16, 1]
    found, report = converted(tmp_path, content)
    assert found["annotations"][0]["point"] == [20, 15]
    assert len(report.lost["key points of one object after its first"]) == 1
    one["keypoints"] = [20, 15, 0]
    found, report = converted(tmp_path, content)
    assert len(found["annotations"]) == 1
    assert "none is visible" in report.text()


def test_shapes_are_mended_or_named(tmp_path: Path) -> None:
    content = document()

    def add(**fields: Any) -> None:
        number = len(content["annotations"]) + 1
        content["annotations"].append({"id": number, "image_id": 1, "category_id": 1, **fields})

    add(segmentation=RING)  # 3: flat
    add(segmentation=[RING, [1, 1, 2, 2]])  # 4: one ring too short
    add(segmentation=[[1, 1, 2, 2]], bbox=[5, 5, 9, 9])  # 5: only its box is left
    add(segmentation={"size": [9, 9], "counts": "abc"})  # 6: nothing is left, and it is no tag
    add(segmentation=[RING], bbox=[0, 0, 60, 40])  # 7: not the mask's box
    add(bbox=["5", "5.5", 9, 9])  # 8: numbers as text
    add(bbox=[50, 30, 40, 40])  # 9: leaves the picture
    add(bbox=[70, 30, 4, 4])  # 10: outside
    add(bbox=[5, 5, float("nan"), 4])  # 11
    add(segmentation={"size": [40, 60], "counts": [0, 5, 2395]})  # 12: the code as a list
    add(point=[99, 99])  # 13
    add()  # 14: a tag
    content["annotations"] += [{"id": 15, "image_id": 9, "category_id": 1}, 7]
    found, report = converted(tmp_path, content)
    boxes = {a["id"]: a.get("bbox") for a in found["annotations"]}
    assert sorted(boxes) == [1, 2, 3, 4, 5, 7, 8, 9, 12, 14]
    assert boxes[3] == boxes[4] == boxes[7] == [10, 10, 20, 20]
    assert (boxes[5], boxes[8], boxes[9]) == ([5, 5, 9, 9], [5, 5.5, 9, 9], [50, 30, 10, 10])
    assert boxes[12] == [0, 0, 1, 5]
    (coded,) = (a for a in found["annotations"] if a["id"] == 12)
    assert isinstance(coded["segmentation"]["counts"], str)
    assert len(report.lost["entry that cannot be read"]) == 6
    assert len(report.lost["polygon of fewer than 3 points"]) == 2


def test_categories_are_joined_by_name_and_blank_ones_named(tmp_path: Path) -> None:
    content = document()
    content["categories"] = [{"id": 1, "name": " cat "}, {"id": 2, "name": "cat"}, {"id": 3}]
    found, report = converted(tmp_path, content)
    assert [(c["id"], c["name"]) for c in found["categories"]] == [(1, "cat"), (3, "category 3")]
    assert [a["category_id"] for a in found["annotations"]] == [1, 1]
    assert "categories of one name, joined" in report.changed


def test_categories_may_be_given(tmp_path: Path) -> None:
    converted(tmp_path, document())
    (tmp_path / "names.txt").write_text("bird\ndog\n")
    found = convert_labels(tmp_path / "in.json", categories=tmp_path / "names.txt")
    written = labels_document(found.labels, found.report)
    assert [(c["id"], c["name"]) for c in written["categories"]] == [(1, "bird"), (2, "dog")]
    assert [a["category_id"] for a in written["annotations"]] == [2]
    assert len(found.report.lost["label of a category that is not in the list"]) == 1
    other = convert_labels(tmp_path / "in.json", categories=tmp_path / "in.json")
    assert other.labels.ids == {"cat": 1, "dog": 2}


def test_two_names_of_one_picture(tmp_path: Path) -> None:
    content = document()
    content["images"][0]["file_name"] = "./2.PNG"
    found, report = converted(tmp_path, content)
    assert [len(found[key]) for key in ("images", "annotations")] == [1, 2]
    assert report.changed["picture that is named twice, labels joined"] == ["2.png"]
    content["images"].append({"id": 3, "file_name": "1.png", "width": 60, "height": 40})
    content["images"][0]["file_name"] = "0a1b2c3d-2.png"  # perhaps another picture of that name
    found, report = converted(tmp_path, content)
    assert [record["file_name"] for record in found["images"]] == ["1.png"]
    assert "'0a1b2c3d-2.png' and '2.png' seem to mean it; none is taken" in report.text()


def test_another_size_than_the_pictures_is_named(tmp_path: Path) -> None:
    content = document()
    content["images"][0] |= {"width": 40, "height": 60}
    content["images"].append({"id": 3, "file_name": "3.png", "width": 9, "height": 9})
    (tmp_path / "overlays").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "overlays" / "3.png")  # as `wsis predict` draws
    with pytest.raises(AssertionError, match="size-differs"):
        converted(tmp_path, content)
    found = convert_labels(tmp_path / "in.json")
    assert "1.png: 40 x 60, not 60 x 40" in found.report.text()
    assert "'3.png': no such picture" in found.report.text()


def test_a_list_of_results_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give the document that has"):
        converted(tmp_path, [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1}])


@pytest.mark.parametrize(("target", "end"), [("coco", "json"), ("cvat", "xml")])
def test_a_file_ends_as_its_format_is_known_by(tmp_path: Path, target: str, end: str) -> None:
    (tmp_path / "in.json").write_text(json.dumps(document()))
    found = convert_labels(tmp_path / "in.json")
    with pytest.raises(ValueError, match=f"ends in .{end}"):
        write_labels(found, target, tmp_path / "out", None, True)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()
