"""Numbers of runs that are no column of their table."""

from pathlib import Path

import pytest

from wsisbook.tables import run_metrics
from wsisbook.tables.run_metrics import run_numbers

METRICS = {
    "low": {0: {"teacher": {"point": {"best": 0.5}}}, 1: {"teacher": {"point": {"best": 0.7}}}},
    "high": {2: {"teacher": {"box": {"best": 0.9}}}},
    "high-3": {},
}
COLUMNS = {"points": "teacher.point.best", "boxes": "teacher.box.best"}


def test_means_over_seeds_and_what_is_missing(
    study_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_metrics, "seed_metrics", lambda table, row, scale: METRICS[row])
    shown = run_numbers("tiny", list(METRICS), COLUMNS, digits=1)
    assert shown.to_dict("list") == {
        "points": ["0.6 ± 0.1 (2)", "", "not run"],
        "boxes": ["", "0.9 (1)", "not run"],
    }
    assert list(shown.index) == ["low", "high", "size 3"]


def test_an_unknown_row_is_named(study_root: Path) -> None:
    with pytest.raises(ValueError, match="no row 'lo'"):
        run_numbers("tiny", ["lo"], COLUMNS)
