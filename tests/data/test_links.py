"""Links out of an image folder: refused, and followed where the user says so."""

import os

import pytest

from wsislib.cli import main
from wsislib.data.images import links_allowed, resolve_image


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "store.png").write_bytes(b"x")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.png").symlink_to("../store.png")
    return tmp_path / "images"


def test_links_need_the_switch_and_names_stay_checked(folder, monkeypatch):
    with pytest.raises(ValueError, match="by a link; give --follow-links"):
        resolve_image(folder, "1.png")
    monkeypatch.setenv("WSIS_FOLLOW_LINKS", "1")
    assert resolve_image(folder, "1.png") == (folder.parent / "store.png").resolve()
    for name in ("../store.png", str(folder.parent / "store.png"), "x/../../store.png", "."):
        with pytest.raises(ValueError, match="leads out of the image folder"):
            resolve_image(folder, name)


def test_the_switch_is_of_every_command_and_of_one_call(folder, monkeypatch):
    seen = []
    monkeypatch.setattr("wsislib.cli._call", lambda *_: seen.append(links_allowed()) or 0)
    main(["train", "x.json", "--follow-links"])
    main(["train", "x.json"])
    assert seen == [True, False]
    assert "WSIS_FOLLOW_LINKS" not in os.environ
