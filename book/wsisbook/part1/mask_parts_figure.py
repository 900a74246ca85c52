"""The two parts of a mask side by side: the detail, the gist, and what they add up to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from wsisbook.part1.weight_pictures import SIGNED
from wsislib.viz.figure import PAGE_WIDTH, BookFigure
from wsislib.viz.overlay import image_array
from wsislib.viz.palette import INK, colour, rgb

COLUMNS = ("the region", "truth", "FCN: detail", "MLP: gist", "sum above 0")


def parts_figure(
    image: Tensor,
    boxes: Tensor,
    fcn: Tensor,
    mlp: Tensor,
    truth: Tensor,
    row_titles: Sequence[str] = (),
) -> Figure:
    """Return one line a region: its pixels, its true mask, both parts, and their sum as a mask.

    Each part has a colour scale of its own, symmetric about 0, whose end is written below it.

    Args:
        image: (3, H, W) float in 0..1 or uint8.
        boxes: (N, 4) xyxy in pixels.
        fcn: (N, M, M) logits of the convolutional part.
        mlp: (N, M, M) logits of the fully connected part.
        truth: (N, H, W) bool, the true mask of each region's object.
        row_titles: N of them, or none.

    Raises:
        ValueError: there is no region, or the parts are not for these boxes.
    """
    count = len(boxes)
    if count == 0 or not len(fcn) == len(mlp) == len(truth) == count:
        raise ValueError(
            f"{count} boxes, {len(fcn)} and {len(mlp)} parts, {len(truth)} true masks; give one "
            "each for at least one region"
        )
    pixels, side = image_array(image), int(fcn.shape[-1])
    figure = BookFigure(PAGE_WIDTH, PAGE_WIDTH / len(COLUMNS) * count + 0.3)
    grid = figure.subplots(count, len(COLUMNS), squeeze=False)
    for row in range(count):
        box = boxes[row].tolist()
        detail, gist = (part[row].detach().cpu().double().numpy() for part in (fcn, mlp))
        inside = resample(truth[row].cpu().numpy(), box, side)
        grid[row, 0].imshow(resample(pixels, box, 4 * side), interpolation="nearest")
        _mask(grid[row, 1], inside)
        _logits(grid[row, 2], detail)
        _logits(grid[row, 3], gist)
        _mask(grid[row, 4], detail + gist > 0)
        for axes in grid[row]:
            axes.set_xticks([])
            axes.set_yticks([])
        if row_titles:
            grid[row, 0].set_ylabel(row_titles[row], fontsize=7)
    for axes, title in zip(grid[0], COLUMNS, strict=True):
        axes.set_title(title, fontsize=8)
    return figure


def resample(picture: NDArray, box: Sequence[float], side: int) -> NDArray:
    """Cut a box out of (H, W, ...) and read it at the centres of side x side cells.

    Args:
        picture: of any type; cells beyond its edge take the nearest pixel.
        box: xyxy in pixels.
        side: cells along each edge.
    """
    height, width = picture.shape[:2]
    steps = (np.arange(side) + 0.5) / side
    x = np.clip(box[0] + steps * (box[2] - box[0]), 0, width - 1e-6).astype(int)
    y = np.clip(box[1] + steps * (box[3] - box[1]), 0, height - 1e-6).astype(int)
    return picture[y[:, None], x[None, :]]  # (side, side, ...)


def _mask(axes: Axes, mask: NDArray[np.bool_]) -> None:
    shown = np.ones((*mask.shape, 3), dtype=np.float32)
    shown[mask] = rgb(colour(5))
    axes.imshow(shown, interpolation="nearest")


def _logits(axes: Axes, values: NDArray[np.float64]) -> None:
    top = float(np.abs(values).max()) or 1.0
    axes.imshow(values, cmap=SIGNED, vmin=-top, vmax=top, interpolation="nearest")
    axes.set_xlabel(f"±{top:.2g}", fontsize=6.5, labelpad=1.5, color=INK)
