"""Notebooks: parameters that must exist, cells that must have run, and what is left alone."""

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from wsisbook.publish.notebook_inputs import check_parameters, inputs_digest, notebook_parameters
from wsisbook.publish.notebooks import (
    NotebookFailedError,
    executed_facts,
    find_notebooks,
    require_executed,
)
from wsisbook.runs.run import execute
from wsisbook.runs.spec import load_study
from wsisbook.runs.state import notebook_frame
from wsisbook.runs.store import open_store

PARAMETERS = "scale = 'lab'\nsteps: int = 3\nrate = 0.5"


def notebook(file: Path, *cells: str, parameters: str | None = PARAMETERS) -> Path:
    made = nbformat.v4.new_notebook()
    if parameters is not None:
        cell = nbformat.v4.new_code_cell(parameters)
        cell.metadata["tags"] = ["parameters"]
        made.cells.append(cell)
    made.cells += [nbformat.v4.new_code_cell(source) for source in cells]
    made.cells.append(nbformat.v4.new_markdown_cell("The end."))
    made.metadata.kernelspec = {"name": "python3", "display_name": "Python", "language": "python"}
    file.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(made, file)
    return file


def run_all(wsis: list[str], *words: str) -> subprocess.CompletedProcess:
    command = [*wsis, "notebooks", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=180)


