"""Without a mouse, among thousands of images, in windows of any size; the page of `wsis label`."""

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.annotate.folder import make_folder
from tests.annotate.screen import entries
from wsislib.annotate.desk import ACTIONS, Desk
from wsislib.annotate.label_file import LabelFile
from wsislib.annotate.page_files import page_file, page_script
from wsislib.annotate.proposals import propose, read_proposals
from wsislib.annotate.server import LabelServer


def test_every_key_that_is_listed_does_something():
    """By the page's text: each action of a key exists, and each message of the desk has a key."""
    keys, rest = page_file("keys.js"), page_script()
    named = set(re.findall(r'^  \[\[.*?\], "([a-zA-Z]+)', keys, re.MULTILINE))
    acts = rest[rest.index("const ACTS = {") :]
    known = set(re.findall(r"^    ([a-zA-Z]+): ?", acts[: acts.index("\n  };")], re.MULTILINE))
    known |= set(re.findall(r"^    ([a-zA-Z]+): press", acts, re.MULTILINE))
    assert named == known
    assert set(re.findall(r'do: (?:view\(\)\.done \? )?"([a-z]+)"', rest)) | {"finish"} == set(
        ACTIONS
    )
    listed = [key for line in re.findall(r"^  \[\[(.*?)\], ", keys, re.MULTILINE)
              for key in re.findall(r'"(.+?)"(?:, |$)', line)]  # fmt: skip
    assert len(listed) == len(set(listed)) and len(listed) > 50


def test_all_is_labelled_without_a_mouse(screen):
    screen.press("2", "p", "Shift+ArrowRight", "Shift+ArrowDown")
    with screen.one_update():
        screen.press("Space")
    assert entries(screen)[0]["point"] == pytest.approx([31.2, 21.2], abs=0.1)
    screen.press("1", "b", "Space", *["Shift+ArrowLeft"] * 10, *["Shift+ArrowUp"] * 5)
    with screen.one_update():
        screen.press("Space")
    assert entries(screen)[1]["bbox"] == pytest.approx([19.2, 15.2, 12, 6], abs=0.1)
    screen.press(
        "o", "Space", *["Shift+ArrowRight"] * 20, "Space", *["Shift+ArrowDown"] * 20, "Space"
    )
    with screen.one_update():
        screen.press("Enter")
    assert screen.desk.view()["entries"][2]["kind"] == "mask"
    screen.press("k", "k")  # the last, the one before
    with screen.one_update():
        screen.press("2", "r")
    assert [e["category_id"] for e in entries(screen)] == [2, 2, 1]
    with screen.one_update():
        screen.press("Delete")
    assert [e["id"] for e in entries(screen)] == [1, 3]
    with screen.one_update():
        screen.press("f")
    assert screen.desk.labels.finished("a.png") and screen.desk.file_name == "b.png"


def test_a_key_that_is_held_does_not_finish_many_images(screen):
    screen.press("Shift+ArrowRight")
    with screen.one_update():
        screen.tab.evaluate(
            """() => { for (const repeat of [false, true, true, true]) document.querySelector(
               '.wsis-label').dispatchEvent(new KeyboardEvent('keydown', {key: 'f', code: 'KeyF',
               repeat, bubbles: true})); }"""
        )
    screen.tab.wait_for_timeout(100)
    assert screen.desk.view()["finished"] == 1


def test_letters_of_other_scripts_are_the_keys_where_they_lie(screen):
    screen.tab.evaluate(
        """() => document.querySelector('.wsis-label').dispatchEvent(new KeyboardEvent('keydown',
           {key: '\u0437', code: 'KeyP', bubbles: true}))"""
    )
    assert screen.tab.locator("button[aria-pressed=true]", has_text="Point").count() == 1


def test_the_help_lists_the_keys_and_gives_the_focus_back(screen):
    screen.press("h")
    dialog = screen.tab.get_by_role("dialog", name="Keys")
    assert dialog.is_visible() and "next image that is not finished" in dialog.inner_text()
    assert screen.tab.evaluate("document.activeElement.textContent").startswith("Close")
    screen.tab.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert screen.tab.evaluate("document.activeElement.className") == "wsis-label"


def test_the_focus_is_seen_and_stays_where_it_was(screen):
    screen.tab.locator(".wsis-label").focus()
    for _ in range(2):
        screen.tab.keyboard.press("Tab")
    focused = "document.activeElement.dataset.f"
    assert screen.tab.evaluate(focused) == "next"
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert screen.tab.evaluate(outline) == "solid"
    with screen.one_update():
        screen.tab.keyboard.press("Enter")  # presses the button, and is no key of the page
    assert screen.desk.file_name == "b.png" and screen.tab.evaluate(focused) == "next"


def test_a_category_is_chosen_by_its_name(screen):
    screen.press("c")
    screen.tab.keyboard.type("thistle")
    screen.tab.keyboard.press("Enter")
    assert screen.tab.locator("button[aria-pressed=true][data-category=thistle]").count() == 1
    with screen.one_update():
        screen.press("t", "2")
    assert entries(screen)[0]["category_id"] == 2


