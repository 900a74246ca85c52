"""Before and after: which side of the diagonal, which names, and what was not run."""

import numpy as np
import pandas as pd
import pytest

from wsisbook.part1.before_after import before_after, extremes
from wsislib.viz.palette import colour, rgb

FRAME = pd.DataFrame(
    {"agnostic": [10.0, 20.0, 30.0, np.nan], "transfer": [15.0, 12.0, 31.0, 5.0]},
    index=["ring", "disc", "star", "plus"],
)


def test_each_category_is_a_point_and_a_gain_lies_above_the_diagonal() -> None:
    figure = before_after({"few": FRAME, "many": FRAME * 2}, "agnostic", "transfer", named=1)
    left, right = figure.axes
    points = left.collections[0]
    assert np.array_equal(points.get_offsets(), [[10, 15], [20, 12], [30, 31]])
    gained = np.all(np.isclose(points.get_facecolor()[:, :3], rgb(colour(5))), axis=1)
    assert gained.tolist() == [True, False, True]
    assert [text.get_text() for text in left.texts] == ["ring", "disc"]
    assert left.get_xlim()[1] >= 62 and left.get_xlim() == left.get_ylim() == right.get_xlim()


def test_extremes_are_the_largest_gains_and_losses() -> None:
    assert extremes(np.array([1.0, -5.0, 3.0, 0.0, -2.0]), 2) == [2, 0, 1, 4]
    assert extremes(np.array([1.0, 2.0]), 3) == [1, 0]
    assert extremes(np.array([]), 3) == extremes(np.zeros(3), 3) == []


def test_without_runs_it_says_so() -> None:
    empty = pd.DataFrame({"agnostic": [], "transfer": []})
    assert before_after({"few": empty}, "agnostic", "transfer") == "not run"
    assert len(before_after({"few": FRAME, "many": empty}, "agnostic", "transfer").axes) == 2
    with pytest.raises(ValueError, match=r"'few' has no column \['oracle'\]"):
        before_after({"few": FRAME}, "agnostic", "oracle")