def test_parameters_are_read_from_the_cell(tmp_path: Path) -> None:
    file = notebook(tmp_path / "a.ipynb", "print(scale)")
    assert notebook_parameters(file) == {"scale": "lab", "steps": 3, "rate": 0.5}
    assert notebook_parameters(notebook(tmp_path / "b.ipynb", parameters=None)) == {}
    assert check_parameters(file, {"steps": 5, "rate": 1})["steps"] == 5


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"step": 5}, r"a.ipynb: the notebook has no parameter 'step'; did you mean 'steps'\?"),
        ({"steps": "many"}, r"parameter 'steps' is 'many'; int wanted, such as 3"),
        ({"steps": True}, r"int wanted"),
    ],
)
def test_a_parameter_that_does_not_fit_is_refused(
    tmp_path: Path, given: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        check_parameters(notebook(tmp_path / "a.ipynb"), given)


@pytest.mark.parametrize("source", ["a = [1, len('x')]", "a = 1 +"])
def test_a_parameter_is_a_literal(tmp_path: Path, source: str) -> None:
    with pytest.raises(ValueError, match=r"a.ipynb: parameter 'a' is not a literal"):
        notebook_parameters(notebook(tmp_path / "a.ipynb", parameters=source))


def test_what_is_no_notebook_is_named(tmp_path: Path) -> None:
    file = tmp_path / "broken.ipynb"
    file.write_text("{]")
    with pytest.raises(ValueError, match="broken.ipynb: not a notebook .*JSON"):
        notebook_parameters(file)
    file.write_text("[]")
    with pytest.raises(ValueError, match="broken.ipynb: not a notebook"):
        notebook_parameters(file)


def test_a_cell_that_never_ran_is_found() -> None:
    ran = {"cell_type": "code", "source": "x = 1", "execution_count": 1}
    never = {"cell_type": "code", "source": ["y = 2\n", "z = 3"], "execution_count": None}
    empty = {"cell_type": "code", "source": " \n", "execution_count": None}
    text = {"cell_type": "markdown", "source": "# T"}
    require_executed({"cells": [text, ran, empty]})
    with pytest.raises(NotebookFailedError, match=r"cell 3 \('y = 2'\) was never run"):
        require_executed({"cells": [text, ran, never]})


def test_notebooks_are_found_by_name(tmp_path: Path) -> None:
    first = notebook(tmp_path / "book/part/first.ipynb")
    second = notebook(tmp_path / "book/second.ipynb")
    notebook(tmp_path / "book/_build/copy.ipynb")
    book = tmp_path / "book"
    assert find_notebooks(book) == [first, second]
    assert find_notebooks(book, ["first"]) == find_notebooks(book, ["book/part/first.ipynb"])
    with pytest.raises(ValueError, match=r"no notebook 'frist' in book/; did you mean"):
        find_notebooks(book, ["frist"])


def test_the_book_is_executed_and_faults_are_named(
    study_root: Path, wsis: list[str], change_study: Callable
) -> None:
    """Good, raising and kernel-killing notebooks side by side, then the good one again."""
    book, built = study_root / "book", study_root / "build/book"
    good = notebook(book / "part/good.ipynb", "print(scale, steps)  # tiny")
    bad = notebook(book / "bad.ipynb", "x = 1", "raise RuntimeError('no such luck')")
    dead = notebook(book / "dead.ipynb", "import os; os.kill(os.getpid(), 9)", "print(1)")
    first = run_all(wsis, "-j", "3", "--scale", "smoke")
    assert first.returncode == 1
    assert "done      part/good" in first.stdout
    assert "failed: bad: the cell \"raise RuntimeError('no such luck')\" raised" in first.stderr
    assert "failed: dead: DeadKernelError: Kernel died" in first.stderr
    assert [f.name for f in built.rglob("*.ipynb")] == ["good.ipynb"]
    printed = nbformat.read(built / "part/good.ipynb", as_version=4).cells
    assert any("smoke 3" in str(cell.get("outputs")) for cell in printed)
    facts = executed_facts(built / "part/good.ipynb")
    assert facts["state"] == "done" and facts["seconds"] > 0 and facts["versions"]["torch"]
    assert str(study_root) not in (built / "part/good.ipynb").read_text()
    assert json.loads(good.read_text())["cells"][1]["execution_count"] is None
    assert list(notebook_frame(built)["notebook"]) == ["part/good"]

    bad.unlink()
    dead.unlink()
    again = run_all(wsis, "--scale", "smoke")
    assert again.returncode == 0 and "unchanged part/good" in again.stdout
    execute("tiny", "low", 0, "smoke")
    after_run = run_all(wsis, "--scale", "smoke")
    assert "done      part/good" in after_run.stdout, "it shows the table whose run is new"


def test_a_change_of_an_included_study_file_makes_a_page_new(
    study_root: Path, change_study: Callable
) -> None:
    file = notebook(study_root / "book/a.ipynb", "print(1)")
    change_study("tables:\n", "include: [more.yml]\ntables:\n")
    more = study_root / "book/more.yml"

    def digest() -> str:
        study = load_study()
        return inputs_digest(study, open_store("lab", study.root), "lab", file, {})

    more.write_text("tables: {}\n")
    before = digest()
    assert digest() == before
    more.write_text("tables: {} # changed\n")
    assert digest() != before


def test_an_unknown_parameter_stops_before_anything_runs(study_root: Path, wsis: list[str]) -> None:
    notebook(study_root / "book/a.ipynb", "print(1)")
    done = run_all(wsis, "-p", "stpes=5")
    assert done.returncode == 2
    assert "the notebook has no parameter 'stpes'; did you mean 'steps'?" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (study_root / "build").exists()


def heed_interrupts() -> None:
    """A script that runs the tests in the background has them ignore SIGINT, and all they start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_a_stopped_execution_leaves_nothing_behind(
    study_root: Path, wsis: list[str], wait_for: Callable
) -> None:
    mark = study_root / "started"
    notebook(
        study_root / "book/slow.ipynb",
        f"import pathlib, os, time; pathlib.Path({str(mark)!r}).write_text(str(os.getpid()))",
        "time.sleep(600)",
    )
    process = subprocess.Popen(
        [*wsis, "notebooks"], stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts
    )
    wait_for(lambda: mark.exists() and mark.read_text() != "")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert not (study_root / "build/book").exists()
    kernel = Path(f"/proc/{mark.read_text()}/stat")
    wait_for(lambda: not kernel.exists() or kernel.read_text().rpartition(")")[2].split()[0] == "Z")
