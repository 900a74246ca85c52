"""Several rows' histories in one picture."""

from types import SimpleNamespace

import pandas as pd

from wsisbook.part2.history_show import rows_in_time

HELD = {
    ("boxes", 0): pd.DataFrame({"step": [20, 40, 60], "loss_class": [4.0, 2.0, None]}),
    ("boxes", 1): pd.DataFrame({"step": [20, 40, 60], "loss_class": [6.0, 4.0, None]}),
    ("points", 9): pd.DataFrame({"step": [20], "loss_class": [99.0]}),
    ("points", 0): pd.DataFrame({"step": [20, 40, 60], "loss_class": [3.0, 2.0, 1.0]}),
}


def row(name: str, *seeds: int) -> SimpleNamespace:
    """A row that is done, but for seed 9, which is still running."""
    return SimpleNamespace(
        title=name,
        seeds=seeds,
        state=lambda seed: SimpleNamespace(state="running" if seed == 9 else "done"),
        history=lambda seed: HELD.get((name, seed)),
    )


BOXES, POINTS, TAGS = row("boxes", 0, 1), row("points", 0, 1, 9), row("tags")


def test_lines_are_means_over_seeds():
    figure = rows_in_time([BOXES, POINTS, TAGS], "loss_class", smooth=1)
    boxes, points = figure.axes[0].get_lines()[:2]
    assert (boxes.get_label(), points.get_label()) == ("boxes", "points")
    assert boxes.get_xdata().tolist() == [20, 40] and boxes.get_ydata().tolist() == [5, 3]
    assert points.get_ydata().tolist() == [3, 2, 1]
    assert figure.axes[0].get_ylabel() == "loss class"


def test_logged_lines_are_averaged():
    figure = rows_in_time([POINTS], "loss_class", smooth=2)
    assert figure.axes[0].get_lines()[0].get_ydata().tolist() == [3, 2.5, 1.5]


def test_rows_that_were_not_run_say_so():
    assert rows_in_time([TAGS], "loss_class") == "not run"
