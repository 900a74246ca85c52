"""Masks by hand: holes, parts, strokes; and entries that are drawn anew."""

from pathlib import Path

import numpy as np
import pytest

from tests.annotate.folder import make_folder
from wsislib.annotate.desk import Desk
from wsislib.annotate.image_labels import ImageLabels
from wsislib.annotate.label_file import LabelFile
from wsislib.annotate.messages import edited, geometry_of, outline_of
from wsislib.data.rle import decode_segmentation

WORK = ImageLabels("a.png", 60, 40)
SQUARE = {"id": 1, "category_id": 1, "segmentation": [[10, 10, 30, 10, 30, 30, 10, 30]]}


def pixels(entry: dict) -> np.ndarray:
    return decode_segmentation(entry["segmentation"], 40, 60)


def edit(op: str, entry: dict = SQUARE, **drawn) -> dict:
    return edited(entry, {"op": op, **drawn}, WORK)


def test_what_is_erased_and_painted_is_what_was_drawn():
    expected = pixels(SQUARE).copy()
    expected[15:20, 15:25] = False
    hole = edit("erase", polygons=[[15, 15, 25, 15, 25, 20, 15, 20]])
    assert (pixels(hole) == expected).all() and hole["area"] == expected.sum() == 350
    assert hole["bbox"] == [10, 10, 20, 20] and hole["id"] == 1
    assert len(outline_of(pixels(hole))) == 2
    filled = edit("paint", hole, polygons=[[14, 14, 26, 14, 26, 21, 14, 21]])
    assert (pixels(filled) == pixels(SQUARE)).all()
    apart = edit("paint", hole, polygons=[[40, 2, 50, 2, 50, 8, 40, 8]])
    assert apart["area"] == 350 + 60 and apart["bbox"] == [10, 2, 40, 28]


@pytest.mark.parametrize("width", [1, 3, 6.4, 11])
def test_a_stroke_is_as_wide_as_the_brush(width):
    """Against the distance of each pixel's centre from the line, to within half a pixel."""
    mask = pixels(geometry_of({"stroke": [12.5, 20.5, 40.5, 20.5], "width": width}, WORK))
    y, x = np.mgrid[:40, :60] + 0.5
    far = np.hypot(np.maximum(np.maximum(12.5 - x, x - 40.5), 0), y - 20.5)
    assert (
        mask[far <= round(width) / 2 - 0.75].all() and not mask[far > round(width) / 2 + 0.75].any()
    )
    assert mask[20, 12:41].all()


def test_a_stroke_of_one_place_is_a_dot():
    mask = pixels(geometry_of({"stroke": [10.5, 20.5], "width": 5}, WORK))
    assert mask[20, 10] and 13 <= mask.sum() <= 32


def test_a_stroke_is_cut_at_the_border():
    mask = pixels(geometry_of({"stroke": [-500, 5, 5, 5], "width": 3}, WORK))
    assert mask[5, 0] and mask.shape == (40, 60)


@pytest.mark.parametrize(
    ("entry", "message", "said"),
    [
        (SQUARE, {"op": "erase", "stroke": [20, 20], "width": 100}, "nothing of the mask would be"),
        (SQUARE, {"op": "dance", "stroke": [20, 20]}, "paint and erase are known"),
        (SQUARE, {"op": "paint", "stroke": [20]}, "finite numbers"),
        (SQUARE, {"op": "paint", "stroke": [20, float("nan")]}, "finite numbers"),
        (SQUARE, {"op": "paint", "stroke": [20, "x"]}, "finite numbers"),
        (SQUARE, {"op": "paint", "stroke": [20, 5], "width": float("inf")}, "finite numbers"),
        (SQUARE, {"op": "paint", "stroke": [200, 200]}, "outside the image"),
        (SQUARE, {"op": "paint", "polygons": [[1, 1]]}, "at least 3"),
        ({"id": 1, "category_id": 1, "bbox": [1, 1, 5, 5]}, {"op": "erase"}, "only a mask"),
    ],
)
def test_what_cannot_be_drawn_is_said(entry, message, said):
    with pytest.raises(ValueError, match=said):
        edited(entry, message, WORK)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    images = make_folder(tmp_path / "images")
    return Desk(LabelFile(tmp_path / "labels.json", images, ["rose"]))


def test_an_entry_drawn_anew_keeps_all_but_its_place(desk):
    desk.receive({"do": "add", "category": 1, "box": [5, 5, 9, 9], "seconds": 3})
    desk.receive({"do": "redraw", "entry": 1, "stroke": [20, 20, 30, 20], "width": 4})
    desk.receive({"do": "redraw", "entry": 1, "point": [7, 8], "seconds": 2})
    [work] = desk.labels.all_works()
    assert work.entries == (
        {"id": 1, "category_id": 1, "iscrowd": 0, "seconds": 3, "point": [7, 8]},
    )
    assert work.seconds == 2
    for wrong, said in (({}, "draw where"), ({"point": [1, 1], "box": [1, 1, 4, 4]}, "one place")):
        desk.receive({"do": "redraw", "entry": 1, **wrong})
        assert said in desk.message and desk.labels.all_works() == [work]


def test_a_message_of_a_page_that_shows_another_image_changes_nothing(desk):
    """Of two windows, one does not write into the image that the other has gone to."""
    desk.receive({"do": "go", "to": "next", "image": "a.png"})
    desk.receive({"do": "add", "category": 1, "point": [5, 5], "image": "a.png"})
    assert desk.message == "nothing was done: the page showed a.png, another one is open"
    assert not desk.labels.path.exists() and desk.file_name == "b.png"
    desk.receive({"do": "finish", "image": "a.png"})
    assert desk.view()["finished"] == 0
    desk.receive({"do": "finish", "image": "b.png"})
    assert desk.view()["finished"] == 1
