"""The whole path of reading, on 211 real photographs (skipped where they are absent)."""

import json
from pathlib import Path

import pytest

from wsislib.data.photographs.coco import CocoDataset
from wsislib.data.photographs.validate import check_coco
from wsislib.data.transforms import horizontal_flip, resize_to

SETS = {"train": (120, 983), "val": (91, 713)}


@pytest.mark.parametrize("name", SETS)
def test_the_check_passes(coco_mini: Path, name: str) -> None:
    report = check_coco(coco_mini / f"{name}.json", coco_mini / "images")
    assert report.may_train
    assert (report.images, report.annotations) == SETS[name]
    assert {problem.code for problem in report.problems} <= {"image-unlabelled", "orphan-image"}


@pytest.mark.parametrize("name", SETS)
def test_every_image_loads_with_the_recorded_areas(coco_mini: Path, name: str) -> None:
    path = coco_mini / f"{name}.json"
    dataset = CocoDataset(path, coco_mini / "images")
    assert len(dataset.categories) == 80
    records = json.loads(path.read_text())["annotations"]
    loaded = 0
    for index in range(len(dataset)):
        sample = dataset[index].check(80)
        own = [r for r in records if r["image_id"] == sample.image_id and not r["iscrowd"]]
        areas = sample.label.masks.flatten(1).sum(dim=1).tolist()
        assert areas == [record["area"] for record in own]
        ids = [dataset.categories[i].id for i in sample.label.categories.tolist()]
        assert ids == [record["category_id"] for record in own]
        loaded += len(own)
        if index % 10 == 0:
            resize_to(horizontal_flip(sample), 128, 160).check(80)
    assert loaded == sum(not record["iscrowd"] for record in records)
    assert len(dataset.ground_truth()["annotations"]) == SETS[name][1]
