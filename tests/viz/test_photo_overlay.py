"""Overlays of photographs: the right pixels, at a useful size, with names that can be read."""

import tracemalloc

import numpy as np
import pytest

from wsislib.data.rle import encode_mask, encode_window
from wsislib.data.sample import Category
from wsislib.viz.lettering import LONGEST_NAME, is_drawable, written
from wsislib.viz.palette import colour, rgb
from wsislib.viz.photo_overlay import ALPHA, SHORTEST, draw_photo, legend

CATEGORIES = (Category(3, "cat"), Category(7, "dog"))
GREY = np.full((1000, 1500, 3), 128, dtype=np.uint8)


def result(mask, category_id=3, score=0.9):
    rows, columns = np.nonzero(mask)
    box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
    return {"image_id": 1, "category_id": category_id, "bbox": [float(v) for v in box],
            "score": score, "segmentation": encode_mask(mask)}  # fmt: skip


def test_masks_are_tinted_where_they_are_and_outlined():
    mask = np.zeros((1000, 1500), dtype=bool)
    mask[200:600, 300:900] = True
    mask[300:400, 400:500] = False  # a hole
    drawn = np.asarray(draw_photo(GREY, [result(mask, 7)], CATEGORIES)).astype(int)
    assert drawn.shape == GREY.shape  # smaller than an overlay may be: as it is
    tone = 255 * rgb(colour(1))
    tinted = (1 - ALPHA) * 128 + ALPHA * tone
    inside = [(250, 350), (599 - 10, 899 - 10)]
    assert all(np.abs(drawn[place] - tinted).max() <= 1 for place in inside)
    assert all(np.abs(drawn[place] - tone).max() <= 1 for place in [(200, 600), (599, 600)])
    outside = [(350, 450), (700, 350), (620, 1000)]
    assert all((drawn[place] == 128).all() for place in outside)


@pytest.mark.parametrize(
    ("size", "wanted"),
    [((3000, 4000), (1200, 1600)), ((4000, 500), (1600, 200)), ((900, 700), (900, 700)),
     ((60, 80), (SHORTEST * 3 // 4, SHORTEST)), ((5000, 1), (1600, 1))],
)  # fmt: skip
def test_sides_are_useful(size, wanted):
    picture = draw_photo(np.zeros((*size, 3), dtype=np.uint8), [], CATEGORIES)
    assert picture.size[::-1] == wanted
    assert max(draw_photo(np.zeros((*size, 3), dtype=np.uint8), [], CATEGORIES, 100).size) == 100


def test_a_mask_at_a_border_and_one_of_a_pixel_are_drawn_and_an_empty_one_is_not():
    photo = np.full((100, 2000, 3), 128, dtype=np.uint8)
    masks = np.zeros((2, 100, 2000), dtype=bool)
    masks[0, 80:, 1900:] = True
    masks[1, 5, 4] = True
    drawn = np.asarray(draw_photo(photo, [result(m) for m in masks], CATEGORIES)).astype(int)
    assert (drawn[-1, -1] != 128).any() and (drawn[-8, -40] != 128).any()
    empty = {**result(masks[1]), "segmentation": encode_mask(np.zeros((100, 2000), dtype=bool))}
    draw_photo(photo, [empty], CATEGORIES)


def test_hundreds_of_masks_of_a_large_photograph_need_no_more_than_its_overlay():
    photo = np.zeros((4000, 6000, 3), dtype=np.uint8)  # 24 megapixels, 72 MB
    window = np.ones((1200, 1200), dtype=bool)
    results = []
    for k in range(200):
        code = encode_window(window, 14 * k, 23 * k, *photo.shape[:2])
        results.append({"image_id": 1, "category_id": 3, "score": 0.5, "segmentation": code,
                        "bbox": [23.0 * k, 14.0 * k, 1200.0, 1200.0]})  # fmt: skip
    tracemalloc.start()
    draw_photo(photo, results, CATEGORIES)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6  # one whole mask alone would be 24 MB, all of them 4.8 GB


def test_names_that_cannot_be_drawn_become_numbers_with_a_legend():
    assert all(map(is_drawable, ["horse", "Ångström", "Гриб", "σκύλος", "é", "50 % off"]))
    foreign = ["正方形", "แมว", "קוף", "قط", "बिल्ली", "고양이", "a\nb", "🦊"]
    assert not any(map(is_drawable, foreign))
    categories = [Category(i, name) for i, name in enumerate(["cat", "正方形", "#3"], start=1)]
    assert [written(c.name, c.id) for c in categories] == ["cat", "#2", "#3"]
    assert legend(categories) == "#2\t正方形\n"
    assert legend(CATEGORIES) == ""
    assert len(written("x" * 100, 1)) == LONGEST_NAME


def test_names_stay_inside_and_do_not_cover_each_other():
    mask = np.zeros((1000, 1500), dtype=bool)
    mask[0:30, 1480:1500] = True
    plain = np.asarray(draw_photo(GREY, [], CATEGORIES))
    one = np.asarray(draw_photo(GREY, [result(mask)], CATEGORIES))
    rows, columns = np.nonzero((one != plain).any(axis=2))
    assert columns.max() == 1499 and columns.min() > 1300 and rows.max() < 80
    twice = np.asarray(draw_photo(GREY, [result(mask), result(mask, score=0.1)], CATEGORIES))
    assert rows.max() < np.nonzero((twice != plain).any(axis=2))[0].max() + 1 < 120
