"""What figures of several chapters draw: pictures without ticks, points and boxes on them."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from wsislib.viz.palette import INK


def show_picture(axes: Axes, picture: NDArray) -> None:
    """Show (H, W, 3) without ticks or frame; coordinates are pixels, pixel centres at +0.5."""
    height, width = picture.shape[:2]
    axes.imshow(picture, interpolation="nearest", extent=(0, width, height, 0))
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def draw_point(axes: Axes, x: float, y: float, size: float = 5) -> None:
    """A white dot with a dark edge."""
    axes.plot(x, y, "o", color="white", markeredgecolor=INK, markersize=size)


def draw_box(axes: Axes, box: Sequence[float], tone: str, width: float, style: str = "-") -> None:
    """Outline a box xyxy."""
    x0, y0, x1, y1 = (float(value) for value in box)
    axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=tone,
                             linewidth=width, linestyle=style))  # fmt: skip
