"""The reading map: the core of the library in three evenings, with counted lines and a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wsisbook.publish.architecture import draw_architecture, room_arrows
from wsislib.atomic import atomic_write
from wsislib.strict import read_yaml
from wsislib.viz.figure import png_bytes

MAP = Path("book") / "reading_map.yml"
CORE = ("wsislib/models", "wsislib/losses", "wsislib/matching.py")
_PICTURE = "images/architecture.png"

_HEAD = """# A reading map

The core of `wsislib` (models, losses, matching) is {lines:,} lines in {files} files. Read in the
order below it takes three evenings. Line counts are made when the book is built. Equation numbers
of WISH are those of a public summary, as its own text was not at hand; see `papers/wish/README.md`.

```{{figure}} {picture}
---
alt: Rooms of both packages in layers; each arrow points from a room to one that it imports
---
The rooms of both packages, drawn from their imports. Blue: the library `wsislib`. Orange: the study
`wsisbook`. An arrow points to what is imported; arrows that a longer way implies are left out.
```
"""


def core_files(root: Path) -> list[str]:
    """Every Python file of the core but `__init__`, relative to the repository."""
    files = [
        file
        for place in CORE
        for file in ([root / place] if place.endswith(".py") else (root / place).rglob("*.py"))
    ]
    return sorted(f.relative_to(root).as_posix() for f in files if f.name != "__init__.py")


def read_map(root: Path) -> list[dict[str, Any]]:
    """The evenings: title, about, change, and files as (path, what, source)."""
    return read_yaml(root / MAP)["evenings"]


def write_reading_map(root: Path, book: Path) -> list[Path]:
    """Write the page `reading_map.md` and its picture into the folder `book`; the files written.

    Raises:
        ValueError: the map names a file that is not there.
    """
    packages = {"wsislib": root / "wsislib", "wsisbook": root / "book" / "wsisbook"}
    picture = book / _PICTURE
    atomic_write(picture, png_bytes(draw_architecture(room_arrows(packages))))
    page = book / "reading_map.md"
    atomic_write(page, reading_page(root))
    return [page, picture]


def reading_page(root: Path) -> str:
    """The page in Markdown."""
    core = core_files(root)
    total = sum(_lines(root, file) for file in core)
    parts = [_HEAD.format(lines=total, files=len(core), picture=_PICTURE)]
    for evening in read_map(root):
        rows = [(file, what, source, _lines(root, file)) for file, what, source in evening["files"]]
        parts += [
            f"## {evening['title']}\n",
            f"{evening['about']} {sum(row[-1] for row in rows):,} lines.\n",
            "| | file | what it is | follows | lines |\n|---|---|---|---|---|",
            *(f"| {n} | `{f}` | {w} | {s} | {c} |" for n, (f, w, s, c) in enumerate(rows, 1)),
            f"\n**Change something.** {evening['change']}\n",
        ]
    return "\n".join(parts) + "\n"


def _lines(root: Path, file: str) -> int:
    path = root / file
    if not path.is_file():
        raise ValueError(f"{MAP.as_posix()}: there is no file {file}; say where it went")
    return len(path.read_text(encoding="utf-8").splitlines())
