"""Differences between rows, seed by seed, beside the paper's."""

import math
from pathlib import Path

import pytest

from wsisbook.runs.declared import Column
from wsisbook.runs.spec import load_study
from wsisbook.runs.store import RunStore
from wsisbook.tables.cells import Cell, difference_text
from wsisbook.tables.published import PublishedValue
from wsisbook.tables.table_result import TableResult
from wsisbook.tables.tables import Results

ROOT = Path(__file__).resolve().parents[3]
COLUMN = Column(name="AP_B", metric="segm.B.AP", title="AP on B")


def cell(values: dict[int, float], published: float | None = None) -> Cell:
    """A cell with one value a seed."""
    number = None
    if published is not None:
        number = PublishedValue("p", "t", "r", "", "", "", "AP", published, "S1", "")
    runs = tuple(f"runs/table/row/seed-{seed}" for seed in values)
    return Cell("row", COLUMN, tuple(values.values()), runs, 3, "done", published=number)


def test_differences_are_taken_seed_by_seed() -> None:
    low, high = cell({0: 10.0, 1: 20.0}), cell({1: 21.0, 0: 13.0, 2: 99.0})
    assert high.paired_difference(low) == [3.0, 1.0]
    assert difference_text(high.paired_difference(low)) == "+2.0 ± 1.4 (2 seeds)"
    assert difference_text([-0.5]) == "-0.5 (1 seed)" and difference_text([]) == "not run"


def test_several_differences_are_lines(tmp_path: Path) -> None:
    study = load_study(ROOT / "book" / "study.yml")
    result = Results(study, RunStore(tmp_path), "lab").table("maskx-end-to-end")
    found = result.paired_differences(
        [("class-agnostic", "maskx"), ("maskx", "class-agnostic")], "AP_B"
    )
    titles = [result.table.rows[name].title for name in ("class-agnostic", "maskx")]
    assert found["from"].tolist() == titles and found["to"].tolist() == titles[::-1]
    assert found[result.table.column("AP_B").title].tolist() == ["not run", "not run"]
    with pytest.raises(ValueError, match="no row"):
        result.paired_differences([("maskx", "none")], "AP_B")


def test_the_share_of_the_way_is_the_papers_and_ours(tmp_path: Path) -> None:
    study = load_study(ROOT / "book" / "study.yml")
    names = ("class-agnostic", "maskx", "oracle")

    def shares(*cells: Cell) -> tuple[float, float]:
        held = {(name, "AP_B"): own for name, own in zip(names, cells, strict=True)}
        table = study.table("maskx-end-to-end")
        return TableResult(table, "lab", held, RunStore(tmp_path)).share_of_the_way(names, "AP_B")

    cells = cell({0: 10.0}, 20.0), cell({0: 15.0}, 23.0), cell({0: 30.0}, 32.0)
    assert shares(*cells) == pytest.approx((0.25, 0.25))
    papers, ours = shares(cell({}), *cells[1:])
    assert math.isnan(papers) and math.isnan(ours)
    assert math.isnan(shares(cells[0], cells[1], cells[0])[1])


def test_the_papers_differences_come_from_its_numbers(tmp_path: Path) -> None:
    study = load_study(ROOT / "book" / "study.yml")
    result = Results(study, RunStore(tmp_path), "lab").table("maskx-end-to-end")
    shown = result.paired_difference("class-agnostic", "maskx")
    assert shown.loc["AP on B", "paper"] == "+4.5" and shown.loc["APL", "paper"] == "+8.5"
    assert set(shown["ours"]) == {"not run"} and len(shown) == 6
    own = result.paired_difference("class-agnostic", "maskx", ["AP_A"])
    assert own["paper"].tolist() == [""]