@pytest.fixture
def many(chromium, tmp_path: Path) -> Iterator:
    """The page of `wsis label` over 2,000 images with proposals, and its server."""
    import os

    [picture] = make_folder(tmp_path / "images", 1).iterdir()
    for number in range(1, 2000):
        folder = tmp_path / "images" / f"day {number // 500}"
        folder.mkdir(exist_ok=True)
        os.link(picture, folder / f"{number:04d}.png")
    predicted = {
        "images": [{"id": 1, "file_name": "a.png", "width": 60, "height": 40}],
        "categories": [{"id": 1, "name": "\u0ba8\u0bbe\u0baf\u0bcd <b>"}],
        "annotations": [
            {
                "image_id": 1,
                "category_id": 1,
                "score": 0.9,
                "segmentation": [[x, 5, x + 9, 5, x, 20]],
            }
            for x in (5, 30)
        ],
    }
    (tmp_path / "p.json").write_text(json.dumps(predicted))
    predictions = read_proposals(tmp_path / "p.json")
    labels = LabelFile(tmp_path / "labels.json", tmp_path / "images", predictions.names(0.25, True))
    propose(labels, predictions)
    with LabelServer(Desk(labels)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        tab = chromium.new_page(viewport={"width": 1280, "height": 800})
        wrong: list[str] = []
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("console", lambda m: m.type == "error" and wrong.append(m.text))
        tab.on("request", lambda r: wrong.append(r.url) if not is_own(r.url, server) else None)
        tab.goto(server.address)
        tab.wait_for_selector(".wsis-label")
        yield tab, server, wrong
        tab.close()
        server.shutdown()
        thread.join()
    assert wrong == []


def is_own(url: str, server: LabelServer) -> bool:
    return url.startswith((f"http://127.0.0.1:{server.server_port}/", "blob:", "data:"))


def settle(tab, text: str) -> None:
    tab.wait_for_function(
        "text => document.querySelector('.bar').innerText.includes(text)", arg=text
    )


def test_of_2000_images_the_list_holds_what_is_in_sight(many):
    tab, server, _ = many
    settle(tab, "(1 of 2000)")
    rows = tab.locator(".spacer button")
    assert 5 < rows.count() < 40
    tab.evaluate("document.querySelector('.scroller').scrollTop = 1e6")
    tab.wait_for_selector("button[title='day 3/1999.png']")
    tab.wait_for_function(
        "() => [...document.querySelectorAll('.spacer img')].every(image => image.naturalWidth > 0)"
    )
    assert rows.count() < 40 and len(server.desk.pictures._thumbnails) < 60
    tab.keyboard.press("i")
    tab.keyboard.type("day 2/1234")
    tab.keyboard.press("Enter")
    settle(tab, "day 2/1234.png")
    tab.keyboard.press("ArrowRight")  # the focus is back on the page
    settle(tab, "day 2/1235.png")
    assert tab.locator(".spacer button[data-state='.']").count() > 0
    tab.keyboard.press("Shift+I")
    assert not tab.locator(".images").is_visible()
    tab.get_by_role("button", name="Images").click()
    assert tab.evaluate("document.activeElement.type") == "search"


def test_proposals_are_decided_by_keys(many):
    tab, server, _ = many
    settle(tab, "0 of 2000 finished, 1 with proposals")
    assert tab.locator("svg g.proposal").count() == 2
    assert "\u0ba8\u0bbe\u0baf\u0bcd <b>" in tab.inner_text(".side")
    tab.keyboard.press("f")
    tab.wait_for_function(
        "() => document.querySelector('[role=alert]').innerText.includes('still wait')"
    )
    tab.keyboard.press("j")
    tab.keyboard.press("y")
    tab.wait_for_function("() => document.querySelectorAll('svg g.proposal').length === 1")
    tab.keyboard.press("Shift+X")
    tab.wait_for_function("() => document.querySelectorAll('svg g.proposal').length === 0")
    tab.keyboard.press("f")
    settle(tab, "1 of 2000 finished")
    assert server.desk.labels.states()[:2] == "f."


def test_a_page_without_its_server_says_that_nothing_is_saved(many):
    tab, server, wrong = many
    settle(tab, "(1 of 2000)")
    tab.route("**/message", lambda route: route.abort())
    tab.keyboard.press("Shift+Y")
    tab.wait_for_function(
        "() => document.querySelector('[role=alert]').innerText.includes('Not saved')"
    )
    assert tab.locator("svg g.proposal").count() == 2
    wrong.clear()  # the browser itself logs the request that failed


@pytest.mark.parametrize("size", [(1280, 800), (700, 500), (360, 640)])
def test_the_page_fits_its_window(many, size):
    tab, _, _ = many
    tab.set_viewport_size({"width": size[0], "height": size[1]})
    wide = "document.documentElement.scrollWidth - window.innerWidth"
    assert tab.evaluate(wide) <= 0
    box = tab.locator("svg").bounding_box()
    assert box["width"] > min(200, size[0] / 2) and box["height"] > 150
    if size[0] > 700:
        assert tab.evaluate("document.documentElement.scrollHeight") <= size[1]
