"""Pieces of Markdown that generated pages are made of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table; cells are Markdown already."""
    body = [f"| {' | '.join(row)} |" for row in rows]
    return [f"| {' | '.join(head)} |", "|" + " --- |" * len(head), *body] if body else ["None."]


def escape(text: str) -> str:
    """`text` so that Markdown shows it as it is."""
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>#|$^~" else letter for letter in text)


def page_link(book: Path, page: str) -> str:
    """A link to a notebook of the book by its title; `page` is its path there without ending.

    The path itself is the title where the notebook is not there.
    """
    file, title = book / f"{page}.ipynb", page
    if file.is_file():
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        first = "".join(cells[0]["source"]) if cells else ""
        title = first.partition("\n")[0].removeprefix("# ").strip() or page
    return f"[{escape(title)}]({page}.ipynb)"
