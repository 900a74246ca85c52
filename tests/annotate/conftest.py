"""A browser, and the labelling page in it."""

import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.annotate.folder import make_folder
from tests.annotate.screen import Screen
from tests.book.browser import NEEDED, find_chromium
from wsislib.annotate.assistant import SamAssistant
from wsislib.annotate.desk import Desk
from wsislib.annotate.label_file import LabelFile
from wsislib.annotate.page_files import page_file, page_script
from wsislib.models.sam.sam_weights import load_tiny_sam


class Quiet(SimpleHTTPRequestHandler):
    """Modules cannot be loaded from `file:`."""

    def log_message(self, *_) -> None:
        pass


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="module")  # a playwright that is open keeps other modules from theirs
def chromium() -> Iterator:
    if find_chromium() is None:
        pytest.skip(NEEDED)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def screen(chromium, address, tmp_path) -> Iterator[Screen]:
    images = make_folder(tmp_path / "images")
    labels = LabelFile(tmp_path / "labels.json", images, ["rose", "thistle"])
    one = Screen(chromium, address, Desk(labels, SamAssistant(load_tiny_sam())))
    yield one
    wrong = list(one.wrong)
    one.tab.close()
    assert wrong == []
