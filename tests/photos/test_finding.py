"""Which files are predicted on: every other one is named with its reason."""

import os
from pathlib import Path

import pytest

from wsislib.photos.finding import find_pictures


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "photos"
    for name in ("b.JPG", "a.png", "sub/a.png", "sub/deep/c.webp", "notes.txt", "raw.heic",
                 ".hidden.jpg", "._a.png", ".git/x.png"):  # fmt: skip
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def names(found):
    return [picture.name for picture in found.pictures]


def test_what_is_not_read_is_named(folder, tmp_path):
    os.mkfifo(folder / "pipe.jpg")
    (folder / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (folder / "link.png").symlink_to(folder / "a.png")
    found = find_pictures([folder])
    assert names(found) == ["a.png", "b.JPG"]
    assert found.passed_by == {
        "hidden": ["._a.png", ".git", ".hidden.jpg"],
        "links that lead nowhere": ["gone.png"],
        "links (read with --follow-links)": ["link.png"],
        "other formats": ["notes.txt", "raw.heic"],
        "neither files nor folders": ["pipe.jpg"],
        "subfolders (read with --recursive)": ["sub"],
    }
    lines = found.summary()
    assert "passed by, hidden: 3 (._a.png, .git, .hidden.jpg)" in lines


def test_subfolders_but_not_the_results(folder):
    (folder / "out" / "overlays").mkdir(parents=True)
    (folder / "out" / "overlays" / "a.jpg").write_bytes(b"x")
    found = find_pictures([folder], recursive=True, out=folder / "out")
    assert names(found) == ["a.png", "b.JPG", "sub/a.png", "sub/deep/c.webp"]
    assert found.passed_by["the folder of the results"] == ["out"]


def test_links_are_followed_where_that_is_asked_and_never_in_circles(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("WSIS_FOLLOW_LINKS", "1")
    store = tmp_path / "store"
    store.mkdir()
    (store / "blob").write_bytes(b"x")
    for name in ("one.png", "two.png"):  # equal contents share a blob
        (folder / name).symlink_to(store / "blob")
    (folder / "sub" / "up").symlink_to(folder)
    found = find_pictures([folder], recursive=True)
    assert {"one.png", "two.png"} <= set(names(found))
    assert found.passed_by["links that lead in a circle"] == ["sub/up"]


def test_files_of_several_places_have_names_of_their_own(folder, tmp_path):
    other = tmp_path / "others"
    other.mkdir()
    (other / "a.png").write_bytes(b"x")
    found = find_pictures([folder, other, other / "a.png"])
    assert names(found) == ["photos/a.png", "b.JPG", "others/a.png"]
    assert found.passed_by["named twice"] == ["a.png"]
    assert names(find_pictures([folder / "sub" / "a.png"])) == ["a.png"]


def test_places_without_a_photograph_are_refused(folder, tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "x.txt").write_bytes(b"x")
    for place, message in {
        "pipe.png": "neither a file nor a folder",
        "nothing": "no such file or folder",
        "empty": "no photograph to read .*the folder is empty",
        "texts": "passed by, other formats: 1 \\(x.txt\\)",
    }.items():
        with pytest.raises(ValueError, match=message):
            find_pictures([tmp_path / place])


@pytest.mark.skipif(os.name == "nt", reason="names of files are text there")
def test_a_name_that_is_no_text_is_passed_by(folder):
    raw = os.fsdecode(os.fsencode(folder) + b"/\xff.png")
    try:
        Path(raw).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes only text as a name")
    assert find_pictures([folder]).passed_by["names that are not text"] == ["'\\udcff.png'"]
