"""Pictures for the page: as every command reads them, few in memory."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.annotate.folder import make_folder
from wsislib.annotate import pictures as module
from wsislib.annotate.desk import Desk
from wsislib.annotate.label_file import LabelFile
from wsislib.annotate.pictures import Pictures
from wsislib.data.images import probe_image, read_image


def decoded(jpeg: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(jpeg))).astype(int)


def turned(place: Path) -> Path:
    """A phone's picture: red above, blue below when it is held upright, stored lying down."""
    pixels = np.full((40, 60, 3), (200, 30, 30), np.uint8)
    pixels[:, 30:] = (30, 30, 200)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(place, exif=exif, quality=95)
    return place


def deep(place: Path) -> Path:
    """12 bits in 16, as microscopes write them."""
    Image.fromarray(np.linspace(100, 4000, 2400).reshape(40, 60).astype(np.uint16)).save(place)
    return place


@pytest.mark.parametrize(("make", "name"), [(turned, "t.jpg"), (deep, "d.png")])
def test_the_page_shows_what_the_other_commands_read(tmp_path, make, name):
    """Its coordinates are those of that picture, and no EXIF turns it once more in the browser."""
    images = make_folder(tmp_path / "images", 1)
    path = make(images / name)
    desk = Desk(LabelFile(tmp_path / "labels.json", images, ["rose"]))
    desk.receive({"do": "go", "to": name})
    pixels, view = read_image(path), desk.view()
    assert (view["height"], view["width"]) == pixels.shape[:2]
    assert np.abs(decoded(desk.picture()) - pixels).mean() < 6
    assert Image.open(io.BytesIO(desk.picture())).getexif().get(0x0112, 1) == 1
    corner = [view["width"] - 1, view["height"] - 1]
    desk.receive({"do": "add", "category": 1, "point": corner})
    desk.receive({"do": "add", "category": 1, "stroke": corner, "width": 1})
    facts, [work] = probe_image(path), desk.labels.all_works()
    assert desk.message == "" and (work.width, work.height) == (facts.width, facts.height)
    assert work.entries[1]["segmentation"]["size"] == list(pixels.shape[:2])


def test_labels_of_the_picture_lying_down_are_not_laid_over_it(tmp_path):
    images = make_folder(tmp_path / "images", 1)
    labels = LabelFile(tmp_path / "labels.json", images, ["rose"])
    labels.change(labels.work("a.png").with_entry({"id": 1, "category_id": 1, "point": [1, 1]}))
    Image.open(images / "a.png").transpose(Image.Transpose.ROTATE_270).save(images / "a.png")
    assert "`wsis data turn` turns them" in Desk(labels).view()["message"]


def test_few_pictures_stay_in_memory(tmp_path):
    folder = make_folder(tmp_path / "images", 6)
    pictures = Pictures(lambda name: folder / name)
    for name in "abcdef":
        pictures.picture(f"{name}.png")
        pictures.prefetch(f"{name}.png")
    assert len(pictures._pictures) <= 3


def test_an_exchanged_picture_is_read_anew(tmp_path):
    folder = make_folder(tmp_path / "images", 1)
    pictures = Pictures(lambda name: folder / name)
    pictures.prefetch("a.png")
    assert pictures.picture("a.png").pixels.shape == (40, 60, 3)
    Image.new("RGB", (31, 30)).save(folder / "a.png")
    assert pictures.picture("a.png").pixels.shape == (30, 31, 3)


def test_what_cannot_be_read_is_said_when_it_is_wanted(tmp_path):
    pictures = Pictures(lambda name: tmp_path / name)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    for name in ("bad.png", "none.png"):
        pictures.prefetch(name)
        for act in (pictures.picture, pictures.thumbnail):
            with pytest.raises(ValueError, match=name):
                act(name)


def test_a_thumbnail_is_made_once(tmp_path, monkeypatch):
    folder = make_folder(tmp_path / "images", 1)
    Image.new("RGB", (400, 200), "red").save(folder / "a.png")
    pictures = Pictures(lambda name: folder / name)
    small = pictures.thumbnail("a.png")
    assert decoded(small).shape == (48, 96, 3)
    monkeypatch.setattr(module, "read_image", lambda path: pytest.fail("read again"))
    assert pictures.thumbnail("a.png") == small
