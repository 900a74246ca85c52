"""Finished is what a person finished: not what was opened, listed or proposed."""

import json
from pathlib import Path

import pytest

from tests.annotate.folder import make_folder
from wsislib.annotate.desk import Desk
from wsislib.annotate.label_file import LabelFile
from wsislib.data.photographs.coco import CocoDataset

BOX = {"id": 9, "image_id": 7, "category_id": 4, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Over a file of another tool, which lists all images and has labels for one of them."""
    images = make_folder(tmp_path / "images")
    records = [
        {"id": 6 + i, "file_name": f"{name}.png", "width": 60, "height": 40, "license": 2}
        for i, name in enumerate("abc")
    ]
    document = {
        "images": records,
        "annotations": [BOX],
        "categories": [{"id": 4, "name": "rose"}],
    }
    (tmp_path / "labels.json").write_text(json.dumps(document))
    return Desk(LabelFile(tmp_path / "labels.json", images))


def document(desk: Desk) -> dict:
    return json.loads(desk.labels.path.read_text())


def listed(desk: Desk) -> list[str]:
    return [record["file_name"] for record in document(desk)["images"]]


def test_an_image_that_is_only_opened_is_not_finished(desk):
    assert desk.view()["states"] == ".f." and desk.file_name == "a.png"
    for _ in range(6):
        desk.receive({"do": "go", "to": "next"})
    assert desk.view()["states"] == ".f." and not desk.view()["done"]


def test_an_image_that_is_only_listed_still_waits_and_loses_nothing(desk):
    desk.receive({"do": "go", "to": "b.png"})
    desk.receive({"do": "add", "category": 4, "point": [5, 5]})  # the file is written anew
    assert listed(desk) == ["a.png", "b.png", "c.png"]
    assert all(record["license"] == 2 for record in document(desk)["images"])
    desk.receive({"do": "go", "to": "unfinished"})
    assert desk.file_name == "c.png"


def test_its_first_entry_makes_it_a_draft_until_it_is_finished(desk):
    desk.receive({"do": "add", "category": 4, "point": [5, 5]})
    assert desk.view()["states"] == "df." and listed(desk) == ["b.png", "c.png"]
    assert Desk(LabelFile(desk.labels.path, desk.labels.image_root)).view()["states"] == "df."
    desk.receive({"do": "finish"})
    assert (
        desk.view()["states"] == "ff."
        and len(CocoDataset(desk.labels.path, desk.labels.image_root)) == 3
    )
    desk.receive({"do": "undo"})
    desk.receive({"do": "undo"})
    assert desk.view()["states"] == ".f." and listed(desk) == ["a.png", "b.png", "c.png"]


def test_an_entry_that_is_removed_again_leaves_the_image_in_the_file(desk):
    desk.receive({"do": "add", "category": 4, "point": [5, 5]})
    desk.receive({"do": "remove", "entry": 10})
    [draft] = document(desk)["drafts"]
    assert draft["id"] == 6 and draft["license"] == 2 and desk.view()["states"] == ".f."


def test_that_nothing_is_there_is_said_by_finishing(desk):
    desk.receive({"do": "finish"})
    assert desk.view()["states"] == "ff." and desk.file_name == "c.png"
    again = Desk(LabelFile(desk.labels.path, desk.labels.image_root))
    assert again.view()["states"] == "ff."
    again.receive({"do": "go", "to": "a.png"})
    assert again.view()["done"]
    again.receive({"do": "reopen"})
    assert again.view()["states"] == ".f." and "finished" not in document(again)["drafts"][0]


def test_a_finished_image_without_its_last_entry_waits_again(desk):
    """An image that a model would learn as empty is one that somebody called empty."""
    desk.receive({"do": "go", "to": "b.png"})
    desk.receive({"do": "remove", "entry": 9, "seconds": 2})
    assert desk.view()["states"] == "..." and not desk.view()["done"]
    assert listed(desk) == ["a.png", "c.png"]
    desk.receive({"do": "finish"})
    assert listed(desk) == ["a.png", "b.png", "c.png"] and desk.view()["states"] == ".f."
