"""What a budget bought, and what that was worth."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest

from wsisbook.experiments.wish_settings import WeakLabelConfig
from wsisbook.part2.budgets import bought_mix, cost_points, mix_table, rows_in_time
from wsisbook.reading import open_study
from wsisbook.runs.config import config_from


def settings(**given) -> WeakLabelConfig:
    return config_from(WeakLabelConfig, given, "row")


def test_every_row_of_the_lab_costs_its_budget() -> None:
    mixes = mix_table(open_study(), "wish-budgets")
    assert (mixes["cost"].sub(5000).abs() <= 0.5 * 136).all()
    assert mixes.loc["boxes"].to_dict() == {
        "tags": 0, "points": 0, "boxes": 417, "masks": 0, "cost": 5004,
    }  # fmt: skip
    assert mixes.loc["tags + boxes", "tags"] == 2504 and mixes.loc["tags + boxes", "boxes"] == 208
    at_paper = mix_table(open_study("paper"), "wish-budgets")
    assert tuple(at_paper.loc["tags + boxes", ["tags", "boxes"]]) == (5290, 441)  # WISH, table 3
    assert at_paper.loc["tags", "tags"] == 10582 and at_paper.loc["boxes", "boxes"] == 882


def test_a_mix_that_was_written_down_was_not_bought() -> None:
    assert str(bought_mix(settings(labels="tags", train_count=7))) == "7 tags"
    with pytest.raises(ValueError, match="written down"):
        bought_mix(settings(labels="3 tags + 1 boxes"))
    with pytest.raises(ValueError, match="known only once they are read"):
        bought_mix(settings(labels="tags", data="coco"))


def test_points_of_the_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    study = open_study()
    result = study.table("wish-budgets")
    values = {"boxes": (20.0, 22.0), "tags-boxes": (25.0,), "tags-boxes-by-kind": (26.0,)}
    cells = {
        (row, "AP"): replace(cell, values=values.get(row, ()))
        for (row, column), cell in result.cells.items()
        if column == "AP"
    }
    monkeypatch.setattr(study, "table", lambda name: replace(result, cells=cells))
    found = cost_points(study, "wish-budgets")
    assert list(found["name"]) == ["boxes", "tags + boxes", "tags + boxes, by kind"]
    assert list(found["ap"]) == [21, 25, 26] and list(found["cost"]) == [5004, 5000, 5000]
    assert list(found["images"]) == [417, 2712, 2712]
    assert found["std"][0] == pytest.approx(math.sqrt(2)) and math.isnan(found["std"][1])


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
    assert figure.axes[0].get_ylabel() == "class loss"


def test_logged_lines_are_averaged():
    figure = rows_in_time([POINTS], "loss_class", smooth=2)
    assert figure.axes[0].get_lines()[0].get_ydata().tolist() == [3, 2.5, 1.5]


def test_rows_that_were_not_run_say_so():
    assert rows_in_time([TAGS], "loss_class") == "not run"
