"""Which file a name in an export means."""

import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from wsislib.formats.picture_names import PictureFinder, plain_path

DECOMPOSED = unicodedata.normalize("NFD", "Übung.png")
FILES = [
    "001.png", "3f2a9c1b-hashed.png", "day/one.jpg", "night/one.jpg", "50%25 off.png", "5 o.png",
    "sub/deep/two.PNG", DECOMPOSED, ".hidden/a.png", "._001.png", "note.txt",
    "SegmentationClass/q.png",
]  # fmt: skip


@pytest.fixture
def finder(tmp_path: Path) -> PictureFinder:
    for name in FILES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"") if name.endswith("txt") else Image.new("L", (4, 3)).save(path, "png")
    return PictureFinder(tmp_path)


def test_hidden_files_are_passed_over(finder: PictureFinder) -> None:
    assert len(finder.names) == 8


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("001.png", "001.png"),
        ("./001.PNG", "001.png"),
        ("images\\001.png", "001.png"),
        ("C:\\Users\\me\\001.png", "001.png"),
        ("/data/upload/3/0a1b2c3d-001.png", "001.png"),
        ("https://host/x/001.png?token=abc", "001.png"),
        ("s3://bucket/day/one.jpg", "day/one.jpg"),
        ("/data/local-files/?d=night%2Fone.jpg", "night/one.jpg"),
        ("upload/night/one.jpg", "night/one.jpg"),
        ("hashed.png", "3f2a9c1b-hashed.png"),
        ("3f2a9c1b-hashed.png", "3f2a9c1b-hashed.png"),
        ("other/two.png", "sub/deep/two.PNG"),
        ("50%25 off.png", "50%25 off.png"),
        ("5%20o.png", "5 o.png"),
        ("\u00dcbung.png", DECOMPOSED),
        ("%C3%9Cbung.png", DECOMPOSED),
        ("001", "001.png"),
    ],
)
def test_the_file_that_is_meant(finder: PictureFinder, name: str, file: str) -> None:
    assert finder.find(name) == file


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("one.jpg", "may be 'day/one.jpg' or 'night/one.jpg'"),
        ("0001.png", "no such picture in .*; the nearest is '001.png'"),
        ("q.png", "no such picture"),
        ("../../etc/passwd", "no such picture"),
        ("", "no such picture"),
    ],
)
def test_no_file_is_guessed(finder: PictureFinder, name: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        finder.find(name)


def test_a_plain_path_stays_inside() -> None:
    assert plain_path("../..\\a/./b%20c.png") == "a/b c.png"
    assert plain_path("/data/[bad://x?d=../e.png") in {"[bad:/x", "e.png", "data/[bad:/x"}


def test_sizes_are_bounded_and_broken_files_named(finder: PictureFinder, tmp_path: Path) -> None:
    assert finder.size("001.png") == (4, 3)
    (tmp_path / "001.png").write_bytes(b"broken")
    with pytest.raises(ValueError, match="001.png"):
        finder.size("001.png")
