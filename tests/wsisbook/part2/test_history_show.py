"""Several rows' histories in one picture."""

import pandas as pd
import pytest

from wsisbook.part2 import history_show
from wsisbook.part2.history_show import rows_in_time


@pytest.fixture
def histories(monkeypatch):
    """Two seeds of one row, one of another, none of the rest."""
    held = {
        ("boxes", 0): pd.DataFrame({"step": [20, 40, 60], "loss_class": [4.0, 2.0, None]}),
        ("boxes", 1): pd.DataFrame({"step": [20, 40, 60], "loss_class": [6.0, 4.0, None]}),
        ("points", 9): pd.DataFrame({"step": [20], "loss_class": [99.0]}),
        ("points", 0): pd.DataFrame({"step": [20, 40, 60], "loss_class": [3.0, 2.0, 1.0]}),
    }
    seeds = {"boxes": (0, 1), "points": (0, 1, 9)}

    class State:
        def __init__(self, seed: int) -> None:
            self.state = "running" if seed == 9 else "done"

    monkeypatch.setattr(history_show.show, "state_of", lambda table, row, seed, scale: State(seed))
    monkeypatch.setattr(
        history_show.show, "history", lambda table, row, seed, scale: held.get((row, seed))
    )
    monkeypatch.setattr(history_show.show, "seeds", lambda table, row, scale: seeds.get(row, ()))
    return held


def test_lines_are_means_over_seeds(histories):
    figure = rows_in_time("wish-budgets", ["boxes", "points", "tags"], "loss_class", smooth=1)
    boxes, points = figure.axes[0].get_lines()[:2]
    assert (boxes.get_label(), points.get_label()) == ("boxes", "points")
    assert boxes.get_xdata().tolist() == [20, 40] and boxes.get_ydata().tolist() == [5, 3]
    assert points.get_ydata().tolist() == [3, 2, 1]
    assert figure.axes[0].get_ylabel() == "loss class"


def test_logged_lines_are_averaged(histories):
    figure = rows_in_time("wish-budgets", ["points"], "loss_class", smooth=2)
    assert figure.axes[0].get_lines()[0].get_ydata().tolist() == [3, 2.5, 1.5]


def test_rows_that_were_not_run_say_so(histories):
    assert rows_in_time("wish-budgets", ["tags"], "loss_class") == "not run"
