"""A COCO file in tiles: every pixel, mask, box and point where it was."""

import json

import numpy as np
import pytest
from PIL import Image

from wsislib.cli import main
from wsislib.data.photographs.tile_coco import tile_coco
from wsislib.data.photographs.validate import check_coco
from wsislib.data.rle import decode_segmentation, encode_mask
from wsislib.data.sample import LabelKind

HEIGHT, WIDTH = 150, 220


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "data"
    (root / "images" / "b").mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    ring = np.zeros((HEIGHT, WIDTH), dtype=bool)
    ring[40:110, 60:150] = True
    ring[60:90, 90:120] = False
    own = [
        {"segmentation": encode_mask(ring), "bbox": [60, 40, 90, 70], "iscrowd": 0},
        {"bbox": [180.5, 10, 30, 20]},
        {"point": [99.5, 20.25]},
        {"bbox": [158, 100, 30, 20]},
    ]
    images, annotations = [], []
    for i, name in enumerate(("a.png", "b/a.png"), start=1):
        Image.fromarray(pixels).save(root / "images" / name)
        images.append({"id": 5 * i, "file_name": name, "width": WIDTH, "height": HEIGHT})
        for one in own:
            number = len(annotations) + 1
            annotations.append({"id": number, "image_id": 5 * i, "category_id": 4, **one})
    document = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 4, "name": "x"}],
    }
    (root / "train.json").write_text(json.dumps(document))
    return root, pixels, ring


def test_tiles_hold_what_the_photograph_held(folder, tmp_path):
    root, pixels, ring = folder
    out = tmp_path / "tiles"
    tiles, labels, small = tile_coco(root / "train.json", root / "images", out, 100, 0.2)
    document = json.loads((out / "annotations.json").read_text())
    assert (tiles, labels) == (len(document["images"]), len(document["annotations"]))
    names = [record["file_name"] for record in document["images"]]
    assert len(set(names)) == len(names) == len(list((out / "images").iterdir()))
    again = np.zeros((HEIGHT, WIDTH), dtype=bool)
    places, points, boxes = {}, set(), set()
    for record in document["images"][: tiles // 2]:
        top, left = map(int, record["file_name"].removesuffix(".png").split("_")[-2:])
        part = np.asarray(Image.open(out / "images" / record["file_name"]))
        high, wide = part.shape[:2]
        assert (record["height"], record["width"]) == (high, wide)
        assert np.array_equal(part, pixels[top : top + high, left : left + wide])
        places[record["id"]] = (top, left)
    for annotation in document["annotations"]:
        if annotation["image_id"] not in places:
            continue
        top, left = places[annotation["image_id"]]
        if "segmentation" in annotation:
            mask = decode_segmentation(annotation["segmentation"], 100, 100)
            again[top : top + 100, left : left + 100] |= mask
            assert annotation["area"] == mask.sum() >= 0.2 * ring.sum()
        elif "point" in annotation:
            x, y = annotation["point"]
            points.add((x + left, y + top))
        else:
            x, y, w, h = annotation["bbox"]
            boxes.add((x + left, y + top, w, h))
    assert not (again & ~ring).any() and again.sum() > 0.6 * ring.sum()
    assert points == {(99.5, 20.25)}
    assert (180.5, 10, 30, 20) in boxes
    assert small == 2, "a strip of the last box, in both photographs"
    report = check_coco(out / "annotations.json", out / "images", least=LabelKind.POINT)
    assert report.errors == []


def test_tags_and_used_folders_are_refused(folder, tmp_path):
    root, _, _ = folder
    with pytest.raises(ValueError, match="not empty"):
        tile_coco(root / "train.json", root / "images", root, 100, 0.2)
    document = json.loads((root / "train.json").read_text())
    document["annotations"][2].pop("point")
    (root / "tags.json").write_text(json.dumps(document))
    with pytest.raises(ValueError, match="annotation 3 is an image-level label"):
        tile_coco(root / "tags.json", root / "images", tmp_path / "new", 100, 0.2)
    assert not (tmp_path / "new").exists()


def test_the_command_says_what_it_did(folder, tmp_path, capsys):
    root, _, _ = folder
    out = str(tmp_path / "tiles")
    assert main(["data", "tile", str(root / "train.json"), "--out", out, "--side", "100"]) == 0
    assert "12 tiles with" in capsys.readouterr().out
