"""Objects cut out of their scenes, one line each, for a look from near by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray
from torch import Tensor

from wsislib.viz.figure import PAGE_WIDTH, BookFigure
from wsislib.viz.overlay import draw_contour, image_array, paint
from wsislib.viz.palette import INK, colour

MARGIN = 0.7  # half a side of what is shown, in sides of the object's box


@dataclass(frozen=True)
class Crop:
    """What is shown of a scene in one panel.

    Attributes:
        image: (3, H, W) float in 0..1 or uint8.
        box: xyxy in pixels; the panel shows a square around it.
        masks: (H, W) bool each, in the colours of their places; none for bare pixels.
        words: below the panel, such as an overlap with the truth.
    """

    image: Tensor
    box: Sequence[float]
    masks: Sequence[NDArray[np.bool_]] = ()
    words: str = ""


def crop_grid(
    rows: Sequence[Sequence[Crop]],
    titles: Sequence[str] = (),
    row_titles: Sequence[str] = (),
    width: float = PAGE_WIDTH,
) -> Figure:
    """Return a grid of cut-out panels, one line of the grid for each row given.

    Args:
        rows: equally many panels in each.
        titles: one per column, or none.
        row_titles: one per row, or none.
        width: inches.

    Raises:
        ValueError: no panel, or rows of unequal length.
    """
    columns = len(rows[0]) if rows else 0
    if not columns or any(len(row) != columns for row in rows):
        lengths = [len(row) for row in rows]
        raise ValueError(f"rows of {lengths} panels; give every row the same number, at least one")
    worded = any(crop.words for row in rows for crop in row)
    side = width / columns
    figure = BookFigure(width, (side + (0.14 if worded else 0)) * len(rows) + 0.25)
    figure.set_layout_engine(
        ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    )
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for r, row in enumerate(rows):
        for c, crop in enumerate(row):
            axes = grid[r, c]
            pixels, tones = image_array(crop.image), [colour(5), colour(0)]
            tones = [tones[place % 2] for place in range(len(crop.masks))]
            if crop.masks:
                pixels = paint(pixels, np.stack(crop.masks), tones, 0.45)
            axes.imshow(pixels, extent=(0, pixels.shape[1], pixels.shape[0], 0))
            for mask, tone in zip(crop.masks, tones, strict=True):
                draw_contour(axes, mask, tone)
            left, top, right, bottom = window(crop.box, pixels.shape[1], pixels.shape[0])
            axes.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[])
            axes.set_xlabel(crop.words, fontsize=7, labelpad=1.5, color=INK)
            if r == 0 and titles:
                axes.set_title(titles[c], fontsize=8)
        if row_titles:
            grid[r, 0].set_ylabel(row_titles[r], fontsize=7)
    return figure


def window(box: Sequence[float], width: int, height: int) -> tuple[float, float, float, float]:
    """A square around a box with some room, xyxy, moved inside the image where it can be."""
    half = min(MARGIN * max(box[2] - box[0], box[3] - box[1]), min(width, height) / 2)
    x = min(max((box[0] + box[2]) / 2, half), width - half)
    y = min(max((box[1] + box[3]) / 2, half), height - half)
    return x - half, y - half, x + half, y + half
