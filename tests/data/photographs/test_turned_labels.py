"""Labels drawn on stored pixels become upright, in every form and for every orientation."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsislib.cli import main
from wsislib.data.images import read_image
from wsislib.data.photographs.coco import CocoDataset
from wsislib.data.photographs.turned_labels import turn_labels
from wsislib.data.photographs.validate import check_coco
from wsislib.data.rle import encode_mask
from wsislib.data.sample import LabelKind
from wsislib.data.turns import turn_pixels, turn_points

WIDTH, HEIGHT = 40, 24
# An upright picture has a bright object here, off every axis.
MASK = np.zeros((HEIGHT, WIDTH), dtype=bool)
MASK[3:9, 5:17] = MASK[9:14, 5:9] = True
OUTLINE = [5, 3, 17, 3, 17, 9, 9, 9, 9, 14, 5, 14]
BACK = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}  # which turn undoes which


def stored_folder(folder: Path, orientation: int) -> Path:
    """One picture whose file is turned, and labels of all forms on its stored pixels."""
    stored = turn_pixels(MASK, BACK[orientation])
    height, width = stored.shape
    exif = Image.Exif()
    exif[0x0112] = orientation
    (folder / "images").mkdir(parents=True)
    grey = np.where(stored, 250, 30).astype(np.uint8)
    Image.fromarray(np.repeat(grey[..., None], 3, 2)).save(folder / "images" / "a.png", exif=exif)
    outline = turn_points(np.array(OUTLINE, float).reshape(-1, 2), WIDTH, HEIGHT, BACK[orientation])
    rows, columns = np.nonzero(stored)
    x, y = int(columns.min()), int(rows.min())
    box = [x, y, int(columns.max()) + 1 - x, int(rows.max()) + 1 - y]
    shapes = [
        {"segmentation": encode_mask(stored), "bbox": box},
        {"segmentation": [outline.reshape(-1).tolist()], "bbox": box},
        {"bbox": box, "keypoints": [float(columns[0]) + 0.5, float(rows[0]) + 0.5, 2, 0, 0, 0]},
        {"point": [float(columns[0]) + 0.5, float(rows[0]) + 0.5]},
        {},
    ]
    head = {"image_id": 1, "category_id": 1, "iscrowd": 0}
    document = {
        "images": [{"id": 1, "file_name": "a.png", "width": width, "height": height}],
        "annotations": [{"id": i, **head, **shape} for i, shape in enumerate(shapes, start=1)],
        "categories": [{"id": 1, "name": "thing"}],
        "info": {"kept": True},
    }
    path = folder / "train.json"
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_forms_lie_on_the_upright_object(tmp_path: Path, orientation: int) -> None:
    path, new = stored_folder(tmp_path, orientation), tmp_path / "turned.json"
    before = path.read_bytes()
    unsure = "turn" if orientation in (2, 3, 4) else "ask"
    assert main(["data", "turn", str(path), "--out", str(new), "--unsure", unsure]) == 0
    assert path.read_bytes() == before
    report = check_coco(new, tmp_path / "images", least=LabelKind.TAG)
    assert not [p for p in report.problems if "exif" in p.code or "upright" in p.code]
    assert report.may_train
    assert read_image(tmp_path / "images" / "a.png")[..., 0].shape == (HEIGHT, WIDTH)
    label = CocoDataset(new, tmp_path / "images")[0].label
    bright = read_image(tmp_path / "images" / "a.png")[..., 0] > 100
    assert np.array_equal(bright, MASK)
    for entry in (0, 1):
        assert np.array_equal(label.masks[entry].numpy(), MASK)
    for entry in (0, 1, 2):
        assert label.boxes[entry].tolist() == [5, 3, 17, 14]
    x, y = label.points[3].tolist()
    assert MASK[int(y), int(x)]
    document = json.loads(new.read_text())
    assert document["info"] == {"kept": True}
    points = document["annotations"][2]["keypoints"]
    assert MASK[int(points[1]), int(points[0])] and points[2:] == [2, 0, 0, 0]


@pytest.mark.parametrize("orientation", range(2, 9))
def test_turning_and_turning_back_changes_nothing(tmp_path: Path, orientation: int) -> None:
    """The labels of a picture with the opposite turn, from upright ones."""
    path = stored_folder(tmp_path, orientation)
    document = json.loads(path.read_text())
    done = turn_labels(document, tmp_path / "images", path, "turn")
    assert (done.turned, done.kept) == (1, 0)
    # Upright labels, given out as those of stored pixels of the opposite orientation.
    upright = json.loads(json.dumps(done.document))
    del upright["images"][0]["labels_upright"]
    exif = Image.Exif()
    exif[0x0112] = BACK[orientation]
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "images" / "a.png", exif=exif)
    back = turn_labels(upright, tmp_path / "images", path, "turn").document
    assert back["annotations"] == document["annotations"]


def test_upright_labels_stay_and_a_second_turn_does_nothing(tmp_path: Path) -> None:
    path = stored_folder(tmp_path, 6)
    once = turn_labels(json.loads(path.read_text()), tmp_path / "images", path).document
    again = turn_labels(once, tmp_path / "images", path)
    assert (again.turned, again.kept) == (0, 1)
    assert again.document == once


def test_where_sizes_cannot_tell_somebody_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path, new = stored_folder(tmp_path, 3), tmp_path / "new.json"
    assert main(["data", "turn", str(path), "--out", str(new)]) == 2
    assert "of 1 images (such as a.png, EXIF orientation 3)" in capsys.readouterr().err
    assert not new.exists()
    kept = turn_labels(json.loads(path.read_text()), tmp_path / "images", path, "keep")
    assert (kept.turned, kept.kept) == (0, 1)
    assert kept.document["images"][0]["labels_upright"]


def test_a_third_size_and_a_broken_annotation_are_named(tmp_path: Path) -> None:
    path = stored_folder(tmp_path, 6)
    document = json.loads(path.read_text())
    wrong = json.loads(path.read_text())
    wrong["images"][0]["width"] += 1
    with pytest.raises(ValueError, match=r"image 1: a.png has 40 x 24 pixels upright, .* 25 x 40"):
        turn_labels(wrong, tmp_path / "images", path)
    document["annotations"][1]["segmentation"] = [[1, 2, 3]]
    with pytest.raises(ValueError, match="image 1, annotation 2: cannot be turned"):
        turn_labels(document, tmp_path / "images", path)


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path, new = stored_folder(tmp_path, 6), tmp_path / "new.json"
    assert main(["data", "turn", str(path), "--out", str(path), "--force"]) == 2
    new.write_text("mine")
    assert main(["data", "turn", str(path), "--out", str(new)]) == 2
    assert new.read_text() == "mine"
    assert "--force" in capsys.readouterr().err
    assert main(["data", "turn", str(path), "--out", str(new), "--force"]) == 0
    assert json.loads(new.read_text())["images"][0]["width"] == WIDTH
