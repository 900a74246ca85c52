"""Many small pictures on a page: single objects with the masks that several models give them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

from wsislib.viz.figure import PAGE_WIDTH, BookFigure
from wsislib.viz.palette import INK

NAME_HEIGHT = 0.13  # inches for a line of text above a row
_TRUTH = "#FFFFFF"


@dataclass(frozen=True)
class Tile:
    """One object, cut out of its image.

    Attributes:
        name: of its category.
        pixels: (h, w, 3) float in 0..1.
        truth: (h, w) bool.
        masks: one (h, w) bool a model, in the order of the titles.
        overlaps: IoU of each mask with the truth, 0..1.
    """

    name: str
    pixels: NDArray[np.float32]
    truth: NDArray[np.bool_]
    masks: tuple[NDArray[np.bool_], ...]
    overlaps: tuple[float, ...]


def cut(
    pixels: NDArray[np.float32], box: Sequence[float], margin: float = 0.25
) -> tuple[slice, slice]:
    """The square around a box, `margin` of its longer side larger on each side, in the image.

    Args:
        pixels: (H, W, 3).
        box: x, y, width, height in pixels.
        margin: share of the longer side.

    Returns:
        Slices of rows and of columns.
    """
    x, y, w, h = box
    side = min(round(max(w, h) * (1 + 2 * margin)), *pixels.shape[:2])
    left = min(max(round(x + w / 2 - side / 2), 0), pixels.shape[1] - side)
    top = min(max(round(y + h / 2 - side / 2), 0), pixels.shape[0] - side)
    return slice(top, top + side), slice(left, left + side)


def gallery(
    tiles: Sequence[Tile], titles: Sequence[str], across: int = 3, width: float = PAGE_WIDTH
) -> Figure:
    """Return the tiles in rows: for each the bare object and its mask by every model.

    The truth is a white line; a mask is what is left in colour. Under it stands its IoU with the
    truth, in percent.

    Args:
        tiles: at least one.
        titles: of the models.
        across: tiles in a row.
        width: inches.

    Raises:
        ValueError: no tile, or one with another number of masks than there are titles.
    """
    if not tiles:
        raise ValueError("no tile to draw; give at least one")
    for tile in tiles:
        if not len(tile.masks) == len(tile.overlaps) == len(titles):
            raise ValueError(
                f"tile {tile.name!r}: {len(tile.masks)} masks and {len(tile.overlaps)} overlaps "
                f"for {len(titles)} titles; give one each"
            )
    panels = 1 + len(titles)
    rows = -(-len(tiles) // across)
    side = width / (across * panels + 0.3 * (across - 1))
    figure = BookFigure(width, rows * (side + 1.9 * NAME_HEIGHT) + NAME_HEIGHT)
    figure.set_layout_engine(ConstrainedLayoutEngine(w_pad=0.01, h_pad=0.01, wspace=0, hspace=0))
    ratios = ([1.0] * panels + [0.3]) * across
    grid = figure.subplots(rows, len(ratios) - 1, squeeze=False, width_ratios=ratios[:-1])
    for axes in grid.flat:
        axes.set_axis_off()
    for number, tile in enumerate(tiles):
        row, column = divmod(number, across)
        first = column * (panels + 1)
        _draw(list(grid[row, first : first + panels]), tile, titles if row == 0 else ())
    return figure


def _draw(axes: Sequence[Axes], tile: Tile, titles: Sequence[str]) -> None:
    """One tile into its panels; `titles` above those of the first row."""
    axes[0].imshow(tile.pixels, interpolation="nearest")
    axes[0].set_title(_lines(tile.name), fontsize=4.5, color=INK, loc="left", pad=2)
    _outline(axes[0], tile.truth)
    for place, mask in enumerate(tile.masks):
        panel = axes[place + 1]
        panel.imshow(fade(tile.pixels, mask), interpolation="nearest")
        _outline(panel, tile.truth)
        panel.text(
            0.5, -0.02, f"{100 * tile.overlaps[place]:.0f}", transform=panel.transAxes,
            ha="center", va="top", fontsize=5, color=INK,
        )  # fmt: skip
        if titles:
            panel.set_title(titles[place], fontsize=5.5, color=INK, pad=2)


def fade(pixels: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """`pixels` (h, w, 3) in 0..1 with all that is outside `mask` (h, w) in dark grey."""
    grey = 0.4 * pixels.mean(axis=2, keepdims=True).repeat(3, axis=2)
    return np.where(mask[..., None], pixels, grey).astype(np.float32)


def _lines(name: str) -> str:
    """A name on two lines where it has a comma."""
    first, comma, rest = name.partition(", ")
    return f"{first}\n{rest}" if comma else first


def _outline(axes: Axes, mask: NDArray[np.bool_]) -> None:
    if mask.any():
        axes.contour(mask.astype(np.float32), levels=[0.5], colors=[_TRUTH], linewidths=0.7)
