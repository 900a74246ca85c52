"""The committed notebooks: their shape, their parameters, and that they carry no outputs."""

import ast
import importlib
import importlib.util
from pathlib import Path

import nbformat
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
GENERATED = {"claims", "results", "status", "reading_map"}
LONGEST_CELL = 20  # lines besides imports
WIDEST_LINE = 79  # a page shows no more without a scroll bar
STANDARD = {"inspect", "pathlib", "tempfile", "time"}
MAY_IMPORT = {"wsislib", "wsisbook", "matplotlib", "numpy", "pandas", "torch", "IPython", *STANDARD}


def notebooks() -> list[Path]:
    places = sorted(BOOK.rglob("*.ipynb"))
    hidden = {"_build", ".ipynb_checkpoints"}
    return [place for place in places if not hidden & set(place.parts)]


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def chapters() -> list[str]:
    toc = yaml.safe_load((BOOK / "_toc.yml").read_text(encoding="utf-8"))
    return [toc["root"], *(c["file"] for part in toc["parts"] for c in part["chapters"])]


def exists(module: str, name: str) -> bool:
    """Whether `from module import name` would work, `name` being an attribute or a module."""
    if hasattr(importlib.import_module(module), name):
        return True
    return importlib.util.find_spec(f"{module}.{name}") is not None


each = pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)


def test_there_are_notebooks() -> None:
    assert len(notebooks()) >= 5


def test_the_contents_page_and_the_files_agree() -> None:
    for chapter in set(chapters()) - GENERATED:
        assert any((BOOK / f"{chapter}{end}").is_file() for end in (".md", ".ipynb")), chapter
    listed = {str(BOOK / chapter) for chapter in chapters()}
    unlisted = [str(n) for n in notebooks() if str(n.with_suffix("")) not in listed]
    assert unlisted == [], "add them to book/_toc.yml"


@each
def test_no_output_is_committed(path: Path) -> None:
    for cell in code_cells(path):
        assert cell.outputs == [] and cell.execution_count is None, cell.source[:60]
    assert set(read(path).metadata) <= {"kernelspec", "language_info"}
    assert read(path).metadata.kernelspec.name == "python3"


@each
def test_it_is_a_valid_notebook_with_ids_of_its_own(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)


@each
def test_it_opens_with_a_title_and_a_question(path: Path) -> None:
    first = read(path).cells[0]
    assert first.cell_type == "markdown"
    assert first.source.startswith("# ") and "?" in first.source


@each
def test_parameters_are_literals(path: Path) -> None:
    tagged = [c for c in code_cells(path) if "parameters" in c.metadata.get("tags", [])]
    assert len(tagged) == 1, "one cell must carry the tag 'parameters'"
    names = set()
    for statement in ast.parse(tagged[0].source).body:
        assert isinstance(statement, ast.Assign) and len(statement.targets) == 1
        assert isinstance(statement.targets[0], ast.Name)
        ast.literal_eval(statement.value)
        names.add(statement.targets[0].id)
    assert "scale" in names
    assert tagged[0].id == code_cells(path)[0].id, "parameters come before any other code"


@each
def test_cells_fit_on_a_screen_and_hold_no_magic(path: Path) -> None:
    for cell in code_cells(path):
        lines = cell.source.splitlines()
        tree = ast.parse(cell.source)  # a magic or a shell line is not Python
        imports = sum(
            node.end_lineno - node.lineno + 1
            for node in tree.body
            if isinstance(node, ast.Import | ast.ImportFrom)
        )
        assert len(lines) - imports <= LONGEST_CELL, f"{len(lines)} lines: {lines[0]}"
        assert [line for line in lines if len(line) > WIDEST_LINE] == []


@each
def test_the_study_is_read_through_one_face(path: Path) -> None:
    """`reading`, the chapter's own modules, and experiments and recipes that the page shows."""
    wanted = set()
    for cell in code_cells(path):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("wsisbook"):
                names = [a.name for a in node.names] if node.module == "wsisbook" else []
                wanted |= {f"wsisbook.{name}" for name in names} or {str(node.module)}
    rooms = {".".join(name.split(".")[:2]) for name in wanted}
    parts = {"wsisbook.part0", f"wsisbook.{path.parent.name[:5]}"}  # part 0: the scenes
    assert rooms <= {"wsisbook.reading", "wsisbook.experiments", "wsisbook.recipes", *parts}


@each
def test_logic_lives_in_the_library(path: Path) -> None:
    for cell in code_cells(path):
        for node in ast.walk(ast.parse(cell.source)):
            defined = (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)
            where = "the chapter's module of wsisbook, or wsislib"
            assert not isinstance(node, defined), f"{node.name}: put it into {where}, with a test"


@each
def test_tables_have_the_look_of_the_book(path: Path) -> None:
    """A plain Styler has no class, so the theme would leave it bare: no lines, no room."""
    for cell in code_cells(path):
        if ".style" in cell.source:
            assert "set_table_attributes" in cell.source, cell.source


@each
def test_only_public_names_are_imported_and_they_exist(path: Path) -> None:
    for cell in code_cells(path):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Import):
                assert {a.name.split(".")[0] for a in node.names} <= MAY_IMPORT
            elif isinstance(node, ast.ImportFrom):
                assert str(node.module).split(".")[0] in MAY_IMPORT
                for alias in node.names:
                    assert not alias.name.startswith("_"), alias.name
                    assert exists(str(node.module), alias.name), f"no {alias.name} in {node.module}"


@each
def test_it_ends_with_where_it_comes_from(path: Path) -> None:
    assert "provenance" in code_cells(path)[-1].source


@each
def test_pictures_come_from_the_book_itself(path: Path) -> None:
    for cell in read(path).cells:
        if cell.cell_type == "markdown":
            assert "](http" not in cell.source.replace(" [", "[") or "![" not in cell.source
            assert "<img" not in cell.source
