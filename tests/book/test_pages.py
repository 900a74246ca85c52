"""The built site: links without a browser, every page in one. The checks themselves are checked."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent
SITE = HERE.parents[1] / "book" / "_build" / "html"
built = pytest.mark.skipif(not SITE.is_dir(), reason="need a built book (make book)")

GOOD = """<html><head><link rel="stylesheet" href="_static/a.css"></head><body>
<h1 id="top">T</h1><a href="#top">up</a><a href="b.html#there">b</a><img src="x.png">
<a href="https://example.org/">the web may be linked to</a></body></html>"""


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"book_{name}", HERE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


links, browser = load("links"), load("browser")
needs_browser = pytest.mark.skipif(browser.find_chromium() is None, reason=browser.NEEDED)


@pytest.fixture
def small_site(tmp_path: Path) -> Path:
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static" / "a.css").write_text("body { color: red }")
    (tmp_path / "index.html").write_text(GOOD)
    (tmp_path / "b.html").write_text('<html><body><p id="there">here</p></body></html>')
    pixel = bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360"
        "f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
    )
    (tmp_path / "x.png").write_bytes(pixel)
    return tmp_path


def test_a_good_site_has_no_problems(small_site: Path) -> None:
    assert links.problems(small_site) == []


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('<a href="gone.html">x</a>', "leads nowhere"),
        ('<a href="b.html#gone">x</a>', "no place named 'gone'"),
        ('<img src="gone.png">', "which is not there"),
        ('<script src="https://cdn.example.org/x.js"></script>', "from outside"),
        ('<link rel="stylesheet" href="//example.org/a.css">', "from outside"),
        ('<a href="attachment:x.png">x</a>', "scheme"),
    ],
)
def test_each_fault_is_found(small_site: Path, line: str, complaint: str) -> None:
    (small_site / "b.html").write_text(f'<html><body id="there">{line}</body></html>')
    (problem,) = links.problems(small_site)
    assert complaint in problem and problem.startswith("b.html")


def test_a_style_sheet_that_reaches_out_is_found(small_site: Path) -> None:
    (small_site / "_static" / "a.css").write_text("@font-face {src: url(https://x.org/a.woff)}")
    assert len(links.problems(small_site)) == 1


@needs_browser
@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("<script>throw new Error('oh')</script>", "script"),
        ("<script>console.error('oh')</script>", "console"),
        ("<img src='http://127.0.0.1:9/x.png'>", "outside"),
        ("<div style='width: 3000px'>wide</div>", "wider"),
    ],
)
def test_the_browser_sees_each_fault(tmp_path: Path, line: str, complaint: str) -> None:
    (tmp_path / "index.html").write_text(f"<html><body>{line}</body></html>")
    found = browser.look(tmp_path, browser.find_chromium())
    assert any(complaint in problem for problem in found["index.html"]), found


@built
def test_no_link_or_image_of_the_book_is_broken() -> None:
    assert links.problems(SITE) == []


@built
@needs_browser
def test_every_page_of_the_book_opens_from_disk() -> None:
    found = browser.look(SITE, browser.find_chromium())
    assert {page: wrong for page, wrong in found.items() if wrong} == {}
