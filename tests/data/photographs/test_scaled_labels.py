"""Large photographs are scaled together with their labels, small ones not at all."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.miniatures import coco
from wsislib.data.photographs.coco import CocoDataset
from wsislib.data.picture_cache import PictureCache
from wsislib.data.rle import decode_segmentation, encode_mask
from wsislib.data.transforms import resize_to

SIZE = (120, 200)  # height, width


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One photograph of 200 x 120 with a polygon, a mask, a box, a point and a speck."""
    blob = np.zeros(SIZE, dtype=bool)
    blob[20:70, 100:180] = True
    blob[30:50, 120:150] = False
    speck = np.zeros(SIZE, dtype=bool)
    speck[0, 0] = True
    head = {"image_id": 1, "category_id": 1, "iscrowd": 0}
    shapes = [
        {"segmentation": [[10, 10, 61, 10, 61, 90, 10, 90]], "bbox": [10, 10, 51, 80]},
        {"segmentation": encode_mask(blob)},
        {"bbox": [30, 40, 100, 60]},
        {"point": [50, 100]},
        {"segmentation": encode_mask(speck)},
    ]
    document = {
        "images": [{"id": 1, "file_name": "a.png", "width": SIZE[1], "height": SIZE[0]}],
        "annotations": [{"id": i, **head, **shape} for i, shape in enumerate(shapes, start=1)],
        "categories": [{"id": 1, "name": "thing"}],
    }
    (tmp_path / "images").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "images" / "a.png")
    (tmp_path / "train.json").write_text(json.dumps(document))
    return tmp_path


def dataset_of(folder: Path) -> CocoDataset:
    return CocoDataset(folder / "train.json", folder / "images")


def test_picture_and_labels_are_scaled_together(folder: Path) -> None:
    whole = dataset_of(folder)
    small = whole.within(PictureCache(folder / "pictures", 50))
    for sample in (small[0], small[0]):  # the second comes from the cache
        sample.check(1)
        assert sample.image.shape == (3, 30, 50)
        resized = resize_to(whole[0], 30, 50)
        assert float((sample.image - resized.image).abs().max()) < 0.01
        label, wanted = sample.label, resized.label
        assert len(label) == 4, "the speck has vanished"
        assert torch.equal(label.kinds, wanted.kinds[:4])
        assert torch.allclose(label.boxes, wanted.boxes[:4], atol=1)
        assert torch.equal(label.points, wanted.points[:4])
        assert torch.equal(label.masks[1], wanted.masks[1])
        polygon = decode_segmentation([[2.5, 2.5, 15.25, 2.5, 15.25, 22.5, 2.5, 22.5]], 30, 50)
        assert np.array_equal(label.masks[0].numpy(), polygon)


def test_the_ground_truth_and_the_record_keep_their_size(folder: Path) -> None:
    whole = dataset_of(folder)
    document = json.loads((folder / "train.json").read_text())
    document["annotations"] = document["annotations"][:2]
    (folder / "train.json").write_text(json.dumps(document))
    whole = dataset_of(folder)
    small = whole.within(PictureCache(folder / "pictures", 50))
    assert small.ground_truth() == whole.ground_truth()
    tags = whole.without_outlines()
    assert tags[0].label.masks is None and tags[0].image.shape == (3, *SIZE)
    assert tags.ground_truth() == whole.ground_truth()


def test_only_what_is_scaled_has_another_fingerprint(folder: Path) -> None:
    whole = dataset_of(folder)
    before = whole.fingerprint()
    assert whole.within(PictureCache(folder / "pictures", 200)).fingerprint() == before
    small = whole.within(PictureCache(folder / "pictures", 50))
    assert small.fingerprint() != before
    assert whole.within(PictureCache(folder / "pictures", 60)).fingerprint() != small.fingerprint()


def test_photographs_of_usual_size_are_left_alone(tmp_path: Path) -> None:
    path = coco.write(tmp_path)
    whole = CocoDataset(path, tmp_path / "images")
    within = whole.within(PictureCache(tmp_path / "pictures", coco.WIDTH))
    assert within.fingerprint() == whole.fingerprint()
    for index in range(len(whole)):
        one, other = whole[index], within[index]
        assert torch.equal(one.image, other.image)
        assert len(one.label) == len(other.label)
        if one.label.masks is not None:
            assert torch.equal(one.label.masks, other.label.masks)
    assert not (tmp_path / "pictures").exists()


def test_a_photograph_of_another_size_than_its_record_is_refused(folder: Path) -> None:
    small = dataset_of(folder).within(PictureCache(folder / "pictures", 50))
    Image.new("RGB", (190, 120)).save(folder / "images" / "a.png")
    with pytest.raises(ValueError, match="a.png has 190 x 120 pixels, the record says 200 x 120"):
        small[0]
