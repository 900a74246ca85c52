"""A run of the tests says what it skipped and why, right above pytest's closing line."""

import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")
TESTS = """
import pytest

needs_moon = pytest.mark.skipif(True, reason="need the moon")

@needs_moon
def test_one(): ...

@needs_moon
def test_two(): ...

def test_three():
    pytest.skip("need a star")

def test_four(): ...
"""


def last_lines(folder: Path, tests: str, *options: str) -> list[str]:
    (folder / "conftest.py").write_text(CONFTEST.read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "test_some.py").write_text(tests, encoding="utf-8")
    words = [sys.executable, "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider", *options]
    done = subprocess.run([*words, str(folder)], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-2:]


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["alone", "two workers"])
def test_skips_are_counted_by_reason(tmp_path: Path, options: tuple[str, ...]) -> None:
    skips, verdict = last_lines(tmp_path, TESTS, *options)
    assert skips == "3 skipped: 2 need the moon; 1 need a star"
    assert verdict.startswith("1 passed, 3 skipped in ")


def test_nothing_is_said_where_nothing_was_skipped(tmp_path: Path) -> None:
    other, verdict = last_lines(tmp_path, "def test_four(): ...\n")
    assert "skipped" not in other and verdict.startswith("1 passed in ")


def test_chromium_is_found_where_playwright_puts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.book import browser

    monkeypatch.setattr(browser, "MAC", [tmp_path / "Applications"])
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    assert browser.find_chromium() is None
    for number in ("1200", "1255"):
        (tmp_path / f"chromium-{number}" / "chrome-linux64").mkdir(parents=True)
        (tmp_path / f"chromium-{number}" / "chrome-linux64" / "chrome").touch()
    newest = tmp_path / "chromium-1255" / "chrome-linux64" / "chrome"
    assert browser.find_chromium() == str(newest)
    application = tmp_path / "Applications" / browser.APPLICATIONS[0]
    application.parent.mkdir(parents=True)
    application.touch()
    assert browser.find_chromium() == str(application), "what the system has comes first"
