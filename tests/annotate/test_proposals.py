"""A model's predictions: proposals until a person says otherwise, and never more than that."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.annotate.folder import make_folder
from wsislib.annotate.desk import Desk
from wsislib.annotate.label_file import LabelFile
from wsislib.annotate.measured_prices import measured_seconds
from wsislib.annotate.proposals import propose, read_proposals
from wsislib.data.photographs.coco import CocoDataset
from wsislib.data.rle import decode_segmentation, encode_mask

IMAGES = [
    {"id": 10 + place, "file_name": f"{name}.png", "width": 60, "height": 40}
    for place, name in enumerate("abc")
]
CATEGORIES = [{"id": 7, "name": "thistle"}, {"id": 3, "name": "rose"}, {"id": 5, "name": "lily"}]


def square(x: int, y: int, side: int = 8) -> dict:
    mask = np.zeros((40, 60), bool)
    mask[y : y + side, x : x + side] = True
    return encode_mask(mask)


def result(image: int, score: float, category: int = 7, **place) -> dict:
    return {"image_id": image, "category_id": category, "score": score, **place}


RESULTS = [
    result(10, 0.6, segmentation=square(2, 3), bbox=[2, 3, 8, 8]),
    result(10, 0.9, 3, bbox=[20, 10, 20, 20]),
    result(10, 0.1, segmentation=square(30, 3)),
    result(11, 0.8, segmentation=[[1, 1, 9, 1, 9, 9, 1, 9]]),
]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    make_folder(tmp_path / "images")
    return tmp_path


def write(path: Path, results=RESULTS, images=IMAGES, categories=CATEGORIES) -> Path:
    document = {"images": images, "annotations": results, "categories": categories}
    path.write_text(json.dumps(document))
    return path


def opened(place: Path, names=("rose", "thistle")) -> LabelFile:
    return LabelFile(place / "labels.json", place / "images", names)


def proposed(place: Path, path: Path | None = None) -> Desk:
    labels = opened(place)
    propose(labels, read_proposals(path or write(place / "p.json")))
    return Desk(labels)


def test_a_document_becomes_proposals_by_names(place):
    labels = opened(place)
    said = propose(labels, read_proposals(write(place / "p.json")))
    assert said == "3 proposals; left out: 1 of a score below 0.25"
    view = Desk(labels).view()
    assert [(e["category"], e["kind"], e["score"]) for e in view["entries"]] == [
        (1, "box", 0.9),  # rose is category 1 here; the best score first
        (2, "mask", 0.6),
    ]
    assert view["states"] == "pp." and view["finished"] == 0


def test_a_bare_list_is_read_with_the_file_that_its_ids_are_of(place):
    (place / "bare.json").write_text(json.dumps(RESULTS))
    with pytest.raises(
        ValueError, match=r"bare.json: a list of results says ids and no names.*--of"
    ):
        read_proposals(place / "bare.json")
    val = write(place / "val.json", [])
    predictions = read_proposals(place / "bare.json", val)
    assert predictions.names(0.25, new=False) == ["thistle", "rose"]
    assert predictions.names(0.25, new=True) == ["thistle", "rose", "lily"]
    assert propose(opened(place), predictions).startswith("3 proposals")


def test_proposals_are_nobodys_labels(place):
    desk = proposed(place)
    document = json.loads(desk.labels.path.read_text())
    assert document["images"] == document["annotations"] == []
    assert all(draft["annotations"] == [] for draft in document["drafts"])
    assert [len(draft["proposals"]) for draft in document["drafts"]] == [2, 1]
    desk.receive({"do": "finish"})
    assert "2 proposals of the model still wait: accept or remove" in desk.view()["message"]
    desk.receive({"do": "go", "to": "c.png"})
    desk.receive({"do": "finish"})
    assert len(CocoDataset(desk.labels.path, place / "images")) == 1  # c.png alone


def test_accepted_ones_are_labels_and_say_where_they_come_from(place):
    desk = proposed(place)
    first, second = desk.view()["entries"]
    desk.receive({"do": "accept", "entry": second["id"], "seconds": 2})
    desk.receive({"do": "remove", "entry": first["id"]})
    desk.receive({"do": "finish"})
    assert desk.message == ""
    [entry] = json.loads(desk.labels.path.read_text())["annotations"]
    assert entry["proposed_by"] == "p.json" and "score" not in entry
    assert entry["segmentation"] == square(2, 3) and entry["category_id"] == 2
    assert measured_seconds(desk.labels).empty  # what a model drew says nothing of a mask's price


def test_all_are_accepted_or_removed_at_once_and_undone(place):
    desk = proposed(place)
    for act, left in (("accept", 2), ("dismiss", 0)):
        desk.receive({"do": act})
        view = desk.view()
        assert len(view["entries"]) == left and not any("score" in e for e in view["entries"])
        desk.receive({"do": "undo"})
        assert [e["score"] for e in desk.view()["entries"]] == [0.9, 0.6]
    desk.receive({"do": "dismiss"})
    desk.receive({"do": "dismiss"})
    assert desk.view()["message"] == "nothing is proposed"


@pytest.mark.parametrize(
    "change",
    [
        {"do": "rename", "category": 1},
        {"do": "edit", "op": "erase", "stroke": [5.5, 6.5], "width": 1},
        {"do": "redraw", "box": [3, 3, 9, 9]},
    ],
)
def test_what_a_person_changes_is_accepted_by_that(place, change):
    desk = proposed(place)
    mask = desk.view()["entries"][1]["id"]
    desk.receive({**change, "entry": mask})
    assert desk.message == ""
    changed, waiting = desk.view()["entries"]
    assert changed["id"] == mask and "score" not in changed and waiting["score"] == 0.9
    [work] = [w for w in opened(place).all_works() if w.file_name == "a.png"]
    assert len(work.entries) == len(work.proposals) == 1


def test_what_was_decided_stays_decided(place):
    """The same command again, also after the page was killed, brings nothing back."""
    desk = proposed(place)
    desk.receive({"do": "remove", "entry": desk.view()["entries"][0]["id"]})
    desk.receive({"do": "accept"})
    labels = opened(place)
    said = propose(labels, read_proposals(place / "p.json"))
    assert said.startswith("1 proposals still wait") and labels.states() == "dp."
    assert len(labels.work("a.png").entries) == 1


def test_other_predictions_replace_what_waits_and_nothing_else(place):
    desk = proposed(place)
    desk.receive({"do": "accept", "entry": desk.view()["entries"][0]["id"]})
    desk.receive({"do": "go", "to": "c.png"})
    desk.receive({"do": "finish"})
    new = [result(10, 0.7, bbox=[1, 1, 5, 5]), result(12, 0.7, bbox=[1, 1, 5, 5])]
    labels = opened(place)
    said = propose(labels, read_proposals(write(place / "q.json", new)))
    assert said.startswith("1 proposals; left out: 1 of images that are finished")
    assert labels.states() == "p.f"
    assert [e["bbox"] for e in labels.work("a.png").entries] == [[20, 10, 20, 20]]
    assert [p["bbox"] for p in labels.work("a.png").proposals] == [[1, 1, 5, 5]]


def test_names_of_another_folder_are_found_where_only_one_file_ends_alike(place):
    make_folder(place / "images" / "more", 1)
    images = [{**IMAGES[0], "file_name": "data\\raw\\b.png"}, {**IMAGES[1], "file_name": "x/a.png"}]
    labels = opened(place)
    said = propose(labels, read_proposals(write(place / "p.json", images=images)))
    assert labels.states()[labels.place["b.png"]] == "p"
    assert said.startswith("2 proposals") and "1 of images that are not in the folder" in said


@pytest.mark.parametrize(
    "fault",
    [
        {"segmentation": {"size": [40, 60], "counts": "zzzz"}},
        {"segmentation": {"size": [10**6, 10**6], "counts": [10**12]}},
        {"segmentation": [[1, 2]]},
        {"segmentation": square(2, 2, 0)},
        {"bbox": [1, 2, float("nan"), 3]},
        {"bbox": [100, 100, 5, 5]},
        {"bbox": "wide"},
        {"point": [1]},
    ],
)
def test_what_cannot_be_drawn_is_left_out_and_said(place, fault):
    labels = opened(place)
    results = [result(10, 0.9, **fault), RESULTS[0]]
    said = propose(labels, read_proposals(write(place / "p.json", results)))
    assert said.startswith("1 proposals; left out: 1 that cannot be drawn (the first: a.png, ")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not JSON"),
        ("3", "must be a COCO document"),
        ('{"annotations": []}', "must be a COCO document"),
        ('{"annotations": [], "images": [], "categories": []}', "nothing to propose: it is empty"),
        (
            '{"annotations": [{"image_id": [1], "category_id": {}, "score": "x"}, 4, {"image_id": '
            '1}, {"score": NaN}], "images": [{"id": {}, "file_name": "a.png"}, 7], '
            '"categories": [{}]}',
            "nothing to propose: 2 of a score below 0.25; 1 of images that are not in the folder",
        ),
    ],
)
def test_a_wrong_file_is_one_clear_error(place, content, said):
    (place / "p.json").write_text(content)
    with pytest.raises(ValueError, match=r"p\.json: ") as error:
        propose(opened(place), read_proposals(place / "p.json"))
    assert said in str(error.value) and not (place / "labels.json").exists()


def test_predictions_of_another_size_do_not_block_an_image(place):
    images = [{**record, "width": 40, "height": 60} for record in IMAGES]
    turned = [result(10, 0.9, bbox=[1, 1, 5, 5])]
    desk = proposed(place, write(place / "p.json", turned, images))
    assert "predicted for a picture of another size" in desk.view()["message"]
    desk.receive({"do": "add", "category": 1, "point": [55, 5]})
    assert desk.view()["message"] == "" and desk.view()["states"] == "d.."


@pytest.mark.parametrize("place_of", [{"segmentation": square(2, 3)}, {"bbox": [1, 1, 5, 5]}])
def test_sizes_that_nobody_says_are_found(place, place_of):
    images = [{"id": 10, "file_name": "a.png"}]
    desk = proposed(place, write(place / "p.json", [result(10, 0.9, **place_of)], images))
    assert len(desk.view()["entries"]) == 1 and desk.view()["message"] == ""


def test_tags_come_as_proposals_too(place):
    desk = proposed(place, write(place / "p.json", [result(10, 0.9), result(10, 0.8)]))
    desk.receive({"do": "accept"})
    assert [e["kind"] for e in desk.view()["entries"]] == ["tag"] and desk.message == ""


def test_a_hole_goes_through_the_file_and_comes_back(place):
    desk = proposed(place)
    mask = desk.view()["entries"][1]["id"]
    desk.receive(
        {"do": "edit", "op": "erase", "entry": mask, "polygons": [[4, 5, 7, 5, 7, 8, 4, 8]]}
    )
    [entry] = opened(place).work("a.png").entries
    pixels = decode_segmentation(entry["segmentation"], 40, 60)
    assert pixels[3:11, 2:10].sum() == pixels.sum() == 64 - 9 == entry["area"]
    assert len(desk.view()["entries"][0]["outline"]) == 2  # the ring and its hole
