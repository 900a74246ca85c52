"""EXIF orientation of pixels and coordinates: the eight ways in which a camera may have been held.

Orientation 1 is upright. 5 to 8 swap rows and columns; then 2, 3, 6 and 7 mirror left and right,
and 3, 4, 7 and 8 top and bottom. Coordinates are continuous: a picture of width W ends at x = W.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

Pixel = TypeVar("Pixel", bound=np.generic)

_SWAPS, _MIRRORS_X, _MIRRORS_Y = (5, 6, 7, 8), (2, 3, 6, 7), (3, 4, 7, 8)


def swaps_sides(orientation: int) -> bool:
    """Whether upright is as wide as stored is high."""
    return orientation in _SWAPS


def upright_size(width: int, height: int, orientation: int) -> tuple[int, int]:
    """(width, height) upright of a picture stored with `width` x `height` pixels."""
    return (height, width) if swaps_sides(orientation) else (width, height)


def turn_pixels(pixels: npt.NDArray[Pixel], orientation: int) -> npt.NDArray[Pixel]:
    """Stored pixels (H, W, ...) turned upright; a view."""
    if swaps_sides(orientation):
        pixels = pixels.swapaxes(0, 1)
    if orientation in _MIRRORS_X:
        pixels = pixels[:, ::-1]
    return pixels[::-1] if orientation in _MIRRORS_Y else pixels


def turn_points(
    points: npt.NDArray[np.float64], width: int, height: int, orientation: int
) -> npt.NDArray[np.float64]:
    """Points (N, 2) xy of a picture stored with `width` x `height` pixels, turned upright."""
    x, y = points.T
    if swaps_sides(orientation):
        x, y, width, height = y, x, height, width
    x = width - x if orientation in _MIRRORS_X else x
    y = height - y if orientation in _MIRRORS_Y else y
    return np.stack([x, y], axis=1)
