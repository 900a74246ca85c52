"""Messages of a page, and what comes of them."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.annotate.folder import make_folder
from wsislib.annotate.desk import ACTIONS, Desk
from wsislib.annotate.label_file import LabelFile


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    images = make_folder(tmp_path / "images")
    return Desk(LabelFile(tmp_path / "labels.json", images, ["rose", "thistle"]))


def saved(desk: Desk) -> dict:
    return json.loads(desk.labels.path.read_text())


def entries(desk: Desk) -> list[dict]:
    return desk.view()["entries"]


def test_four_kinds_of_label_in_one_image(desk):
    desk.receive({"do": "add", "category": 2, "seconds": 1.5})
    desk.receive({"do": "add", "category": 1, "point": [12.345, 9.0], "seconds": 2})
    desk.receive({"do": "add", "category": 1, "box": [50, 30, 40, 40]})
    desk.receive({"do": "add", "category": 1, "polygons": [[1, 1, 9, 1, 9, 9, 1, 9]]})
    assert desk.message == ""
    assert [entry["kind"] for entry in entries(desk)] == ["tag", "point", "box", "mask"]
    tag, point, box, mask = saved(desk)["drafts"][0]["annotations"]
    assert tag == {"id": 1, "category_id": 2, "iscrowd": 0, "seconds": 1.5}
    assert point["point"] == [12.35, 9.0] and point["seconds"] == 2
    assert box["bbox"] == [50, 30, 10, 10]  # cut at the border
    assert mask["bbox"] == [1, 1, 8, 8] and mask["area"] == 64
    assert entries(desk)[3]["outline"] == [[1, 1, 9, 1, 9, 9, 1, 9]]
    assert json.loads(json.dumps(desk.view())) == desk.view()


def test_finishing_brings_the_next_unfinished_image(desk):
    desk.receive({"do": "go", "to": "b.png"})
    desk.receive({"do": "finish", "seconds": 4})
    assert desk.file_name == "c.png"
    desk.receive({"do": "finish"})
    assert desk.file_name == "a.png" and desk.view()["finished"] == 2
    desk.receive({"do": "finish"})
    assert desk.view()["finished"] == desk.view()["count"] == 3
    desk.receive({"do": "go", "to": "unfinished"})
    assert desk.message == "every image is labelled"
    assert [image["file_name"] for image in saved(desk)["images"]] == ["b.png", "c.png", "a.png"]
    assert saved(desk)["images"][0]["seconds"] == 4
    again = Desk(LabelFile(desk.labels.path, desk.labels.image_root))
    again.receive({"do": "reopen"})
    assert again.view()["finished"] == 2 and not again.view()["done"]


def test_a_desk_begins_with_the_first_unfinished_image(desk):
    desk.receive({"do": "finish"})
    assert Desk(LabelFile(desk.labels.path, desk.labels.image_root)).file_name == "b.png"


def test_undo_shows_where_it_happened(desk):
    desk.receive({"do": "add", "category": 1, "point": [5, 5]})
    desk.receive({"do": "go", "to": "previous"})
    assert desk.file_name == "c.png"
    desk.receive({"do": "undo"})
    assert desk.file_name == "a.png" and entries(desk) == []
    desk.receive({"do": "go", "to": "next"})
    desk.receive({"do": "redo"})
    assert desk.file_name == "a.png" and len(entries(desk)) == 1


def test_entries_are_renamed_and_removed(desk):
    desk.receive({"do": "add", "category": 1, "point": [5, 5]})
    desk.receive({"do": "rename", "entry": 1, "category": 2, "seconds": 1})
    assert entries(desk)[0]["category"] == 2
    desk.receive({"do": "remove", "entry": 1, "seconds": 2})
    assert entries(desk) == [] and saved(desk)["drafts"][0]["seconds"] == 3


def test_a_category_more(desk):
    desk.receive({"do": "category", "name": "lily"})
    assert [c["name"] for c in desk.view()["categories"]] == ["rose", "thistle", "lily"]


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"do": "dance"}, "asked for 'dance'"),
        ({}, "asked for None"),
        ({"do": "add", "point": [1, 1]}, "lacks or misuses 'category'"),
        ({"do": "add", "category": 9, "point": [1, 1]}, "choose a category first"),
        ({"do": "add", "category": 1, "point": [1, 1], "box": [1, 1, 2, 2]}, "one place"),
        ({"do": "add", "category": 1, "point": [1, float("nan")]}, "not finite"),
        ({"do": "add", "category": 1, "point": [99, 1]}, "lies outside the image"),
        ({"do": "add", "category": 1, "box": [5, 5, 0.2, 9]}, "at least one pixel"),
        ({"do": "add", "category": 1, "polygons": [[1, 1, 5, 5]]}, "at least 3"),
        ({"do": "remove", "entry": 3}, "no entry 3"),
        ({"do": "rename", "entry": 3, "category": 1}, "no entry 3"),
        ({"do": "go", "to": "../x.png"}, "no image"),
        ({"do": "ask", "point": [1, 1]}, "no SAM was given"),
        ({"do": "choose", "category": 1, "offer": 0}, "no such offer"),
        ({"do": "category", "name": "rose"}, "already"),
    ],
)
def test_what_is_wrong_is_said_and_changes_nothing(desk, message, said):
    desk.receive(message)
    assert said in desk.view()["message"]
    assert not desk.labels.path.exists()
    desk.receive({"do": "undo"})
    assert desk.view()["message"] == ""


@pytest.mark.parametrize("seconds", [float("nan"), -3, "long", None, True, 1e9])
def test_a_time_that_cannot_be_is_not_kept(desk, seconds):
    desk.receive({"do": "add", "category": 1, "point": [5, 5], "seconds": seconds})
    assert 0 <= saved(desk)["drafts"][0]["annotations"][0]["seconds"] <= 120


ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | st.text(max_size=3),
    lambda some: (
        st.lists(some, max_size=6) | st.dictionaries(st.text(max_size=2), some, max_size=2)
    ),
    max_leaves=8,
)
KEYS = ("category", "entry", "point", "box", "polygons", "stroke", "width", "op", "to", "offer",
        "name", "seconds", "image")  # fmt: skip


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(message=st.fixed_dictionaries(
    {"do": st.sampled_from(ACTIONS)}, optional={key: ODD | st.just(1) for key in KEYS}
))  # fmt: skip
def test_no_message_stops_the_page(desk, message):
    desk.receive(
        {"do": "add", "category": 1, "polygons": [[1, 1, 9, 1, 9, 9]], "image": desk.file_name}
    )
    desk.receive(message)
    view = desk.view()
    assert json.loads(json.dumps(view, allow_nan=False)) == view
    assert LabelFile(desk.labels.path, desk.labels.image_root).states() == view["states"]


def test_an_image_that_cannot_be_read_stops_nobody(desk):
    (desk.labels.image_root / "b.png").write_bytes(b"no picture")
    desk.receive({"do": "go", "to": "b.png"})
    assert "b.png: not an image that can be read" in desk.view()["message"]
    assert desk.picture() == b"" and desk.view()["width"] == 0
    desk.receive({"do": "add", "category": 1, "point": [5, 5]})
    assert "not an image" in desk.view()["message"] and not desk.labels.path.exists()
    for _ in range(2):
        desk.receive({"do": "go", "to": "unfinished"})
        desk.receive({"do": "finish"})
    assert desk.view()["finished"] == 2
    desk.receive({"do": "go", "to": "unfinished"})
    assert desk.view()["message"] == "every image is labelled"


def test_the_picture_is_the_stored_image_scaled_down(desk):
    Image.fromarray(np.full((900, 3200, 3), 200, np.uint8)).save(desk.labels.image_root / "a.png")
    desk.receive({"do": "go", "to": "b.png"})
    desk.receive({"do": "go", "to": "a.png"})
    assert Image.open(io.BytesIO(desk.picture())).size == (1600, 450)
    assert (desk.view()["width"], desk.view()["height"]) == (3200, 900)
