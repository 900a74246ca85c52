"""The widget: what a page says is done, what comes of it is sent back."""

import json
from pathlib import Path

import pytest

from tests.annotate.folder import make_folder
from wsislib.annotate.page import LabelPage, label
from wsislib.annotate.page_files import page_file, page_script


@pytest.fixture
def page(tmp_path: Path) -> LabelPage:
    return label(make_folder(tmp_path / "images"), tmp_path / "labels.json", ["rose", "thistle"])


def said(page: LabelPage, **message) -> None:
    """What the front end sends arrives as the kernel hands it on."""
    page._handle_msg({"content": {"data": {"method": "custom", "content": message}}, "buffers": []})


def test_a_message_changes_the_file_and_the_view(page, tmp_path):
    said(page, do="add", category=1, point=[5, 6], seconds=2)
    assert page.view["entries"] == [{"id": 1, "category": 1, "kind": "point", "point": [5, 6]}]
    assert json.loads((tmp_path / "labels.json").read_text())["drafts"]


def test_the_picture_is_sent_anew_only_with_another_image(page):
    sent = []
    page.observe(lambda change: sent.append(change["name"]), ["picture", "view"])
    said(page, do="add", category=1, point=[5, 6])
    assert sent == ["view"]
    said(page, do="go", to="next")
    assert sorted(sent) == ["picture", "view", "view"]


def test_an_error_stays_on_the_page(page):
    said(page, do="add", category=1, point=[500, 6])
    assert "lies outside the image" in page.view["message"] and page.view["entries"] == []


def test_a_sam_is_loaded_where_one_is_named(tmp_path):
    folder = make_folder(tmp_path / "images")
    for named in ("tiny", True):
        assert label(folder, tmp_path / "l.json", ["rose"], sam=named).view["sam"]
    assert not label(folder, tmp_path / "l.json", ["rose"], sam=False).view["sam"]
    with pytest.raises(ValueError, match=r"not a teacher that is known"):
        label(folder, tmp_path / "l.json", ["rose"], sam="big.pth")


def test_the_page_ships_with_the_package(page):
    assert page_script() == str(page._esm) and "export default" in page_script()
    assert page_file("label.css") == str(page._css)
    assert page.files == ["a.png", "b.png", "c.png"]
