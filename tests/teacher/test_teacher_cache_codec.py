"""Packed candidates come back as they were; bytes that are none are refused."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from wsislib.teacher.candidate_codec import pack_candidates, packed_instances, unpack_candidates

QUICK = settings(max_examples=60, deadline=None, derandomize=True)


@QUICK
@given(
    st.tuples(st.integers(0, 4), st.integers(1, 3), st.integers(1, 40), st.integers(1, 300)),
    st.integers(0, 10**6),
    st.sampled_from([0.0, 0.01, 0.5, 0.99, 1.0]),
)
def test_nothing_is_lost(shape: tuple[int, int, int, int], seed: int, share: float) -> None:
    random = np.random.default_rng(seed)
    masks = random.random(shape) < share
    quality = random.random(shape[:2], dtype=np.float32)
    packed = pack_candidates(masks, quality)
    assert packed_instances(packed) == shape[0]
    again, score = unpack_candidates(packed)
    assert again.shape == shape and again.dtype == bool and score.dtype == np.float32
    assert np.array_equal(again, masks) and np.array_equal(score, quality)


def test_masks_that_begin_full_and_runs_beyond_two_bytes() -> None:
    masks = np.ones((1, 1, 400, 400), dtype=bool)
    masks[0, 0, -1] = False
    again, _ = unpack_candidates(pack_candidates(masks, np.ones((1, 1), np.float32)))
    assert np.array_equal(again, masks)


@pytest.mark.parametrize(("size", "share"), [(96, 1.0), (240, 0.85)])
def test_smooth_outlines_take_fewer_bytes_than_packed_bits(size: int, share: float) -> None:
    noise = np.random.default_rng(0).normal(size=(3, 3, size, size))
    smooth = gaussian_filter(noise, (0, 0, size / 12, size / 12))
    masks = smooth > smooth.std()
    packed = pack_candidates(masks, np.ones((3, 3), np.float32))
    assert len(packed) < share * len(zlib.compress(np.packbits(masks, axis=-1).tobytes(), 9))


def test_other_bytes_are_refused() -> None:
    random = np.random.default_rng(1)
    masks = random.random((2, 3, 10, 12)) < 0.5
    packed = pack_candidates(masks, np.ones((2, 3), np.float32))
    head = 12 + 24
    for bad in (
        b"",
        packed[:5],
        packed[:head],
        packed[:-1],
        packed[:head] + b"\xff" * 40,
        struct.pack("<2H2I", 2, 3, 10, 13) + packed[12:],
        struct.pack("<2H2I", 2, 3, 5, 12) + packed[12:],
        struct.pack("<2H2I", 60000, 60000, 10**9, 10**9) + packed[12:],
    ):
        with pytest.raises(ValueError, match="candidates|masks of"):
            unpack_candidates(bad)
