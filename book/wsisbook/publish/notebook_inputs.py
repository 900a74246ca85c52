"""What a notebook is made from: its parameters, and one digest that decides on a re-run."""

from __future__ import annotations

import ast
import functools
import hashlib
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import wsisbook
import wsislib
from wsisbook.runs.config import digest
from wsisbook.runs.declared import PHOTO, Study
from wsisbook.runs.environment import library_versions
from wsisbook.runs.resolve import keys_of
from wsisbook.runs.store import RunStore, file_digest, open_store
from wsisbook.tables.questions import FILE as QUESTIONS
from wsisbook.tables.questions import load_questions
from wsislib.atomic import read_json
from wsislib.strict import did_you_mean

KEY_RESULTS = ".key_results("  # what a page with such a box calls
_SOURCES = ("*.py", "*.yml", "*.json", "*.csv", "*.html", "*.smk")


def quiet_papermill() -> ModuleType:
    """The package papermill; some of its releases warn while they are imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import papermill
    return papermill


def notebook_parameters(file: Path) -> dict[str, Any]:
    """Name -> value of a notebook's cell tagged `parameters`; empty where it has no such cell.

    Raises ValueError where the file is no notebook or a parameter is not a literal.
    """
    try:
        found = quiet_papermill().inspect_notebook(str(file))
    except Exception as error:  # whatever a reader trips over in a file that is something else
        raise ValueError(f"{file}: not a notebook ({error})") from None
    values = {}
    for name, parameter in found.items():
        try:
            values[name] = ast.literal_eval(parameter["default"])
        except (ValueError, SyntaxError):
            raise ValueError(f"{file}: parameter {name!r} is not a literal") from None
    return values


def check_parameters(file: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters of a notebook, with `given` in place of its own values.

    Papermill only warns when it is given a parameter that a notebook does not have; then the
    notebook runs with its own value and nobody sees it. So that, or another type, is a ValueError.
    """
    own = notebook_parameters(file)
    for name, value in given.items():
        if name not in own:
            hint = did_you_mean(name, own)
            raise ValueError(f"{file}: the notebook has no parameter {name!r}{hint}")
        before = own[name]
        number = isinstance(before, float) and type(value) is int
        if before is not None and type(value) is not type(before) and not number:
            raise ValueError(
                f"{file}: parameter {name!r} is {value!r}; "
                f"{type(before).__name__} wanted, such as {before!r}"
            )
    return {**own, **given}


def inputs_digest(
    study: Study, store: RunStore, scale: str, notebook: Path, parameters: Mapping[str, Any]
) -> str:
    """Digest of notebook, library, libraries' versions, parameters and the results it uses."""
    return digest(
        {
            "notebook": file_digest(notebook),
            "library": library_digest(Path(wsislib.__file__).resolve().parent),
            "study's code": library_digest(Path(wsisbook.__file__).resolve().parent),
            "study": _files_digest(study.files),
            "papers": _files_digest((study.root / "papers").rglob("*")),
            "questions": _files_digest([study.file.parent / QUESTIONS]),
            "versions": library_versions(),
            "parameters": dict(parameters),
            "results": _results_digest(study, store, scale, used_tables(study, notebook)),
            "photographs": _photo_digest(study, notebook),
        }
    )


@functools.cache
def library_digest(package: Path) -> str:
    """Digest of a package's own files."""
    return _files_digest(file for pattern in _SOURCES for file in package.rglob(pattern))


def _files_digest(files: Iterable[Path]) -> str:
    seen = hashlib.sha256()
    for file in sorted(set(files)):
        if file.is_file() and "__pycache__" not in file.parts:
            seen.update(f"{file.name}:{file_digest(file)}\n".encode())
    return seen.hexdigest()


def used_tables(study: Study, notebook: Path) -> list[str]:
    """The tables that a notebook's code names; all, if it uses the study and names none.

    A page with key results uses the tables of their answers too, and those of its own.
    """
    code = _code(notebook)
    named = [name for name in study.tables if name in code]
    if named and KEY_RESULTS in code:
        book = study.file.parent.resolve()
        page = notebook.resolve().with_suffix("").relative_to(book).as_posix()
        asked = [q for q in load_questions(book) if q.page == page]
        used = {answer.table for question in asked for answer in question.answers}
        used |= {table.name for table in study.tables.values() if table.notebook == page}
        named = [name for name in study.tables if name in used or name in named]
    return named or (list(study.tables) if "wsisbook" in code else [])


def _code(notebook: Path) -> str:
    cells = read_json(notebook)["cells"]
    return "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")


def _photo_digest(study: Study, notebook: Path) -> str:
    """Digest of the runs on photographs, for a page that shows their tables; "" for another."""
    code = _code(notebook)
    shown = ".photographs(" in code or KEY_RESULTS in code
    if PHOTO not in study.scales or not shown:
        return ""
    tables = [name for name, table in study.tables.items() if PHOTO in table.scales]
    store = open_store(PHOTO, study.root)
    beside = _files_digest(store.root.glob("*.json"))  # the ground truth in pictures
    return digest([_results_digest(study, store, PHOTO, tables), beside])


def _results_digest(study: Study, store: RunStore, scale: str, tables: Iterable[str]) -> str:
    """Digest of the status files of the tables' runs; they name the digests of all the rest."""
    seen = {}
    for table in tables:
        if scale in study.table(table).scales:
            for key in keys_of(study, scale, [table]):
                file = store.folder(key) / "status.json"
                seen[str(key)] = file_digest(file) if file.is_file() else None
    return digest(seen)
