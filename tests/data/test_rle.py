"""Segmentations decode as pycocotools decodes them, and never more than the image allows."""

import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as mask_api

from tests.miniatures import coco
from wsislib.data.rle import (
    MAX_PIXELS,
    MAX_VERTICES,
    SegmentationError,
    checked_rle,
    decode_segmentation,
    encode_mask,
    rle_area,
    rle_box,
)

MASKS = hnp.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))
QUICK = settings(max_examples=60, deadline=None, derandomize=True)


@QUICK
@given(MASKS)
def test_every_form_of_rle_gives_the_mask_back(mask: np.ndarray) -> None:
    height, width = mask.shape
    ours = encode_mask(mask)
    assert json.loads(json.dumps(ours)) == ours
    forms = [
        ours,
        {**ours, "counts": ours["counts"].encode()},
        coco.uncompressed(mask),
        {"size": (height, width), "counts": tuple(coco.uncompressed(mask)["counts"])},
        {"size": [float(height), width], "counts": coco.uncompressed(mask)["counts"]},
    ]
    for form in forms:
        assert np.array_equal(decode_segmentation(form, height, width), mask)
    rle = checked_rle(ours, height, width)
    assert rle_area(rle) == mask.sum()
    if mask.any():
        x, y, w, h = rle_box(rle)
        rows, columns = np.nonzero(mask)
        edges = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert (x, y, x + w, y + h) == edges


def test_long_runs_decode() -> None:
    """Runs of more than one character, with negative differences."""
    mask = np.zeros((900, 700), dtype=bool)
    mask[100:800, 50:600] = True
    mask[5, 5] = mask[899, 699] = True
    assert np.array_equal(decode_segmentation(encode_mask(mask), 900, 700), mask)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools
@QUICK
@given(
    st.lists(
        st.lists(st.tuples(st.floats(-5, 25), st.floats(-5, 25)), min_size=3, max_size=6),
        min_size=1,
        max_size=3,
    )
)
def test_polygons_are_the_union_of_their_parts(points: list) -> None:
    parts = [[float(value) for point in part for value in point] for part in points]
    union = np.zeros((20, 18), dtype=bool)
    for part in parts:
        union |= mask_api.decode(mask_api.frPyObjects([part], 20, 18))[:, :, 0].astype(bool)
    assert np.array_equal(decode_segmentation(parts, 20, 18), union)


def test_a_rectangle_covers_its_pixels() -> None:
    polygon = coco.rectangle_polygon(2, 3, 10, 12)
    decoded = decode_segmentation([polygon], coco.HEIGHT, coco.WIDTH)
    assert np.array_equal(decoded, coco.rectangle(2, 3, 10, 12))


def code(segmentation: object, height: int = 10, width: int = 12) -> str:
    with pytest.raises(SegmentationError) as caught:
        decode_segmentation(segmentation, height, width)
    assert str(caught.value)
    assert caught.value.remedy
    return caught.value.code


GOOD = [1.0, 1.0, 5.0, 1.0, 5.0, 5.0]


@pytest.mark.parametrize(
    ("segmentation", "expected"),
    [
        (None, "segmentation-type"),
        ("polygon", "segmentation-type"),
        (7, "segmentation-type"),
        (GOOD, "segmentation-type"),
        ([GOOD, 3], "segmentation-type"),
        ([[1, 1, 5, 1, 5, "5"]], "segmentation-type"),
        ([[1, 1, 5, 1, 5, True]], "segmentation-type"),
        ([], "polygon-degenerate"),
        ([[]], "polygon-degenerate"),
        ([[1, 1, 5, 5]], "polygon-degenerate"),  # pycocotools would read a box
        ([[1, 1, 5, 1, 5, 5, 2]], "polygon-degenerate"),
        ([GOOD, [1, 1]], "polygon-degenerate"),
        ([[1, 1, 5, 1, 5, float("nan")]], "not-finite"),
        ([[1, 1, 5, 1, float("inf"), 5]], "not-finite"),
        ([[1, 1, 1e8, 1, 5, 5]], "polygon-coordinates"),
        ([[1, 1, 5, -1e8, 5, 5]], "polygon-coordinates"),
        ([[1, 1, 10**400, 1, 5, 5]], "polygon-coordinates"),
        ([GOOD * (MAX_VERTICES // 3 + 1)], "polygon-too-large"),
        ({}, "rle-size"),
        ({"counts": [120]}, "rle-size"),
        ({"size": [12, 10], "counts": [120]}, "rle-size"),
        ({"size": [10], "counts": [120]}, "rle-size"),
        ({"size": [10, 12.5], "counts": [120]}, "rle-size"),
        ({"size": ["10", "12"], "counts": [120]}, "rle-size"),
        ({"size": [10, float("nan")], "counts": [120]}, "rle-size"),
        ({"size": [100000, 100000], "counts": "x"}, "rle-size"),
        ({"size": [10, 12]}, "rle-counts"),
        ({"size": [10, 12], "counts": 5}, "rle-counts"),
        ({"size": [10, 12], "counts": []}, "rle-counts"),
        ({"size": [10, 12], "counts": ""}, "rle-counts"),
        ({"size": [10, 12], "counts": [119]}, "rle-counts"),
        ({"size": [10, 12], "counts": [121]}, "rle-counts"),
        ({"size": [10, 12], "counts": [130, -10]}, "rle-counts"),
        ({"size": [10, 12], "counts": [60, 60.5]}, "rle-counts"),
        ({"size": [10, 12], "counts": [60, "60"]}, "rle-counts"),
        ({"size": [10, 12], "counts": [120, float("inf")]}, "rle-counts"),
        ({"size": [10, 12], "counts": [10**30, 120 - 10**30]}, "rle-counts"),
        ({"size": [10, 12], "counts": "\x00\x01"}, "rle-counts"),
        ({"size": [10, 12], "counts": "h\u00e9"}, "rle-counts"),
        ({"size": [10, 12], "counts": "P"}, "rle-counts"),  # the number never ends
        ({"size": [10, 12], "counts": "oooooooooo0"}, "rle-counts"),  # beyond 64 bits
    ],
)
def test_faults_have_their_code(segmentation: object, expected: str) -> None:
    assert code(segmentation) == expected


def test_limits_of_the_image_itself() -> None:
    assert code([GOOD], 0, 5) == "image-too-large"
    assert code([GOOD], MAX_PIXELS, 2) == "image-too-large"


def test_a_short_code_cannot_ask_for_gigabytes() -> None:
    """A few bytes of text that claim 30,000 x 30,000 pixels are refused before they are drawn."""
    bomb = {"size": [30000, 30000], "counts": mask_api.frPyObjects(
        {"size": [30000, 30000], "counts": [10, 900_000_000 - 10]}, 30000, 30000
    )["counts"]}  # fmt: skip
    assert len(bomb["counts"]) < 30
    tracemalloc.start()
    try:
        assert code(bomb) == "rle-size"
        assert code({**bomb, "size": [10, 12]}) == "rle-counts"
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@QUICK
@given(st.binary(max_size=40))
def test_any_text_is_read_or_refused(text: bytes) -> None:
    try:
        mask = decode_segmentation({"size": [6, 7], "counts": text}, 6, 7)
    except SegmentationError as error:
        assert error.code == "rle-counts"
    else:
        assert mask.shape == (6, 7)
