"""YOLO folders as Ultralytics, Roboflow and CVAT lay them out."""

from pathlib import Path

import pytest
from PIL import Image

from wsislib.formats.convert import convert_labels


def picture(path: Path, width: int = 200, height: int = 100, **save: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height)).save(path, **save)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


BOX, SEGMENT = "1 0.5 0.5 0.2 0.4\n", "0 0.1 0.1 0.2 0.1 0.2 0.3 0.1 0.35\n"


def test_boxes_segments_and_scores(tmp_path: Path) -> None:
    write(
        tmp_path / "data.yaml", "path: .\ntrain: images/train\nnc: 2\nnames:\n  0: cat\n  1: dog\n"
    )
    lines = BOX + SEGMENT + "1 0.5 0.5 0.2 0.4 0.75\n" + SEGMENT.strip() + " 0.5\n\n"
    write(tmp_path / "labels/train/a.txt", lines + "2 0.5 0.5 0.2 0.4\n0 40 40 9 9\n0 1 2\nx\n")
    write(tmp_path / "labels/train/empty.txt", "")
    for name in ("a.jpg", "empty.png", "unlabelled.png"):
        picture(tmp_path / "images/train" / name)
    found = convert_labels(tmp_path)
    assert found.labels.names == ["cat", "dog"]
    by_name = {p.name: p for p in found.labels.pictures}
    box, segment, scored, other = by_name["train/a.jpg"].regions
    assert (box.category, box.fields, box.score) == ("dog", {"bbox": [80, 30, 40, 40]}, None)
    assert segment.fields["segmentation"] == [[20, 10, 40, 10, 40, 30, 20, 35]]
    assert (scored.score, other.score) == (0.75, 0.5)
    assert by_name["train/empty.png"].regions == []
    assert found.report.lost["picture without a label file, not taken for empty"] == [
        "train/unlabelled.png"
    ]
    faults = found.report.lost["entry that cannot be read"]
    assert len(faults) == 4
    assert "category 2, and there are 2 names" in faults[0]
    assert "not in fractions" in faults[1]
    part = convert_labels(tmp_path / "labels" / "train")
    assert {p.name for p in part.labels.pictures} == {"a.jpg", "empty.png"}
    assert part.labels.names == ["cat", "dog"]


def test_roboflow_has_equal_names_in_two_folders(tmp_path: Path) -> None:
    write(tmp_path / "data.yaml", "train: ../train/images\nnames: ['cat', 'dog']\n")
    write(tmp_path / "README.roboflow.txt", "This dataset was exported via roboflow.com\n")
    for side, width in (("train", 200), ("valid", 400)):
        write(tmp_path / side / "labels/a.txt", BOX)
        picture(tmp_path / side / "images/a.jpg", width)
    found = convert_labels(tmp_path / "data.yaml")
    boxes = {p.name: p.regions[0].fields["bbox"] for p in found.labels.pictures}
    assert boxes == {
        "train/images/a.jpg": [80, 30, 40, 40],
        "valid/images/a.jpg": [160, 30, 80, 40],
    }
    assert not found.report.lost


def test_names_beside_the_files(tmp_path: Path) -> None:
    write(tmp_path / "obj_train_data/a.txt", BOX)
    picture(tmp_path / "obj_train_data/a.png")
    found = convert_labels(tmp_path)
    assert found.labels.names == ["category 1"]
    assert "category named by its number" in found.report.text()
    write(tmp_path / "obj.names", "cat\ndog\n")
    assert convert_labels(tmp_path).labels.names == ["cat", "dog"]


def test_rotated_boxes_and_key_points_are_named(tmp_path: Path) -> None:
    """Ultralytics' OBB has four corners a line, its pose a box and key points."""
    turned, upright = "0 0.1 0.2 0.15 0.1 0.35 0.2 0.3 0.3\n", "0 0.1 0.1 0.2 0.1 0.2 0.3 0.1 0.3\n"
    write(tmp_path / "labels/a.txt", turned + upright)
    picture(tmp_path / "images/a.png", 100, 100)
    (only,) = convert_labels(tmp_path).labels.pictures
    assert [r.fields for r in only.regions] == [
        {"bbox": [10, 10, 25, 20]},
        {"bbox": [10, 10, 10, 20]},
    ]
    for segments in (upright * 2, turned + "0 0.1 0.1 0.2 0.1 0.2 0.3\n"):  # outlines, then
        write(tmp_path / "labels/a.txt", segments)
        (only,) = convert_labels(tmp_path).labels.pictures
        assert [r.kind for r in only.regions] == ["segmentation"] * 2
    write(tmp_path / "data.yaml", "kpt_shape: [2, 3]\nnames: [cat]\n")
    write(tmp_path / "labels/a.txt", "0 0.5 0.5 0.2 0.4 0.4 0.4 2 0.6 0.6 1\n")
    found = convert_labels(tmp_path)
    assert found.labels.pictures[0].regions[0].fields == {"bbox": [40, 30, 20, 40]}
    assert len(found.report.lost["key points of YOLO"]) == 1


def test_what_stops_the_reading(tmp_path: Path) -> None:
    write(tmp_path / "labels/a.txt", BOX)
    with pytest.raises(ValueError, match="say --images FOLDER"):
        convert_labels(tmp_path)
    picture(tmp_path / "images/b.png")
    with pytest.raises(ValueError, match="no such picture in"):
        convert_labels(tmp_path)
    for text, fault in (
        ("names: [a", "not valid YAML"),
        ("{[1]: 2}", "not valid YAML"),
        ("names: {0: a, 2: b}", "numbered from 0"),
        ("nc: 2", "no list 'names'"),
    ):
        write(tmp_path / "data.yaml", text)
        with pytest.raises(ValueError, match=fault):
            convert_labels(tmp_path)


def test_fractions_are_of_the_upright_picture(tmp_path: Path) -> None:
    """Tools show photographs upright, so fractions are of that width and height."""
    exif = Image.Exif()
    exif[0x0112] = 6
    write(tmp_path / "labels/a.txt", "0 0.5 0.25 0.2 0.1\n")
    picture(tmp_path / "images/a.jpg", 200, 100, exif=exif)
    (only,) = convert_labels(tmp_path).labels.pictures
    assert (only.width, only.height) == (100, 200)
    assert only.regions[0].fields["bbox"] == [40, 40, 20, 20]
