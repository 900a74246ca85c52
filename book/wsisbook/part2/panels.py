"""Several small plots side by side, with one legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from wsislib.viz.curves import Series
from wsislib.viz.figure import PAGE_WIDTH, BookFigure, plain_axes
from wsislib.viz.palette import INK, colour, line, marker


def panels(
    plots: Mapping[str, Sequence[Series]],
    x_label: str,
    *,
    dots: bool = False,
    columns: int = 3,
    from_zero: bool = True,
) -> Figure:
    """Return one plot for each title; a name has one colour in all of them.

    Args:
        plots: title -> lines. NaN leaves a gap; a plot without lines says so.
        x_label: of every plot.
        dots: mark each point.
        columns: plots in a row.
        from_zero: the y axes begin at 0.

    Raises:
        ValueError: no plot.
    """
    if not plots:
        raise ValueError("no plot to draw; give at least one")
    names = list(dict.fromkeys(one.name for series in plots.values() for one in series))
    columns = min(columns, len(plots))
    rows = -(-len(plots) // columns)
    figure = BookFigure(PAGE_WIDTH, 1.9 * rows + 0.3)
    grid = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes in grid[len(plots) :]:
        axes.set_axis_off()
    for place, (title, series) in enumerate(plots.items()):
        axes = plain_axes(grid[place])
        axes.set_title(title, fontsize=8)
        for one in series:
            index = names.index(one.name)
            axes.plot(
                np.asarray(one.x, dtype=float), np.asarray(one.y, dtype=float), line(index),
                color=colour(index), marker=marker(index) if dots else None, markersize=4,
                linewidth=1.3, label=one.name,
            )  # fmt: skip
        if not series:
            axes.text(0.5, 0.5, "not logged", transform=axes.transAxes, ha="center", fontsize=8)
        if from_zero:
            highest = np.nanmax([0.0, *(y for one in series for y in one.y)])
            axes.set_ylim(0, 1.08 * highest or 1.0)
        if place >= len(plots) - columns:
            axes.set_xlabel(x_label, fontsize=8, color=INK)
    if len(names) > 1:
        _legend(figure, names, dots)
    return figure


def _legend(figure: Figure, names: Sequence[str], dots: bool) -> None:
    axes = figure.axes[0]
    lines = [
        axes.plot([], [], line(i), color=colour(i), marker=marker(i) if dots else None)[0]
        for i in range(len(names))
    ]
    figure.legend(lines, names, fontsize=8, frameon=False, loc="outside upper left", ncols=4)
