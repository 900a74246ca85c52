"""Tiles of a gallery: cut where they should be, faded where there is no mask."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsisbook.part1.gallery_figure import Tile, cut, fade, gallery


def tile(name: str = "amber star, rim", count: int = 2) -> Tile:
    generator = np.random.default_rng(0)
    pixels = generator.random((12, 12, 3)).astype(np.float32)
    masks = tuple(generator.random((12, 12)) < 0.5 for _ in range(count))
    truth = np.zeros((12, 12), dtype=bool)
    truth[3:9, 4:10] = True
    return Tile(name, pixels, truth, masks, tuple(0.25 * k for k in range(count)))


@settings(max_examples=40, deadline=None)
@given(
    x=st.floats(0, 90), y=st.floats(0, 60), w=st.floats(1, 40), h=st.floats(1, 40),
    margin=st.floats(0, 0.6),
)  # fmt: skip
def test_a_cut_is_a_square_inside_the_image_that_holds_the_box(
    x: float, y: float, w: float, h: float, margin: float
) -> None:
    pixels = np.zeros((100, 130, 3), dtype=np.float32)
    rows, columns = cut(pixels, (x, y, w, h), margin)
    side = rows.stop - rows.start
    assert side == columns.stop - columns.start >= 1
    assert rows.start >= 0 and rows.stop <= 100 and columns.start >= 0 and columns.stop <= 130
    if side < 100:
        assert rows.start <= y + 1 and y + h <= rows.stop + 1
        assert columns.start <= x + 1 and x + w <= columns.stop + 1


def test_what_is_outside_a_mask_is_dark_and_grey() -> None:
    one = tile()
    faded = fade(one.pixels, one.masks[0])
    assert np.array_equal(faded[one.masks[0]], one.pixels[one.masks[0]])
    outside = faded[~one.masks[0]]
    assert np.ptp(outside, axis=1).max() < 1e-6
    assert np.allclose(outside[:, 0], 0.4 * one.pixels[~one.masks[0]].mean(axis=1), atol=1e-6)


def test_every_tile_shows_its_truth_and_all_masks() -> None:
    figure = gallery([tile("a"), tile("b, c"), tile("d")], ["one", "two"], across=2)
    shown = [axes for axes in figure.axes if axes.images]
    assert len(shown) == 9
    texts = [text.get_text() for axes in shown for text in axes.texts]
    assert texts == ["0", "25"] * 3
    titles = [axes.get_title() for axes in shown]
    assert titles == ["", "one", "two", "", "one", "two", "", "", ""]
    names = [axes.get_title(loc="left") for axes in shown[::3]]
    assert names == ["a", "b\nc", "d"]
    assert len(figure._repr_png_()) > 1000


def test_tiles_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="no tile to draw"):
        gallery([], ["one"])
    with pytest.raises(ValueError, match="tile 'a': 2 masks and 2 overlaps for 3 titles"):
        gallery([tile("a")], ["one", "two", "three"])
