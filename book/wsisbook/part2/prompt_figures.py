"""Pictures of prompt tokens: where they lie, how far they are from one another, what that costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, hsv_to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from wsisbook.part0.drawing import draw_box, draw_point
from wsislib.viz.figure import PAGE_WIDTH, BookFigure, plain_axes
from wsislib.viz.palette import INK, PALE, colour, line, marker

Floats = NDArray[np.float64]
Box = Sequence[float]
SEQUENTIAL = "viridis"


def place_colours(places: Floats, side: float) -> Floats:
    """(N, 3) RGB of places (N, 2) xy: hue says where from the middle, value how far."""
    offset = (places - side / 2) / (side / 2)  # -1..1
    hue = (np.arctan2(offset[:, 1], offset[:, 0]) / (2 * np.pi)) % 1.0
    far = np.clip(np.hypot(offset[:, 0], offset[:, 1]) / np.sqrt(2), 0, 1)
    return hsv_to_rgb(np.stack([hue, 0.25 + 0.75 * far, 0.95 - 0.25 * far], 1))


def space_figure(
    places: Floats, points: Floats, kinds: Floats, names: Sequence[str], shares: Floats, side: float
) -> Figure:
    """Tokens in the directions in which they differ most.

    `places` (N, 2) xy in pixels of points whose tokens have coordinates `points` (N, 2); `kinds`
    (M N, 2) are tokens of M kinds of prompts, one after the other, called `names`; `shares` of the
    variance of the points' tokens by direction, largest first; `side` of the image in pixels.
    """
    figure = BookFigure(PAGE_WIDTH, 2.2)
    legend, scatter, together, curve = figure.subplots(1, 4)
    tones = place_colours(places, side)
    legend.scatter(places[:, 0], places[:, 1], c=tones, s=7, marker="s")
    legend.set(xlim=(0, side), ylim=(side, 0), aspect="equal")
    _bare(legend, "places in the image")
    scatter.scatter(points[:, 0], points[:, 1], c=tones, s=7)
    _bare(scatter, "tokens of points")
    for index, (name, part) in enumerate(zip(names, np.split(kinds, len(names)), strict=True)):
        together.scatter(
            part[:, 0], part[:, 1], s=5, color=colour(index), marker=marker(index), label=name
        )
    _bare(together, "points and corners")
    together.legend(fontsize=6, frameon=False, loc="best", handletextpad=0.1, borderpad=0)
    plain_axes(curve)
    curve.plot(np.arange(1, len(shares) + 1), 100 * np.cumsum(shares), color=colour(5))
    curve.set_title("variance of points (%)", fontsize=8)
    curve.set_xlabel("directions", fontsize=8)
    curve.set_ylim(0, 102)
    return figure


def similarity_figure(far: Floats, cosine: Floats, expected: Floats, pixels: Floats) -> Figure:
    """Similarity of N pairs of tokens against their distance in pixels, and M expected ones."""
    figure = BookFigure(PAGE_WIDTH, 2.3)
    ax = plain_axes(figure.subplots())
    ax.scatter(far, cosine, s=3, color=colour(1), alpha=0.35, linewidth=0, label="pairs of points")
    ax.plot(pixels, expected, color=INK, linewidth=1.6, label="mean over random frequencies")
    ax.set_xlabel("distance in the image (px)", fontsize=8)
    ax.set_ylabel("cosine of their tokens", fontsize=8)
    ax.legend(fontsize=7, frameon=False)
    return figure


def maps_figure(
    rows: Mapping[str, Mapping[str, Floats]], side: float, marks: Mapping[str, Sequence[Box]]
) -> Figure:
    """Maps over the image, a line for each of `rows`; every map has its own scale, written below.

    `rows` is title -> title of the map -> (h, w) from 0; `marks` is title of the line -> places xy.
    """
    columns = max(len(row) for row in rows.values())
    wide = PAGE_WIDTH / columns
    figure = BookFigure(PAGE_WIDTH, (wide + 0.38) * len(rows))
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes, (title, row) in zip(grid, rows.items(), strict=True):
        for ax, (name, values) in zip(axes, row.items(), strict=True):
            ax.imshow(values, cmap=SEQUENTIAL, vmin=0, extent=(0, side, side, 0))
            for x, y in marks[title]:
                draw_point(ax, x, y, 3.5)
            _bare(ax, name)
            ax.set_xlabel(f"0 to {values.max():.2g}", fontsize=6.5, labelpad=2)
        axes[0].set_ylabel(title, fontsize=7.5)
    _colour_bar(figure, grid, "0", "largest")
    return figure


def corners_figure(maps: Sequence[Floats], boxes: Sequence[Box], side: float) -> Figure:
    """Similarity of a box's token to every place, with the box over each map."""
    figure = BookFigure(PAGE_WIDTH, PAGE_WIDTH / len(maps) + 0.1)
    grid = figure.subplots(1, len(maps), squeeze=False)[0]
    top = max(float(values.max()) for values in maps)
    for ax, values, box in zip(grid, maps, boxes, strict=True):
        ax.imshow(values, cmap=SEQUENTIAL, vmin=0, vmax=top, extent=(0, side, side, 0))
        draw_box(ax, box, "white", 1.3)
        _bare(ax, f"{box[2] - box[0]:.0f} x {box[3] - box[1]:.0f} px")
    _colour_bar(figure, grid, "0", f"{top:.2g}")
    return figure


