"""Patterns and colours. A pattern maps coordinates to 0..1, the share of the second colour."""

from __future__ import annotations

from collections.abc import Callable
from colorsys import hsv_to_rgb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsislib.data.world.spec import FactorSet

Plane = NDArray[np.floating[Any]]

HUES = 10

# Equal steps here are steps of similar look; equal steps of the HSV angle would give five
# greens and one yellow.
_WHEEL = np.array([0, 22, 42, 58, 85, 135, 172, 195, 222, 255, 288, 322, 360]) / 360


def _fold(x: Plane) -> Plane:
    """Triangle wave of period 1: 0 in the middle of a cell, 1 at its edges."""
    return np.abs(2 * (x - np.floor(x)) - 1)


def _edge(x: Plane, sharp: float) -> Plane:
    """Step at 0, as wide as a pixel where `sharp` is pixels a unit of `x`."""
    return np.clip(x * np.float32(sharp) + np.float32(0.5), 0, 1)


def _plain(p: Plane, q: Plane, sharp: float) -> Plane:
    return np.zeros_like(p)


def _stripes(p: Plane, q: Plane, sharp: float) -> Plane:
    return _edge(_fold(p) - 0.5, sharp)


def _checks(p: Plane, q: Plane, sharp: float) -> Plane:
    return _edge((2 * _fold(p) - 1) * (2 * _fold(q) - 1), sharp)


def _dots(p: Plane, q: Plane, sharp: float) -> Plane:
    a, b = _fold(p), _fold(q)
    return _edge(0.45 - a * a - b * b, sharp)


def _zigzag(p: Plane, q: Plane, sharp: float) -> Plane:
    return _edge(_fold(p + 0.5 * _fold(q * 0.5)) - 0.5, sharp)


def _ramp(p: Plane, q: Plane, sharp: float) -> Plane:
    return np.clip(0.5 + 0.2 * p, 0, 1)


def _rings(p: Plane, q: Plane, sharp: float) -> Plane:
    return _edge(_fold(np.sqrt(p * p + q * q)) - 0.5, sharp)


def _lattice(p: Plane, q: Plane, sharp: float) -> Plane:
    return _edge(np.maximum(_fold(p), _fold(q)) - 0.7, sharp)


def _waves(p: Plane, q: Plane, sharp: float) -> Plane:
    return _edge(_fold(p + 0.3 * np.sin(q * np.float32(3.0))) - 0.5, sharp)


def _diamonds(p: Plane, q: Plane, sharp: float) -> Plane:
    return _edge(_fold(p) + _fold(0.6 * q) - 1, sharp)


def _glow(p: Plane, q: Plane, sharp: float) -> Plane:
    return np.clip(0.3 * np.sqrt(p * p + q * q), 0, 1)


def _bricks(p: Plane, q: Plane, sharp: float) -> Plane:
    shift = 0.5 * (np.floor(q) % 2)
    return _edge(np.maximum(_fold(0.5 * p + shift), _fold(q) - 0.1) - 0.75, sharp)


def _crosses(p: Plane, q: Plane, sharp: float) -> Plane:
    a, b = _fold(p), _fold(q)
    arm = np.minimum(0.3 - np.minimum(a, b), 0.75 - np.maximum(a, b))
    return _edge(arm, sharp)


def _bands(p: Plane, q: Plane, sharp: float) -> Plane:
    return _edge(_fold(p) * _fold(0.37 * p + 0.2) - 0.35, sharp)


def _spots(p: Plane, q: Plane, sharp: float) -> Plane:
    a = np.sin(p * np.float32(3.1)) + np.sin(q * np.float32(2.3) + 1)
    return _edge(a + np.sin((p + q) * np.float32(1.7)) - 0.4, sharp)


# Names of the positions 0, 1/24, 2/24, ... of the hue circle.
_NAMES = (
    *("red", "scarlet", "coral", "orange", "amber", "gold", "yellow", "citron"),
    *("lime", "leaf", "green", "jade", "turquoise", "cyan", "sky", "azure"),
    *("blue", "cobalt", "indigo", "violet", "purple", "magenta", "pink", "rose"),
)


def hue_position(hue: int, levels: int, origin: float) -> float:
    """Middle of the bin of `hue`, one of 0..levels-1, on the circle, 0..1.

    A world with fewer than ten hues uses some of the ten bins, as far apart as can be. `origin`
    is where the first bin starts, in bins.
    """
    return (hue * HUES // levels + 0.5 + origin) / HUES % 1.0


def hue_name(position: float) -> str:
    """The name nearest to a position on the hue circle; ten bins have ten names."""
    return _NAMES[round(position * len(_NAMES)) % len(_NAMES)]


Pattern = Callable[[Plane, Plane, float], Plane]

_PATTERNS: dict[FactorSet, tuple[Pattern, ...]] = {
    "study": (_plain, _stripes, _checks, _dots, _zigzag),
    "teacher": (_ramp, _rings, _lattice, _waves, _diamonds),
    "pretrain": (_glow, _bricks, _crosses, _bands, _spots),
}
# A pattern's name, which names of categories contain, is its function's.
PATTERNS = {key: {p.__name__[1:]: p for p in family} for key, family in _PATTERNS.items()}


def wheel_colour(position: float, saturation: float, value: float) -> tuple[float, float, float]:
    """RGB in 0..255 at a position 0..1 (wrapping) of the evened-out hue circle."""
    hue = float(np.interp(position % 1.0 * 12, np.arange(13), _WHEEL))
    r, g, b = hsv_to_rgb(hue, saturation, value)
    return 255 * r, 255 * g, 255 * b
