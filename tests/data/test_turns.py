"""The eight orientations of EXIF: pixels and coordinates turn together, as Pillow does it."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from wsislib.data.turns import turn_pixels, turn_points, upright_size


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_are_turned_as_pillow_turns_them(orientation: int) -> None:
    stored = np.random.default_rng(0).integers(0, 255, (5, 9, 3), dtype=np.uint8)
    image = Image.fromarray(stored)
    exif = image.getexif()
    exif[0x0112] = orientation
    turned = turn_pixels(stored, orientation)
    assert np.array_equal(turned, np.asarray(ImageOps.exif_transpose(image)))
    assert upright_size(9, 5, orientation) == (turned.shape[1], turned.shape[0])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_points_stay_on_their_pixels(orientation: int) -> None:
    stored = np.zeros((5, 9), dtype=np.uint8)
    stored[1, 6] = 7
    turned = turn_pixels(stored, orientation)
    ((x, y),) = turn_points(np.array([[6.5, 1.5]]), 9, 5, orientation)
    assert turned[int(y), int(x)] == 7 and (x % 1, y % 1) == (0.5, 0.5)
