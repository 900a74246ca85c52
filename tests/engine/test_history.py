"""history.csv says what happened, number for number."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wsislib.engine.history import Window, median_speed, read_history, write_history

FLOATS = st.floats(allow_nan=False, allow_infinity=False)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(values=st.lists(st.tuples(FLOATS, FLOATS), min_size=1, max_size=5))
def test_round_trip_is_exact(tmp_path: Path, values: list[tuple[float, float]]) -> None:
    rows = [{"step": i + 1, "lr": a, "loss_mask": b} for i, (a, b) in enumerate(values)]
    write_history(tmp_path / "history.csv", rows)
    assert read_history(tmp_path / "history.csv") == rows
    assert read_history(tmp_path / "history.csv", upto=2) == rows[:2]


def test_a_loss_may_appear_later(tmp_path: Path) -> None:
    rows = [{"step": 1, "lr": 1.0}, {"step": 2, "lr": 1.0, "loss_late": 3.0}]
    write_history(tmp_path / "history.csv", rows)
    assert read_history(tmp_path / "history.csv") == rows


def test_window_takes_means() -> None:
    window = Window()
    window.add({"loss": 1.0}, 0.5)
    window.add({"loss": 3.0, "other": 5.0}, 1.5)
    row = window.row(20, 0.1, 8, 100.0)
    assert row == {
        "step": 20, "lr": 0.1, "loss": 2.0, "other": 5.0, "images_per_second": 8.0,
        "seconds": 100.0,
    }  # fmt: skip
    assert median_speed([row, {"images_per_second": 2.0}, {"images_per_second": 100.0}]) == 8.0


@pytest.mark.parametrize("line", ["x,1", "1,2,3", "2"])
def test_damaged_file_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "history.csv"
    path.write_text(f"step,lr\n1,0.5\n{line}\n")
    with pytest.raises(ValueError, match=r"history\.csv, line 3"):
        read_history(path)
    assert read_history(tmp_path / "absent.csv") == []
