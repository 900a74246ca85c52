"""What the prose names is there: modules, files, commands, tables and rows of the study."""

import functools
import importlib
import itertools
import re
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
import yaml

from wsisbook.cli import COMMANDS
from wsisbook.runs.declared import RunKey, Study
from wsisbook.runs.resolve import resolve
from wsisbook.runs.spec import load_study

ROOT = Path(__file__).resolve().parents[2]
HIDDEN = {"_build", ".ipynb_checkpoints"}
GENERATED = {
    "claims",
    "results",
    "status",
    "reading_map",
}  # pages of the book that are made from the study
NOT_COMMITTED = ("book/_build", "results/paper", "results/photo")
FOLDERS = "wsislib|wsisbook|book|tests|papers|results|benchmarks"

DOTTED = re.compile(r"(?<![\w./])(?:wsislib|wsisbook)(?:\.[A-Za-z_]\w*)+")
PATH = re.compile(rf"(?<![\w./-])(?:{FOLDERS})/[\w./-]*\w")
SPAN = re.compile(r"```.*?```|(?<!`)`[^`\n]+`", re.DOTALL)
COMMAND = re.compile(r"\bwsis +([a-z][\w -]*)")
STUDY_COMMANDS = {"run", "reproduce", "plan", "status", "tables", "dry-run"}


def texts() -> Iterator[tuple[str, str]]:
    """(file, its prose): all of a page, the markdown cells of a notebook."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("benchmarks/**/*.md"))]
    pages += [p for p in sorted((ROOT / "book").rglob("*.md")) if p.stem not in GENERATED]
    pages.append(ROOT / "book" / "reading_map.yml")
    for page in pages:
        if not HIDDEN & set(page.parts):
            yield page.relative_to(ROOT).as_posix(), page.read_text(encoding="utf-8")
    for book in sorted((ROOT / "book").rglob("*.ipynb")):
        if not HIDDEN & set(book.parts):
            cells = nbformat.read(book, as_version=4).cells
            prose = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
            yield book.relative_to(ROOT).as_posix(), prose


each = pytest.mark.parametrize(("file", "text"), [pytest.param(*t, id=t[0]) for t in texts()])


def importable(dotted: str) -> bool:
    """Whether it is a module, or a public thing in one (of a class, too)."""
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        try:
            functools.reduce(getattr, parts[end:], found)
        except AttributeError:
            return False
        return True
    return False


@functools.cache
def committed() -> frozenset[str]:
    """Files and folders of the repository, relative to its root."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode:  # an archive without history: whatever is there
        files = [p.relative_to(ROOT) for p in ROOT.rglob("*")]
    else:
        files = [Path(line) for line in listed.stdout.splitlines()]
    return frozenset(p.as_posix() for file in files for p in (file, *file.parents))


@each
def test_modules_and_files_are_there(file: str, text: str) -> None:
    for span in SPAN.findall(text):
        for dotted in DOTTED.findall(span):
            assert importable(dotted), f"{file}: there is no {dotted}"
        for path in PATH.findall(span):
            places = {path, f"book/{path}"}
            known = path.startswith(NOT_COMMITTED) or places & committed()
            # As in `results/runs/<table>/`, which stands for many.
            assert known or f"{path}<" in span or f"{path}*" in span, f"{file}: there is no {path}"


def wrong_command(words: list[str]) -> str:
    """What is wrong with the words after `wsis`, or nothing."""
    name = next((n for n in (" ".join(words[:2]), words[0]) if n in COMMANDS), "")
    if not name:
        return f"there is no command 'wsis {' '.join(words)}'"
    rest = words[len(name.split()) :]
    named = list(itertools.takewhile(lambda word: not word.startswith("-"), rest))
    if name not in STUDY_COMMANDS or not named or named[0].isupper():  # TABLE stands for any
        return ""
    try:
        if name in ("run", "dry-run"):  # a table and at most one row
            table, *rows = named
            for row in rows:
                load_study_once().table(table).row(row)
        for table in named[:1] if name in ("run", "dry-run") else named:
            load_study_once().table(table)
    except ValueError as error:
        return str(error)
    return ""


@functools.cache
def load_study_once() -> Study:
    return load_study(ROOT / "book" / "study.yml")


@each
def test_commands_and_tables_are_there(file: str, text: str) -> None:
    for span in SPAN.findall(text):
        for found in COMMAND.findall(span):
            assert not wrong_command(found.split()), f"{file}: {wrong_command(found.split())}"


def test_the_example_of_a_table_can_be_run(tmp_path: Path) -> None:
    """CONTRIBUTING's, as if it stood under `tables` in study.yml."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    example = textwrap.dedent(re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[0])
    main = yaml.safe_load((ROOT / "book" / "study.yml").read_text(encoding="utf-8"))
    tables = yaml.safe_load(example)
    file = tmp_path / "study.yml"
    file.write_text(yaml.safe_dump({**main, "include": [], "tables": tables}), encoding="utf-8")
    study = load_study(file)
    (table,) = study.tables.values()
    for row in table.rows:
        for scale in table.scales:
            assert resolve(study, RunKey(scale, table.name, row, 0)).settings["steps"] > 0


def test_what_is_gone_is_found() -> None:
    assert importable("wsislib.engine.train.fit") and importable("wsislib.models.wish.wish.WISH")
    assert not importable("wsislib.engine.train.gone") and not importable("wsislib.gone.train")
    assert DOTTED.findall("see `wsislib.data.sample.Model`") == ["wsislib.data.sample.Model"]
    assert PATH.findall("`tests/gpu/a.py`, `x/book/y`") == ["tests/gpu/a.py"]
    assert not wrong_command(["run", "detectors", "shared", "--seed", "0"])
    assert "command" in wrong_command(["learn", "all"])
    assert "shared" in wrong_command(["run", "detectors", "sharde"])
    assert "detectors" in wrong_command(["plan", "maskx-heads", "detektors"])
