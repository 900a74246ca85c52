"""Commands of the book: notebooks, pages, the ground truth of its photographs."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from wsisbook.runs.environment import cores
from wsisbook.runs.paths import build_folder
from wsisbook.runs.spec import load_study
from wsisbook.runs.store import open_store
from wsislib.cli import DONE, FAILED


def notebooks(
    names: Positional[Annotated[tuple[str, ...], arg(metavar="[NOTEBOOK ...]")]] = (),
    /,
    scale: str = "lab",
    jobs: Annotated[int | None, arg(aliases=["-j"])] = None,
    parameter: Annotated[tuple[str, ...], arg(aliases=["-p"])] = (),
    output: Path | None = None,
    force: bool = False,
) -> int:
    """Execute notebooks of the book (all if none is named) into build/book.

    Those whose inputs did not change are left alone. Nothing in the book's folder is changed.

    Args:
        names: notebooks, such as masks_are_worth or part0_basics/masks_are_worth.
        scale: smoke, lab or paper; given to each notebook that has the parameter `scale`.
        jobs: how many at a time; as many as there are cores if not given.
        parameter: further parameters, as name=literal.
        output: folder for executed notebooks; build/book if not given.
        force: execute unchanged ones too.
    """
    from wsisbook.publish.notebooks import NotebookRunner, find_notebooks, remove_orphans

    study = load_study()
    study.scale(scale)
    book = study.file.parent
    target = (output or build_folder(study.root) / "book").resolve()
    runner = NotebookRunner(
        study, open_store(scale, study.root), scale, target,
        dict(_name_and_value(text) for text in parameter), jobs or cores(), force,
    )  # fmt: skip
    outcomes = runner.run(find_notebooks(book, names))
    remove_orphans(book, target)
    for one in outcomes:
        seconds = "" if one.seconds is None else f"  {one.seconds:.0f} s"
        print(f"{one.state:<9} {one.name}{seconds}")
    failed = [one for one in outcomes if one.state == "failed"]
    for one in failed:
        print(f"failed: {one.name}: {one.error}", file=sys.stderr)
    return FAILED if failed else DONE


def _name_and_value(text: str) -> tuple[str, object]:
    """'name=literal' as a pair; what is no literal is text."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise ValueError(f"--parameter {text!r}: write name=value")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def pages(scale: str = "lab", executed: Path | None = None, output: Path | None = None) -> int:
    """Write the book's generated pages: results.md, claims.md, status.md and others.

    Args:
        scale: whose runs to show.
        executed: folder of executed notebooks; build/book if not given.
        output: where to write; the book's folder if not given.
    """
    from wsisbook.publish.pages import write_pages

    study = load_study()
    store = open_store(scale, study.root)
    source = executed or build_folder(study.root) / "book"
    for file in write_pages(study, store, scale, source, output or study.file.parent):
        print(f"wrote {file}")
    return DONE


def truth() -> int:
    """Put the ground truth of the photographs that figures show beside the runs on photographs.

    It is read from the data folder (WSIS_DATA, else data/), which must be that of the runs. The
    file is for builds of the book on machines without that folder; whoever publishes it answers
    for the licence of the masks.
    """
    from wsisbook.photographs.photo_pictures import write_truth
    from wsisbook.runs.declared import PHOTO

    study = load_study()
    print(f"wrote {write_truth(study, open_store(PHOTO, study.root))}")
    return DONE
