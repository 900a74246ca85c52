"""Colours that readers with any colour vision can tell apart.

The eight colours of Okabe and Ito (Color Universal Design, 2008), without black, which is lost on
dark photographs, and in an order in which neighbours differ most.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

OKABE_ITO = (
    "#E69F00",  # orange
    "#56B4E9",  # sky blue
    "#D55E00",  # vermilion
    "#009E73",  # bluish green
    "#F0E442",  # yellow
    "#0072B2",  # blue
    "#CC79A7",  # reddish purple
)
INK = "#222222"  # text and axes
PALE = "#999999"  # what stands back: grid, published values
MARKERS = ("o", "s", "^", "D", "v", "P", "X")  # a second cue, so colour is never the only one
LINES = ("-", "--", "-.", ":")


def colour(index: int) -> str:
    """The colour of the `index`-th category or series, as "#RRGGBB"; the palette repeats."""
    return OKABE_ITO[index % len(OKABE_ITO)]


def marker(index: int) -> str:
    """The marker that goes with `colour(index)`."""
    return MARKERS[index % len(MARKERS)]


def line(index: int) -> str:
    """The line style of the `index`-th series; it changes when the colours repeat."""
    return LINES[index // len(OKABE_ITO) % len(LINES)]


def rgb(code: str) -> NDArray[np.float32]:
    """(3,) float32 in 0..1 of a colour "#RRGGBB"."""
    return np.array([int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)], dtype=np.float32)


def text_colour(background: str) -> str:
    """Black or white, whichever reads better on a background (by its luminance)."""
    luminance = float(rgb(background) @ np.array([0.299, 0.587, 0.114], dtype=np.float32))
    return "#000000" if luminance > 0.5 else "#FFFFFF"
