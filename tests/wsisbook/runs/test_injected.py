"""Parameters that papermill injects."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from wsisbook.runs.injected import check_injected

OWN = 'scale = "lab"\nseed = 0\n'


def test_parameters_that_the_notebook_has_pass() -> None:
    check_injected(["", OWN, "# Parameters\nseed = 1\n", "import os"])
    check_injected(["", OWN, "import os", "%matplotlib inline"])


def test_a_misspelt_parameter_is_named_with_the_near_one() -> None:
    with pytest.raises(ValueError, match="no parameter 'sclae'.*'scale'.*scale, seed"):
        check_injected(["", OWN, '# Parameters\nsclae = "smoke"\n'])


def test_plain_papermill_ends_in_that_error(tmp_path: Path) -> None:
    cells = [
        nbformat.v4.new_code_cell(OWN),
        nbformat.v4.new_code_cell("from wsisbook import reading"),
    ]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, tmp_path / "in.ipynb")
    command = [sys.executable, "-m", "papermill", "in.ipynb", "out.ipynb", "--no-progress-bar"]
    wrong = subprocess.run(
        [*command, "-p", "sclae", "smoke"], cwd=tmp_path, capture_output=True, text=True
    )
    assert wrong.returncode != 0
    assert "no parameter 'sclae'" in wrong.stderr
