"""Overrides that pages propose are rows and settings that there are."""

import json
import re
from pathlib import Path

import pytest

from wsisbook.publish.notebook_inputs import notebook_parameters
from wsisbook.runs.changed_row import read_row_change, with_changed_row
from wsisbook.runs.spec import load_study

BOOK = Path(__file__).resolve().parents[2] / "book"
PROPOSED = re.compile(r'`"([a-z0-9-]+(?: [a-z_]+:[^"`]+)+)"`|override = "([^"]+)"')


def pages() -> list[Path]:
    return [path for path in sorted(BOOK.glob("part*/*.ipynb")) if "override" in path.read_text()]


@pytest.mark.parametrize("path", pages(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_a_page_proposes_can_be_run(path: Path) -> None:
    study, table = load_study(), notebook_parameters(path)["table"]
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells)
    found = [first or second for first, second in PROPOSED.findall(text)]
    assert found, "the page has the parameter and no example"
    for override in found:
        with_changed_row(study, "lab", table, read_row_change(override))
