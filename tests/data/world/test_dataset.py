"""The world as a data set, in memory and as a folder."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from wsislib.data.rle import decode_segmentation
from wsislib.data.sample import Dataset, LabelKind
from wsislib.data.world import WorldDataset, WorldSpec, export_coco

SPEC = WorldSpec(categories=20)


@pytest.fixture(scope="module")
def scenes() -> WorldDataset:
    return WorldDataset(SPEC, seed=3, count=12)


def test_it_is_a_dataset(scenes: WorldDataset):
    assert isinstance(scenes, Dataset)
    assert len(scenes) == 12 and scenes.image_ids == tuple(range(1, 13))
    sample = scenes[4]
    assert sample.image_id == 5 and sample.label.kind == LabelKind.MASK
    assert sample.image.shape == (3, 96, 96) and sample.image.dtype == torch.float32
    assert 0 <= float(sample.image.min()) < float(sample.image.max()) <= 1
    drawn = scenes.world.scene(3, 4)
    assert torch.equal(
        (sample.image * 255).round().byte().permute(1, 2, 0), torch.from_numpy(drawn.image)
    )
    assert np.array_equal(sample.label.masks.numpy(), drawn.masks)
    assert np.array_equal(sample.label.boxes.numpy(), drawn.boxes)
    assert sample.label.categories.tolist() == drawn.categories.tolist()
    for index in range(len(scenes)):
        scenes[index].check(20)


def test_changing_a_sample_leaves_the_cache_alone(scenes: WorldDataset):
    before = scenes[0]
    kept = before.image.clone(), before.label.masks.clone(), before.label.categories.clone()
    before.image.zero_(), before.label.masks.zero_(), before.label.categories.zero_()
    after = scenes[0]
    assert torch.equal(after.image, kept[0]) and torch.equal(after.label.masks, kept[1])
    assert torch.equal(after.label.categories, kept[2])


def test_chosen_scenes_keep_their_ids(scenes: WorldDataset):
    some = WorldDataset(SPEC, seed=3, count=12, indices=[7, 2])
    assert some.image_ids == (8, 3)
    assert torch.equal(some[0].image, scenes[7].image)
    assert some.fingerprint() != scenes.fingerprint()


def test_index_beyond_the_end_and_from_the_end(scenes: WorldDataset):
    assert scenes[-1].image_id == 12
    for index in (12, -13):
        with pytest.raises(IndexError):
            scenes[index]


@pytest.mark.parametrize(
    "wrong", [{"count": 0}, {"seed": -1}, {"indices": [12]}, {"indices": [1, 1]}, {"size": 5}]
)
def test_a_set_that_makes_no_sense(wrong: dict):
    with pytest.raises(ValueError):
        WorldDataset(SPEC, **{"seed": 3, "count": 12, **wrong})


def test_fingerprint_follows_what_decides_the_bytes(scenes: WorldDataset):
    same = WorldDataset(SPEC, seed=3, count=12)
    assert same.fingerprint() == scenes.fingerprint()
    others = [
        WorldDataset(SPEC, seed=4, count=12),
        WorldDataset(SPEC, seed=3, count=13),
        WorldDataset(SPEC, seed=3, count=12, size=128),
        WorldDataset(dataclasses.replace(SPEC, rider_probability=0.5), seed=3, count=12),
    ]
    prints = {d.fingerprint() for d in others} | {scenes.fingerprint()}
    assert len(prints) == 5


def test_size_may_be_given_in_either_place():
    by_spec = WorldDataset(dataclasses.replace(SPEC, size=128), seed=3, count=2)
    by_argument = WorldDataset(SPEC, seed=3, count=2, size=128)
    assert torch.equal(by_spec[1].image, by_argument[1].image)
    assert by_spec.fingerprint() == by_argument.fingerprint()


def test_without_a_cache_the_same_scenes_are_drawn_again(scenes: WorldDataset):
    lean = WorldDataset(SPEC, seed=3, count=12, cache=False)
    assert lean.image(5) is not lean.image(5)
    assert torch.equal(lean[5].image, scenes[5].image)
    assert lean.fingerprint() == scenes.fingerprint()


# numpy 2 warns of how pycocotools 2.0.11 decodes; the pixels are compared here.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_ground_truth_says_what_the_labels_say(scenes: WorldDataset):
    truth = scenes.ground_truth()
    assert [c["id"] for c in truth["categories"]] == list(range(1, 21))
    annotations = truth["annotations"]
    assert [a["id"] for a in annotations] == list(range(1, len(annotations) + 1))
    for index, image in enumerate(truth["images"]):
        assert image["height"] == image["width"] == 96
        label = scenes[index].label
        own = [a for a in annotations if a["image_id"] == image["id"]]
        assert [a["category_id"] - 1 for a in own] == label.categories.tolist()
        for a, mask, box in zip(own, label.masks.numpy(), label.boxes.numpy(), strict=True):
            assert np.array_equal(decode_segmentation(a["segmentation"], 96, 96), mask)
            x, y, w, h = a["bbox"]
            assert [x, y, x + w, y + h] == box.tolist()
            assert a["area"] == mask.sum() and a["iscrowd"] == 0
    json.dumps(truth)


def test_export_round_trip(scenes: WorldDataset, tmp_path: Path):
    folder = tmp_path / "new" / "world"
    seen: list[int] = []
    annotations = export_coco(scenes, folder, lambda run: (seen.append(i) or i for i in run))
    assert seen == list(range(12)) and annotations == folder / "annotations.json"
    truth = json.loads(annotations.read_text())
    assert truth == scenes.ground_truth()
    for index, image in enumerate(truth["images"]):
        pixels = np.asarray(Image.open(folder / "images" / image["file_name"]))
        assert np.array_equal(pixels, scenes.image(index))


def test_export_goes_on_where_it_stopped(scenes: WorldDataset, tmp_path: Path):
    def stop_after_five(run):
        for i in run:
            if i == 5:
                raise KeyboardInterrupt
            yield i

    with pytest.raises(KeyboardInterrupt):
        export_coco(scenes, tmp_path, stop_after_five)
    assert len(list((tmp_path / "images").iterdir())) == 5
    assert not (tmp_path / "annotations.json").exists()
    first = tmp_path / "images" / "000001.png"
    stamp = first.stat().st_mtime_ns
    export_coco(scenes, tmp_path)
    assert len(list((tmp_path / "images").iterdir())) == 12
    assert first.stat().st_mtime_ns == stamp
    export_coco(scenes, tmp_path)  # whole already: nothing to do


def test_export_refuses_a_foreign_folder(scenes: WorldDataset, tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="is not empty"):
        export_coco(scenes, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(ValueError, match="is a file"):
        export_coco(scenes, tmp_path / "thesis.txt")
    other = WorldDataset(SPEC, seed=9, count=2)
    export_coco(other, tmp_path / "w")
    with pytest.raises(ValueError, match="holds other scenes"):
        export_coco(scenes, tmp_path / "w")
