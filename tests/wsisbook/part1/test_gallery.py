"""Before and after: which side of the diagonal, which names, and what was not run."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsisbook.part1.gallery import MARGIN, Crop, before_after, crop_grid, extremes, window
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


IMAGE = torch.zeros(3, 30, 40)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 38), st.integers(0, 28), st.integers(1, 40), st.integers(1, 30))
def test_the_window_is_a_square_inside_the_image(x: int, y: int, w: int, h: int) -> None:
    box = (x, y, min(x + w, 40), min(y + h, 30))
    left, top, right, bottom = window(box, 40, 30)
    assert right - left == pytest.approx(bottom - top)
    assert left >= 0 and top >= 0 and right <= 40 + 1e-9 and bottom <= 30 + 1e-9
    if 2 * MARGIN * max(box[2] - box[0], box[3] - box[1]) <= 30:
        assert left <= box[0] and top <= box[1] and right >= box[2] and bottom >= box[3]


def test_masks_are_painted_in_the_window_with_their_words() -> None:
    mask = np.zeros((30, 40), dtype=bool)
    mask[10:20, 10:20] = True
    box = (10.0, 10.0, 20.0, 20.0)
    figure = crop_grid(
        [[Crop(IMAGE, box), Crop(IMAGE, box, [mask], "IoU 0.50")]], ["a", "b"], ["row"]
    )
    bare, masked = figure.axes
    assert masked.get_xlim() == (8, 22) and masked.get_ylim() == (22, 8)
    assert not bare.images[0].get_array().any()
    painted = masked.images[0].get_array().any(axis=-1)
    assert np.array_equal(painted, mask)
    assert (masked.get_xlabel(), bare.get_xlabel()) == ("IoU 0.50", "")
    assert (bare.get_title(), bare.get_ylabel()) == ("a", "row")


def test_rows_must_be_equally_long() -> None:
    crop = Crop(IMAGE, (1, 1, 5, 5))
    with pytest.raises(ValueError, match=r"rows of \[1, 2\] panels"):
        crop_grid([[crop], [crop, crop]])
    with pytest.raises(ValueError, match=r"rows of \[\] panels"):
        crop_grid([])
