"""Activation maps over the image they belong to, with outlines and points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray
from torch import Tensor

from wsislib.viz.figure import PAGE_WIDTH, BookFigure
from wsislib.viz.overlay import draw_contour, image_array
from wsislib.viz.palette import INK, OKABE_ITO, rgb

WARM, COLD = OKABE_ITO[0], OKABE_ITO[5]  # where a map is high; outlines
STRONGEST = 0.85  # opacity of a height of 1
FADED = 0.45  # how much of the image's colour is left below a map


@dataclass(frozen=True)
class Heat:
    """One image and what lies over it; what is None or empty is not drawn.

    Attributes:
        image: (3, H, W), float in 0..1 or uint8.
        heights: (h, w) in 0..1, spread over the whole image.
        outlines: (K, H, W) bool, drawn as lines.
        points: (P, 2) xy in pixels: dots.
        crosses: (P, 2) xy in pixels: crosses.
        title: above the panel.
    """

    image: Tensor
    heights: NDArray[np.float32] | None = None
    outlines: NDArray[np.bool_] | None = None
    points: NDArray[np.float32] | None = None
    crosses: NDArray[np.float32] | None = None
    title: str = ""


def heat_grid(
    rows: Sequence[Sequence[Heat | None]], row_titles: Sequence[str] = (), columns: int = 0
) -> Figure:
    """Return panels in rows; a row may be shorter than others, and None leaves its place free.

    Args:
        rows: at least one panel in all.
        row_titles: one per row, or none.
        columns: how many there is room for; 0 is as many as the longest row has.

    Raises:
        ValueError: no panel, or row titles that do not fit.
    """
    columns = max([columns, *(len(row) for row in rows)], default=0)
    first = next((panel for row in rows for panel in row if panel is not None), None)
    if first is None or (row_titles and len(row_titles) != len(rows)):
        raise ValueError(f"{len(rows)} rows, {len(row_titles)} row titles, and a panel is wanted")
    side = PAGE_WIDTH / columns
    height = side * first.image.shape[1] / first.image.shape[2] + 0.2
    figure = BookFigure(PAGE_WIDTH, height * len(rows))
    figure.set_layout_engine(
        ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    )
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for r, row in enumerate(rows):
        for c in range(columns):
            panel = row[c] if c < len(row) else None
            if panel is None:
                grid[r, c].set_axis_off()
            else:
                draw_heat(grid[r, c], panel)
        if row_titles:
            grid[r, 0].text(
                -0.04, 0.5, row_titles[r], transform=grid[r, 0].transAxes, rotation=90,
                fontsize=7.5, ha="right", va="center",
            )  # fmt: skip
    return figure


def draw_heat(axes: Axes, panel: Heat) -> Axes:
    """Draw one panel into axes, whose coordinates become pixels of the image."""
    pixels = image_array(panel.image)
    height, width = pixels.shape[:2]
    if panel.heights is not None:
        pixels = warmed(pixels, panel.heights)
    axes.imshow(pixels, extent=(0, width, height, 0), interpolation="nearest")
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_axis_off()
    if panel.outlines is not None:
        for mask in panel.outlines:
            draw_contour(axes, mask, COLD)
    for places, mark in ((panel.crosses, "X"), (panel.points, "o")):
        if places is not None and len(places):
            x, y = np.asarray(places).T
            tone = "white" if mark == "o" else INK
            edge = INK if mark == "o" else "white"
            axes.scatter(x, y, s=26, c=tone, marker=mark, edgecolors=edge, linewidths=0.9, zorder=3)
    axes.set_title(panel.title, fontsize=7, pad=2)
    return axes


def warmed(pixels: NDArray[np.float32], heights: NDArray[np.floating]) -> NDArray[np.float32]:
    """An image gone pale, with a map over it: every cell a square of its own.

    Args:
        pixels: (H, W, 3) in 0..1.
        heights: (h, w); what is outside 0..1 is cut.
    """
    height, width = pixels.shape[:2]
    rows = np.arange(height) * heights.shape[0] // height
    columns = np.arange(width) * heights.shape[1] // width
    share = STRONGEST * np.clip(heights, 0, 1)[rows][:, columns, None]  # (H, W, 1)
    grey = pixels.mean(axis=2, keepdims=True)
    pale = FADED * pixels + (1 - FADED) * grey
    return ((1 - share) * pale + share * rgb(WARM)).astype(np.float32)