def shapes_figure(
    panels: Mapping[str, Floats], sides: Sequence[float], boxes: Sequence[tuple[float, float]]
) -> Figure:
    """Distance of one box from boxes of other widths and heights; a line where IoU is one half.

    `panels` is title -> (S, S), rows are heights, columns widths of `sides`, in pixels;
    `boxes` has width and height of each panel's box.
    """
    figure = BookFigure(PAGE_WIDTH, PAGE_WIDTH / len(panels) + 0.45)
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    length = np.asarray(sides, dtype=float)
    for ax, (title, values), (width, height) in zip(grid, panels.items(), boxes, strict=True):
        ax.pcolormesh(length, length, values, cmap=SEQUENTIAL, vmin=0, shading="nearest")
        both = np.minimum.outer(length, height)[:, None] * np.minimum(length, width)  # (S, S)
        iou = both / (length[:, None] * length + width * height - both)
        ax.contour(length, length, iou, levels=[0.5], colors="white", linewidths=1.2)
        draw_point(ax, width, height, 4)
        ax.set_title(title, fontsize=7.5)
        ax.set_xlabel(f"width (px)\n0 to {values.max():.2g}", fontsize=7)
        ax.tick_params(labelsize=7)
        ax.set_aspect("equal")
    grid[0].set_ylabel("height (px)", fontsize=7)
    _colour_bar(figure, grid, "0", "largest")
    return figure


def pairs_figure(rows: Mapping[str, Sequence[tuple[Box, Box, str]]]) -> Figure:
    """Pairs of boxes xyxy with a line of text each, a line of panels for each of `rows`."""
    columns = max(len(row) for row in rows.values())
    wide = PAGE_WIDTH / columns
    figure = BookFigure(PAGE_WIDTH, (wide + 0.25) * len(rows))
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes, (title, row) in zip(grid, rows.items(), strict=True):
        for ax, (one, other, text) in zip(axes, row, strict=True):
            x0, y0, x1, y1 = (*map(min, one[:2], other[:2]), *map(max, one[2:], other[2:]))
            x, y, half = (x0 + x1) / 2, (y0 + y1) / 2, 0.7 * max(x1 - x0, y1 - y0)
            ax.set(xlim=(x - half, x + half), ylim=(y + half, y - half), aspect="equal")
            draw_box(ax, one, colour(5), 1.3)
            draw_box(ax, other, colour(2), 1.3, "--")
            _bare(ax, "", frame=True)
            ax.set_title(text, fontsize=6.5, pad=3)
        axes[0].set_ylabel(title, fontsize=8)
    return figure


def scale_figure(values: Mapping[str, Mapping[str, float]], stress: int, label: str) -> Figure:
    """Marks on a logarithmic scale, a panel for each of `values` (title -> term -> number above 0).

    The first `stress` terms are set apart by colour, shape and a line.
    """
    names = list(next(iter(values.values())))
    figure = BookFigure(PAGE_WIDTH, 0.7 + 0.17 * len(names))
    grid = figure.subplots(1, len(values), squeeze=False, sharey=True)[0]
    rows = np.arange(len(names))
    for ax, (title, bars) in zip(grid, values.items(), strict=True):
        plain_axes(ax)
        for part, tone, shape in ((rows[:stress], 2, "D"), (rows[stress:], 5, "o")):
            ax.plot([bars[names[i]] for i in part], part, shape, color=colour(tone), markersize=5)
        ax.axhline(stress - 0.5, color=PALE, linewidth=0.8, linestyle=line(7))
        ax.set_xscale("log")
        ax.set_title(title, fontsize=8)
        ax.set_xlabel(label, fontsize=8)
    grid[0].set_yticks(rows, names, fontsize=7)
    grid[0].invert_yaxis()
    return figure


def _colour_bar(figure: Figure, grid: NDArray[np.object_], low: str, high: str) -> None:
    """One bar for all panels; where each has a range of its own, the ends are words."""
    shades = ScalarMappable(Normalize(0, 1), SEQUENTIAL)
    bar = figure.colorbar(shades, ax=grid.ravel().tolist(), fraction=0.02, pad=0.01, ticks=[0, 1])
    bar.ax.set_yticklabels([low, high], fontsize=6.5)
    bar.ax.tick_params(length=0)
    bar.outline.set_visible(False)


def _bare(ax: Axes, title: str, frame: bool = False) -> None:
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(frame)
    ax.spines[:].set_color(PALE)
    ax.set_title(title, fontsize=8 if len(title) < 20 else 6.5, pad=3)
