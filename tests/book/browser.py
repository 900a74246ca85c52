"""Open every page of a built site from disk in Chromium and collect what goes wrong.

python tests/book/browser.py book/_build/html [folder for screenshots]
"""

from __future__ import annotations

import os
import shutil
import sys
from itertools import chain
from pathlib import Path

WIDTH, HEIGHT = 1280, 900
NEEDED = "need Chromium (apt install chromium, or playwright install chromium)"
COMMANDS = ("chromium", "chromium-browser", "google-chrome", "chrome")
MAC = (Path("/Applications"), Path("~/Applications").expanduser())
APPLICATIONS = (
    "Google Chrome.app/Contents/MacOS/Google Chrome",
    "Chromium.app/Contents/MacOS/Chromium",
)
# Where `playwright install` puts browsers on Linux and on macOS, and what lies in there.
DOWNLOADS = ("~/.cache/ms-playwright", "~/Library/Caches/ms-playwright")
DOWNLOADED = ("chromium-*/chrome-linux*/chrome", "chromium-*/chrome-mac*/*.app/Contents/MacOS/*")


def find_chromium() -> str | None:
    """A Chromium that the system or playwright has installed, or None."""
    commands = (path for name in COMMANDS if (path := shutil.which(name)))
    files = (folder / name for folder in MAC for name in APPLICATIONS)
    applications = (str(file) for file in files if file.is_file())
    chosen = os.environ.get("PLAYWRIGHT_BROWSERS_PATH")
    places = [Path(place).expanduser() for place in ([chosen] if chosen else DOWNLOADS)]
    downloads = (
        str(file)
        for place in places
        for pattern in DOWNLOADED
        for file in sorted(place.glob(pattern), reverse=True)  # the newest first
    )
    return next(chain(commands, applications, downloads), None)


def look(root: Path, chromium: str, pictures: Path | None = None) -> dict[str, list[str]]:
    """Page -> what went wrong there: console and script errors, failed or outside requests,
    broken images, unrendered equations, content that sticks out at the side.
    """
    from playwright.sync_api import sync_playwright

    found: dict[str, list[str]] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        files = [f for f in sorted(root.resolve().rglob("*.html")) if "_static" not in f.parts]
        for file in files:
            name = file.relative_to(root.resolve()).as_posix()
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
            found[name] = _open(page, file)
            if pictures is not None:
                pictures.mkdir(parents=True, exist_ok=True)
                shot = pictures / (name.replace("/", "--").removesuffix(".html") + ".png")
                page.screenshot(path=shot, full_page=True)
            page.close()
        browser.close()
    return found


def _open(page, file: Path) -> list[str]:
    wrong: list[str] = []
    page.on("console", lambda m: m.type == "error" and wrong.append(f"console: {m.text}"))
    page.on("pageerror", lambda error: wrong.append(f"script: {error}"))
    page.on("requestfailed", lambda r: wrong.append(f"request failed: {r.url}"))
    page.on("request", lambda r: r.url.startswith("http") and wrong.append(f"outside: {r.url}"))
    page.goto(file.as_uri(), wait_until="load")
    page.wait_for_function("document.readyState === 'complete'")
    if page.locator("span.math, div.math").count():
        page.wait_for_selector("mjx-container", state="attached", timeout=20_000)
    wrong += [f"broken image: {source}" for source in page.evaluate(BROKEN_IMAGES)]
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    if wide > 0:
        wrong.append(f"the page is {wide} px wider than the window")
    return wrong


BROKEN_IMAGES = """
() => [...document.images].filter(i => i.complete && i.naturalWidth === 0 && i.loading !== 'lazy')
                          .map(i => i.src.slice(0, 120))
"""


def main() -> int:
    """Check the folder named on the command line."""
    chromium = find_chromium()
    if chromium is None:
        print(f"these checks {NEEDED}")
        return 2
    pictures = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    wrong = look(Path(sys.argv[1]), chromium, pictures)
    for name, found in wrong.items():
        print(*(f"{name}: {line}" for line in found), sep="\n", end="\n" if found else "")
    print(f"{len(wrong)} pages, {sum(map(len, wrong.values()))} problems")
    return 1 if any(wrong.values()) else 0


if __name__ == "__main__":
    raise SystemExit(main())
