"""Figures without hidden state, that show themselves in a notebook and save to the same bytes.

Nothing here goes through pyplot: no figure stays open, and no global setting changes what another
page shows.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from wsislib.atomic import atomic_write
from wsislib.viz.palette import INK, PALE

DOTS_PER_INCH = 144
PAGE_WIDTH = 7.2  # inches: the text column of the book


class BookFigure(Figure):
    """A matplotlib figure that a notebook shows without pyplot."""

    def __init__(self, width: float = PAGE_WIDTH, height: float = 3.0, **options: Any) -> None:
        super().__init__(
            figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained", **options
        )
        FigureCanvasAgg(self)

    def _repr_png_(self) -> bytes:
        return png_bytes(self)


def png_bytes(figure: Figure) -> bytes:
    """The figure as PNG; the same figure gives the same bytes (no date, no version inside)."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=figure.dpi, metadata={"Software": None})
    return buffer.getvalue()


def save_figure(figure: Figure, path: Path) -> Path:
    """Write the figure as PNG, wholly or not at all, and return the path, which ends in ".png"."""
    path = Path(path)
    if path.suffix != ".png":
        raise ValueError(f"{path}: figures are saved as PNG; end the name in .png")
    atomic_write(path, png_bytes(figure))
    return path


def plain_axes(axes: Axes) -> Axes:
    """Give axes the look of the book: no box, a pale grid, small text."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(PALE)
    axes.grid(visible=True, color=PALE, alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8, colors=INK)
    return axes
