"""SAM beside the annotator."""

from pathlib import Path

import numpy as np
import pytest

from tests.annotate.folder import make_folder
from wsislib.annotate.assistant import SamAssistant
from wsislib.annotate.desk import Desk
from wsislib.annotate.label_file import LabelFile
from wsislib.annotate.messages import outline_of, outline_of_segmentation
from wsislib.data.images import read_image
from wsislib.data.rle import decode_segmentation, encode_mask
from wsislib.models.sam.sam_weights import load_tiny_sam


@pytest.fixture(scope="module")
def assistant() -> SamAssistant:
    return SamAssistant(load_tiny_sam())


@pytest.fixture
def desk(tmp_path: Path, assistant: SamAssistant) -> Desk:
    images = make_folder(tmp_path / "images")
    return Desk(LabelFile(tmp_path / "labels.json", images, ["rose"]), assistant)


def test_a_box_around_the_square_gives_the_square(desk):
    desk.receive({"do": "ask", "box": [19, 9, 22, 22]})
    offers = desk.view()["offers"]
    assert desk.message == "" and 1 <= len(offers) <= 3
    assert [offer["score"] for offer in offers] == sorted(
        (o["score"] for o in offers), reverse=True
    )
    desk.receive({"do": "choose", "category": 1, "offer": 0, "seconds": 2})
    assert desk.view()["offers"] == []
    [entry] = desk.labels.work("a.png").entries
    assert entry["drawn_by"] == "SAM tiny" and entry["seconds"] == 2
    mask = decode_segmentation(entry["segmentation"], 40, 60)
    square = np.zeros((40, 60), bool)
    square[10:30, 20:40] = True
    assert (mask & square).sum() / (mask | square).sum() > 0.8
    ys, xs = np.nonzero(mask)
    assert entry["bbox"] == [xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1]
    assert entry["area"] == mask.sum()


def test_offers_are_of_the_image_on_the_desk(desk):
    desk.receive({"do": "ask", "point": [30, 20]})
    first = desk.view()["offers"]
    desk.receive({"do": "go", "to": "next"})
    assert desk.view()["offers"] == []
    desk.receive({"do": "ask", "point": [30, 20]})
    assert first and desk.view()["offers"]


def test_an_image_is_looked_at_once(desk, assistant, monkeypatch):
    looked = []
    embed = assistant.teacher.embed
    monkeypatch.setattr(assistant.teacher, "embed", lambda x: looked.append(1) or embed(x))
    assistant._looked_at = None
    pixels = read_image(desk.labels.image_root / "a.png")
    for x in (22, 30, 38):
        assistant.offers(pixels, "a.png", point=(x, 20))
    assert len(looked) == 1
    assistant.offers(pixels, "another", point=(30, 20))
    assert len(looked) == 2


def test_no_offer_is_empty_and_no_two_are_the_same(desk, assistant):
    pixels = read_image(desk.labels.image_root / "a.png")
    for x, y in [(1, 1), (30, 20), (59, 39), (20, 10)]:
        masks = [offer.mask for offer in assistant.offers(pixels, "a.png", point=(x, y))]
        assert all(mask.any() for mask in masks)
        for i, mask in enumerate(masks):
            for other in masks[:i]:
                assert (mask & other).sum() / (mask | other).sum() < 0.95


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"do": "ask"}, "with a point or with a box"),
        ({"do": "ask", "point": [1, 1], "box": [1, 1, 4, 4]}, "with a point or with a box"),
        ({"do": "ask", "point": [99, 1]}, "no prompt on 60 x 40 pixels"),
        ({"do": "ask", "box": [70, 1, 5, 5]}, "no prompt on 60 x 40 pixels"),
        ({"do": "choose", "category": 1, "offer": 7}, "no such offer"),
        ({"do": "choose", "category": 1, "offer": "0"}, "no such offer"),
    ],
)
def test_what_is_wrong_is_said(desk, message, said):
    desk.receive(message)
    assert said in desk.message and not desk.labels.path.exists()


def test_outlines_run_round_parts_and_holes():
    mask = np.zeros((12, 14), bool)
    mask[2:8, 3:9] = True
    mask[4:6, 5:7] = False
    mask[10, 12] = True
    rings = outline_of(mask)
    assert len(rings) == 3
    ring = max(rings, key=len if len(rings) == 1 else lambda r: max(r[::2]) - min(r[::2]))
    assert min(ring[::2]) == pytest.approx(3, abs=0.5) and max(ring[::2]) == pytest.approx(
        9, abs=0.5
    )
    assert outline_of_segmentation(encode_mask(mask), 12, 14) == rings
    assert outline_of_segmentation([[1, 2, 3, 4, 5, 6]], 12, 14) == [[1, 2, 3, 4, 5, 6]]


def test_an_entry_says_who_drew_it(desk):
    desk.receive({"do": "ask", "point": [30, 20]})
    desk.receive({"do": "choose", "category": 1, "offer": 0})
    [entry] = desk.labels.work("a.png").entries
    fields = {"segmentation", "bbox", "area", "drawn_by"}
    assert fields < set(entry) and entry["drawn_by"] == "SAM tiny"
