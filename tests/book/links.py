"""Check a built site without a browser: every link, anchor, image, script and style it names.

    python tests/book/links.py book/_build/html

Exit code 1 and one line per problem, or 0 and a count. A page may *link* to the web; it may not
*load* anything from there, so that it opens from disk without a network.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADS = {"img": "src", "script": "src", "iframe": "src", "source": "src", "video": "src"}
LOADING_RELATIONS = {"stylesheet", "preload", "prefetch", "icon", "shortcut", "modulepreload"}


class Page(HTMLParser):
    """What one page defines (ids) and names (links to follow, files to load)."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        self.ids |= {given[key] for key in ("id", "name") if given.get(key)}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "link" and LOADING_RELATIONS & set(given.get("rel", "").split()):
            self.loads.append(given.get("href", ""))
        if tag in LOADS and given.get(LOADS[tag]):
            self.loads.append(given[LOADS[tag]])


def style_loads(text: str) -> list[str]:
    """Addresses that a style sheet pulls in, data addresses left out."""
    found = re.findall(r"""url\(\s*['"]?([^'")]+)['"]?\s*\)""", text)
    return [address for address in found if not address.startswith(("data:", "#"))]


def site_pages(root: Path) -> list[Path]:
    """Every page of the site; what lies under `_static` are the theme's templates, not pages."""
    return [file for file in sorted(root.rglob("*.html")) if "_static" not in file.parts]


def problems(root: Path) -> list[str]:
    """One line per broken or outside reference of the site under `root`."""
    files = site_pages(root)
    pages = {file.resolve(): Page(file.read_text(encoding="utf-8")) for file in files}
    found = [] if (root / "index.html") in files else [f"{root}: there is no index.html"]
    for file, page in pages.items():
        where = file.relative_to(root.resolve())
        found += [f"{where}: {p}" for link in page.links if (p := _broken(link, file, pages))]
        found += [f"{where}: {p}" for load in page.loads if (p := _unloadable(load, file))]
    for sheet in sorted(root.rglob("_static/*.css")):
        name = sheet.relative_to(root)
        for load in style_loads(sheet.read_text(encoding="utf-8", errors="replace")):
            if problem := _unloadable(load, sheet):
                found.append(f"{name}: {problem}")
    return found


def _target(address: str, file: Path) -> Path:
    path = unquote(urlsplit(address).path)
    return (file.parent / path).resolve() if path else file.resolve()


def _broken(link: str, file: Path, pages: dict[Path, Page]) -> str | None:
    parts = urlsplit(link)
    if parts.scheme in {"http", "https", "mailto"}:
        return None
    if parts.scheme or parts.netloc:
        return f"link {link!r} has a scheme that a reader cannot follow"
    target = _target(link, file)
    if target.is_dir() or not target.exists():
        return f"link {link!r} leads nowhere"
    page = pages.get(target)
    anchor = unquote(parts.fragment)
    if anchor and page is not None and anchor not in page.ids:
        return f"link {link!r}: the page has no place named {anchor!r}"
    return None


def _unloadable(address: str, file: Path) -> str | None:
    parts = urlsplit(address)
    if parts.scheme == "data":
        return None
    if parts.scheme or parts.netloc:
        return f"loads {address!r} from outside"
    return None if _target(address, file).is_file() else f"loads {address!r}, which is not there"


def main() -> int:
    """Check the folder named on the command line."""
    root = Path(sys.argv[1])
    found = problems(root)
    print(*found, sep="\n", end="\n" if found else "")
    count = len(site_pages(root))
    print(f"{count} pages, {len(found)} broken links, images or loads")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
