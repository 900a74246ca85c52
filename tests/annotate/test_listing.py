"""Which images of a folder are labelled."""

import os
from pathlib import Path

import pytest

from tests.annotate.folder import make_folder
from wsislib.annotate import label_file, pictures
from wsislib.annotate.desk import Desk
from wsislib.annotate.label_file import LabelFile
from wsislib.annotate.listing import image_names


def test_folders_inside_count_and_keep_their_names(tmp_path: Path):
    make_folder(tmp_path / "day one" / "left", 1)
    make_folder(tmp_path / "day one", 2)
    make_folder(tmp_path / ".hidden", 1)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "day one" / ".a.png").write_bytes(b"")
    (tmp_path / "Z.JPG").write_bytes(b"")
    assert image_names(tmp_path) == [
        "Z.JPG",
        "day one/a.png",
        "day one/b.png",
        "day one/left/a.png",
    ]


def test_links_to_folders_are_followed_when_allowed_and_never_in_circles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    make_folder(tmp_path / "album", 1)
    make_folder(tmp_path / "elsewhere", 1)
    (tmp_path / "album" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "album" / "circle").symlink_to(tmp_path / "album")
    assert image_names(tmp_path / "album") == ["a.png"]
    monkeypatch.setenv("WSIS_FOLLOW_LINKS", "1")
    assert image_names(tmp_path / "album") == ["a.png", "linked/a.png"]


def test_equal_names_in_two_folders_are_two_images(tmp_path: Path):
    for folder in ("one", "two"):
        make_folder(tmp_path / "images" / folder, 1)
    desk = Desk(LabelFile(tmp_path / "labels.json", tmp_path / "images", ["rose"]))
    desk.receive({"do": "add", "category": 1, "point": [5, 5]})
    desk.receive({"do": "go", "to": "two/a.png"})
    assert desk.view()["entries"] == [] and desk.view()["states"] == "d."
    again = LabelFile(tmp_path / "labels.json", tmp_path / "images")
    assert [work.file_name for work in again.all_works()] == ["one/a.png"]


def test_a_link_to_a_folder_above_is_no_circle(tmp_path: Path):
    make_folder(tmp_path / "one", 1)
    os.symlink(tmp_path, tmp_path / "one" / "up")
    assert image_names(tmp_path) == ["one/a.png"]


@pytest.mark.parametrize("make", [False, True])
def test_a_folder_without_images_is_said(tmp_path: Path, make: bool):
    if make:
        (tmp_path / "x").mkdir()
    with pytest.raises(ValueError, match="holds no image" if make else "no such folder"):
        image_names(tmp_path / "x")


def test_of_2000_images_only_those_that_are_shown_are_read(tmp_path: Path, monkeypatch):
    [picture] = make_folder(tmp_path / "images", 1).iterdir()
    for number in range(1, 2000):
        os.link(picture, tmp_path / "images" / f"{number:04d}.png")
    read: list[Path] = []
    real = pictures.read_image
    monkeypatch.setattr(pictures, "read_image", lambda path: read.append(path) or real(path))
    monkeypatch.setattr(label_file, "probe_image", lambda path: pytest.fail(f"read {path}"))
    desk = Desk(LabelFile(tmp_path / "labels.json", tmp_path / "images", ["rose"]))
    assert desk.view()["count"] == 2000 and len(desk.view()["states"]) == 2000
    for _ in range(5):
        desk.receive({"do": "go", "to": "next"})
        desk.receive({"do": "finish"})
    desk.pictures.picture(desk.labels.files[11])  # one that nothing read before
    assert len(set(read)) <= 13  # each that was shown, and the one after it
