"""The labelling page in a browser, over the real desk: clicked, dragged and typed at."""

import base64
import contextlib
import json
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.annotate.folder import make_folder
from tests.book.browser import NEEDED, find_chromium
from wsislib.annotate.assistant import SamAssistant
from wsislib.annotate.desk import Desk
from wsislib.annotate.label_file import LabelFile
from wsislib.annotate.page_files import page_file, page_script
from wsislib.models.sam.sam_weights import load_tiny_sam

pytestmark = pytest.mark.skipif(find_chromium() is None, reason=NEEDED)
NAMES = ["rose", "thistle"]


class Quiet(SimpleHTTPRequestHandler):
    """Modules cannot be loaded from `file:`."""

    def log_message(self, *_) -> None:
        pass


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("served")
    (folder / "page.js").write_text(page_script())
    (folder / "label.css").write_text(page_file("label.css"))
    shutil.copy(Path(__file__).with_name("harness.html"), folder / "index.html")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def chromium() -> Iterator:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        yield browser
        browser.close()


class Screen:
    """A page over a desk, and how one works at it."""

    def __init__(self, browser, address: str, desk: Desk) -> None:
        self.desk, self.shown = desk, ""
        self.wrong: list[str] = []
        self.tab = browser.new_page(viewport={"width": 1100, "height": 800})
        self.tab.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.tab.on("console", lambda m: m.type == "error" and self.wrong.append(m.text))
        self.tab.expose_function("toPython", self._received)
        self.tab.goto(address)
        self.tab.wait_for_function("window.ready")
        first = [self._answer(), list(desk.labels.files)]
        self.tab.evaluate("([first, files]) => window.begin(first, files)", first)

    def _received(self, message: dict) -> dict:
        self.desk.receive(message)
        return self._answer()

    def _answer(self) -> dict:
        new = self.desk.file_name != self.shown
        self.shown = self.desk.file_name
        picture = base64.b64encode(self.desk.picture()).decode() if new else None
        return {"view": self.desk.view(), "picture": picture}

    @contextlib.contextmanager
    def one_update(self) -> Iterator[None]:
        """What is done inside makes the page say one thing, and waits for the answer."""
        before = self.tab.evaluate("window.updates")
        yield
        self.tab.wait_for_function(f"window.updates > {before}")

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a place of the image is on the screen."""
        return tuple(
            self.tab.evaluate(
                """([x, y]) => { const p = new DOMPoint(x, y).matrixTransform(
                   document.querySelector('svg').getScreenCTM()); return [p.x, p.y]; }""",
                [x, y],
            )
        )

    def click(self, x: float, y: float) -> None:
        self.tab.mouse.click(*self.at(x, y))

    def drag(self, x0: float, y0: float, x1: float, y1: float) -> None:
        self.tab.mouse.move(*self.at(x0, y0))
        self.tab.mouse.down()
        self.tab.mouse.move(*self.at((x0 + x1) / 2, (y0 + y1) / 2))
        self.tab.mouse.move(*self.at(x1, y1))
        self.tab.mouse.up()

    def press(self, *keys: str) -> None:
        self.tab.locator(".wsis-label").focus()
        for key in keys:
            self.tab.keyboard.press(key)

    def shapes(self) -> list[str]:
        return self.tab.evaluate(
            "[...document.querySelectorAll('svg g.entry .shape')].map(s => s.tagName)"
        )


@pytest.fixture
def screen(chromium, address, tmp_path) -> Iterator[Screen]:
    images = make_folder(tmp_path / "images")
    labels = LabelFile(tmp_path / "labels.json", images, NAMES)
    one = Screen(chromium, address, Desk(labels, SamAssistant(load_tiny_sam())))
    yield one
    wrong = list(one.wrong)
    one.tab.close()
    assert wrong == []


def entries(screen: Screen) -> list[dict]:
    return list(screen.desk.labels.work(screen.desk.file_name).entries)


def test_the_picture_fills_its_place(screen):
    size = "(i => [i.width.baseVal.value, i.height.baseVal.value])(document.querySelector('image'))"
    assert screen.tab.evaluate(size) == [60, 40]
    screen.tab.wait_for_function(
        "fetch(document.querySelector('image').getAttribute('href')).then(r => r.ok)"
    )
    assert "a.png (1 of 3)" in screen.tab.inner_text(".wsis-label")
    assert "0 of 3 finished" in screen.tab.inner_text(".finished")


def test_every_tool_makes_its_entry(screen):
    with screen.one_update():
        screen.press("t", "2")
    with screen.one_update():
        screen.press("p", "1")
        screen.click(30, 20)
    with screen.one_update():
        screen.press("b")
        screen.drag(40, 30, 20, 10)  # from the lower right to the upper left
    screen.press("o")
    for place in [(5, 5), (15, 5), (15, 12)]:
        screen.click(*place)
    with screen.one_update():
        screen.press("Enter")
    tag, point, box, mask = entries(screen)
    assert tag["category_id"] == 2 and set(tag) == {"id", "category_id", "iscrowd", "seconds"}
    assert point["point"] == pytest.approx([30, 20], abs=0.2)
    assert box["bbox"] == pytest.approx([20, 10, 20, 20], abs=0.2)
    assert mask["segmentation"][0] == pytest.approx([5, 5, 15, 5, 15, 12], abs=0.2)
    assert screen.shapes() == ["circle", "rect", "path"]
    assert all(0 <= entry["seconds"] < 60 for entry in (tag, point, box, mask))


def test_sam_is_asked_with_a_click_and_with_a_box(screen):
    screen.press("1", "m")
    with screen.one_update():
        screen.drag(19, 9, 41, 31)
    offers = screen.desk.view()["offers"]
    assert screen.tab.locator("svg g.offer").count() == 1
    if len(offers) > 1:
        screen.press("ArrowDown")
        pressed = screen.tab.locator("button[aria-pressed=true]", has_text="says SAM")
        assert pressed.inner_text().startswith("2:")
        screen.press("ArrowUp")
    with screen.one_update():
        screen.press("Enter")
    assert entries(screen)[0]["drawn_by"] == "SAM tiny"
    assert screen.shapes() == ["path"] and screen.tab.locator("svg g.offer").count() == 0
    with screen.one_update():
        screen.click(30, 20)
    assert screen.tab.locator("svg g.offer").count() == 1


def test_undo_redo_finish_and_walk(screen):
    screen.press("1", "p")
    with screen.one_update():
        screen.click(30, 20)
    with screen.one_update():
        screen.press("Control+z")
    assert entries(screen) == [] and screen.shapes() == []
    with screen.one_update():
        screen.press("Control+y")
    assert len(entries(screen)) == 1
    with screen.one_update():
        screen.tab.get_by_role("button", name="All is labelled").click()
    assert screen.desk.file_name == "b.png" and "1 of 3 finished" in screen.tab.inner_text(
        ".finished"
    )
    assert screen.shapes() == []
    with screen.one_update():
        screen.press("ArrowLeft")
    assert screen.tab.get_by_role("button", name="Open again").is_visible()
    saved = json.loads(screen.desk.labels.path.read_text())
    assert [image["file_name"] for image in saved["images"]] == ["a.png"]


def test_an_entry_is_renamed_and_removed_from_the_list(screen):
    screen.press("1", "p")
    with screen.one_update():
        screen.click(30, 20)
    with screen.one_update():
        screen.tab.get_by_label("Category of entry 1").select_option(label="thistle")
    assert entries(screen)[0]["category_id"] == 2
    screen.tab.locator("li .kind").first.click()
    assert screen.tab.locator("svg g.chosen").count() == 1
    with screen.one_update():
        screen.press("Delete")
    assert entries(screen) == []


def test_a_category_is_added_while_keys_stay_letters(screen):
    field = screen.tab.get_by_label("Another category")
    field.click()
    with screen.one_update():
        screen.tab.keyboard.type("foxglove")  # f finishes elsewhere, o is a tool
        screen.tab.keyboard.press("Enter")
    assert [c.name for c in screen.desk.labels.categories] == [*NAMES, "foxglove"]
    assert screen.desk.view()["finished"] == 0
    assert screen.tab.locator("button[data-category=foxglove]").is_visible()


def test_what_is_wrong_is_said_aloud(screen):
    screen.press("p")
    screen.click(30, 20)
    assert screen.tab.get_by_role("alert").inner_text() == "Choose a category first."
    with screen.one_update():
        screen.press("1", "o")
        screen.click(5, 5)
        screen.click(5, 5)
        screen.click(5, 5)
        screen.press("Enter")
    assert "covers no pixel" in screen.tab.get_by_role("alert").inner_text()
    assert entries(screen) == []


def test_a_place_is_the_same_when_zoomed(screen):
    screen.press("1", "p", "+", "+", "+")
    assert screen.tab.locator("svg").get_attribute("viewBox") != "0 0 60 40"
    with screen.one_update():
        screen.click(31, 21)
    assert entries(screen)[0]["point"] == pytest.approx([31, 21], abs=0.2)
    screen.press("-", "-", "-", "-")
    assert screen.tab.locator("svg").get_attribute("viewBox") == "0 0 60 40"


def test_a_zoomed_picture_can_be_moved(screen):
    screen.press("1", "p", "+", "+")
    before = screen.at(30, 20)
    screen.tab.keyboard.down("Shift")
    screen.drag(30, 20, 33, 22)
    screen.tab.keyboard.up("Shift")
    moved = [now - then for now, then in zip(screen.at(30, 20), before, strict=True)]
    assert moved[0] > 20 and moved[1] > 10 and entries(screen) == []
    with screen.one_update():
        screen.click(25, 15)
    assert entries(screen)[0]["point"] == pytest.approx([25, 15], abs=0.2)


def test_names_are_text_and_nothing_else(screen):
    screen.tab.evaluate("window.hit = 0")
    with screen.one_update():
        screen.tab.get_by_label("Another category").fill("<img src=x onerror='window.hit=1'>")
        screen.tab.keyboard.press("Enter")
    screen.tab.wait_for_timeout(50)
    assert screen.tab.evaluate("window.hit") == 0


def test_the_end_leaves_nothing_behind(screen):
    assert screen.tab.evaluate("window.listening()") == 2
    screen.tab.evaluate("window.end()")
    assert screen.tab.evaluate("window.listening()") == 0


def test_keys_do_not_reach_the_notebook(screen):
    assert screen.tab.get_attribute(".wsis-label", "data-lm-suppress-shortcuts") == "true"
    screen.tab.evaluate(
        "window.keys = []; document.addEventListener('keydown', e => keys.push(e.key))"
    )
    screen.press("b", "q")
    assert screen.tab.evaluate("window.keys") == ["q"]  # what the page does not know goes on
