"""Masks as runs: the same as their pixels, whole, one at a time, and from crops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsislib.data import mask_runs
from wsislib.data.mask_runs import MaskCrop, MaskRuns

SHAPES = st.tuples(*[st.integers(1, 7)] * 3)
SHARES = st.sampled_from([0.0, 0.05, 0.5, 0.95, 1.0])


@given(SHAPES, st.integers(0, 10**6), SHARES)
def test_pixels_come_back(shape: tuple[int, int, int], seed: int, share: float) -> None:
    masks = np.random.default_rng(seed).random(shape) < share
    runs = MaskRuns.of_masks(masks)
    stored = runs.stored()
    assert int(stored.sum()) == masks.size and len(runs) == shape[0]
    again = MaskRuns.of_stored(shape, stored)
    assert np.array_equal(again.edges, runs.edges)
    assert np.array_equal(again.pixels(), masks)
    assert np.array_equal(again.filled(), masks.any((1, 2)))
    for index, mask in enumerate(masks):
        assert np.array_equal(again.mask(index), mask)


@given(SHAPES, st.integers(0, 10**6), SHARES)
def test_crops_are_the_masks_that_they_were_cut_from(
    shape: tuple[int, int, int], seed: int, share: float
) -> None:
    random = np.random.default_rng(seed)
    masks, parts = np.zeros(shape, dtype=bool), []
    for mask in masks:
        y, x = (int(random.integers(0, side)) for side in shape[1:])
        h, w = (int(random.integers(0, side + 1)) for side in (shape[1] - y, shape[2] - x))
        crop = random.random((h, w)) < share
        mask[y : y + h, x : x + w] = crop
        parts.append(MaskRuns.of_crop(MaskCrop(crop, y, x), *shape[1:]))
    assert np.array_equal(MaskRuns.stack(parts, shape).edges, MaskRuns.of_masks(masks).edges)


@given(SHAPES, st.integers(0, 10**6), SHARES)
def test_a_run_too_long_for_its_place_is_cut(
    shape: tuple[int, int, int], seed: int, share: float
) -> None:
    masks = np.random.default_rng(seed).random(shape) < share
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mask_runs, "_LONGEST", 5)
        stored = MaskRuns.of_masks(masks).stored()
    assert stored.max() <= 5
    again = MaskRuns.of_stored(shape, stored)
    assert np.array_equal(again.edges, MaskRuns.of_masks(masks).edges)


def test_masks_beyond_any_memory() -> None:
    """2,000 masks of 60 megapixels take as much as their few runs."""
    one = MaskRuns.of_crop(MaskCrop(np.ones((1, 4), dtype=bool), 5999, 20), 6000, 10_000)
    nothing = MaskRuns.empty(6000, 10_000)
    many = MaskRuns.stack([one, *[nothing] * 1998, one], (1000, 2, 6000, 10_000))
    again = MaskRuns.of_stored(many.shape, many.stored())
    assert np.array_equal(again.edges, many.edges)
    assert again.mask(1999)[5999, 20:24].all()
    assert np.flatnonzero(again.filled()).tolist() == [0, 1999]
