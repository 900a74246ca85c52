"""The points of figure 3."""

import math
from types import SimpleNamespace

import pytest

from wsisbook.part1.split_points import (
    COLUMNS,
    main_points,
    mean_points,
    published_points,
    split_points,
)
from wsislib.labels.splits import world_split

METRICS = {
    "category_instances": list(range(6)),
    "splits": {
        "s": {
            "a_count": 2,
            "instances": 10.0,
            "class-agnostic": {"AP": 4.0},
            "transfer": {"AP": 5.0},
            "relative_gain": 25.0,
        },
        "none": {
            "a_count": 3,
            "instances": 9.0,
            "class-agnostic": {"AP": 0.0},
            "transfer": {"AP": 1.0},
            "relative_gain": None,
        },
    },
}


def test_points_are_those_of_every_seed_and_their_means() -> None:
    other = {"splits": {"s": {**METRICS["splits"]["s"], "relative_gain": 35.0}}}
    points = split_points({0: METRICS, 2: other})
    assert tuple(points.columns) == COLUMNS and points["seed"].tolist() == [0, 0, 2]
    means = mean_points(points)
    assert means["split"].tolist() == ["s", "none"]
    assert means.loc[0, "relative_gain"] == 30 and math.isnan(means.loc[1, "relative_gain"])
    assert means.loc[0, ["instances", "class-agnostic", "transfer"]].tolist() == [10, 4, 5]
    empty = mean_points(split_points({}))
    assert empty.empty and list(empty.columns) == list(COLUMNS[1:])


class Study:
    """Table 1 with the numbers of one direction, and the split of its heads."""

    VALUES = {"class-agnostic": 10.0, "cls-box": 12.0, "class-agnostic-reversed": math.nan}

    def table(self, name: str) -> "Study":
        return self

    def cell(self, row: str, column: str) -> SimpleNamespace:
        return SimpleNamespace(mean=self.VALUES.get(row, 5.0))

    def __getitem__(self, place: tuple[str, str]) -> SimpleNamespace:
        return SimpleNamespace(split=lambda: world_split(6, 2, 0))


def test_the_split_of_table_1_is_counted_like_the_others() -> None:
    (line,) = main_points(Study(), [METRICS]).to_dict("records")
    assert line["split"] == "voc-20" and line["a_count"] == 2
    assert line["instances"] == sum(world_split(6, 2, 0).a) / 2
    assert line["relative_gain"] == pytest.approx(20)
    assert main_points(Study(), []).empty


def test_the_papers_points_have_the_same_columns() -> None:
    published = published_points()
    assert len(published) == 27
    assert {"voc-20", "nonvoc-60"} < set(published["split"])
    assert published.set_index("split").loc["voc-20", "instances"] == 24641
