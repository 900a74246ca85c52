"""What a budget bought, and what that was worth."""

import math
from dataclasses import replace

import pytest

from wsisbook.experiments.wish_settings import WeakLabelConfig
from wsisbook.part2.budget_show import bought_mix, cost_points, mix_table
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
