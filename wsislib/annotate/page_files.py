"""The files of the labelling page that the package holds."""

from __future__ import annotations

from pathlib import Path

_PAGE = Path(__file__).parent / "page"
_PARTS = ("drawing.js", "images.js", "keys.js", "canvas.js", "panels.js", "label.js")


def page_file(name: str) -> str:
    """The text of one file of the page."""
    return (_PAGE / name).read_text(encoding="utf-8")


def page_script() -> str:
    """The page's script; one text, as a notebook loads one module and no other file."""
    return "\n".join(map(page_file, _PARTS))
