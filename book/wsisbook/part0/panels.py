"""Several small plots side by side with one legend, of lines or of points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from wsislib.viz.curves import Series
from wsislib.viz.figure import PAGE_WIDTH, BookFigure, plain_axes
from wsislib.viz.palette import INK, PALE, colour, line, marker

COLUMNS = 3


def panels(plots: Mapping[str, Sequence[Series]], x_label: str, *, dots: bool = False) -> Figure:
    """One plot from 0 for each title, with its lines; a name has one colour in all of them.

    NaN leaves a gap, a plot without lines says so, `dots` marks each point.

    Raises:
        ValueError: no plot.
    """
    if not plots:
        raise ValueError("no plot to draw; give at least one")
    names = list(dict.fromkeys(one.name for series in plots.values() for one in series))
    columns = min(COLUMNS, len(plots))
    rows = -(-len(plots) // columns)
    figure = BookFigure(PAGE_WIDTH, 1.9 * rows + 0.3)
    grid = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes in grid[len(plots) :]:
        axes.set_axis_off()
    looks: dict[str, dict[str, Any]] = {
        name: {"linestyle": line(i), "color": colour(i), "marker": marker(i) if dots else None}
        for i, name in enumerate(names)
    }
    for place, (title, series) in enumerate(plots.items()):
        axes = plain_axes(grid[place])
        axes.set_title(title, fontsize=8)
        for one in series:
            x, y = np.asarray(one.x, dtype=float), np.asarray(one.y, dtype=float)
            axes.plot(x, y, markersize=4, linewidth=1.3, **looks[one.name])
        if not series:
            axes.text(0.5, 0.5, "not logged", transform=axes.transAxes, ha="center", fontsize=8)
        highest = np.nanmax([0.0, *(y for one in series for y in one.y)])
        axes.set_ylim(0, 1.08 * highest or 1.0)
        if place >= len(plots) - columns:
            axes.set_xlabel(x_label, fontsize=8, color=INK)
    if len(names) > 1:
        lines = [grid[0].plot([], [], **looks[name])[0] for name in names]
        figure.legend(lines, names, fontsize=8, frameon=False, loc="outside upper left", ncols=4)
    return figure


@dataclass(frozen=True)
class ScatterPanel:
    """One panel of points; a panel without any says "not run"."""

    title: str
    groups: Mapping[str, tuple[Sequence[float], Sequence[float]]]  # name -> (x, y) of its points
    x_label: str  # with its unit
    y_label: str
    level: float | None = None  # a horizontal line, such as no gain


def scatter_panels(shown: Sequence[ScatterPanel]) -> Figure:
    """The panels side by side; a group keeps its colour over all of them.

    Raises:
        ValueError: no panel, or x and y of a group differ in length.
    """
    if not shown:
        raise ValueError("no panel to draw; give at least one")
    names = list(dict.fromkeys(name for panel in shown for name in panel.groups))
    figure = BookFigure(PAGE_WIDTH, 3.0)
    grid = figure.subplots(1, len(shown), squeeze=False)[0]
    for axes, panel in zip(grid, shown, strict=True):
        _scatter(plain_axes(axes), panel, names)
    if len(names) > 1:
        handles = [
            grid[0].scatter([], [], s=24, marker=marker(i), color=colour(i), label=name)
            for i, name in enumerate(names)
        ]
        figure.legend(handles=handles, loc="outside upper left", ncols=6, fontsize=8, frameon=False)
    return figure


def _scatter(axes: Axes, panel: ScatterPanel, names: Sequence[str]) -> None:
    if panel.level is not None:
        axes.axhline(panel.level, color=PALE, linewidth=1.0)
    for name, (x, y) in panel.groups.items():
        if len(x) != len(y):
            raise ValueError(f"group {name!r}: {len(x)} x for {len(y)} y; give as many of each")
        place = names.index(name)
        axes.scatter(x, y, s=24, marker=marker(place), color=colour(place), alpha=0.8, linewidths=0)
    if not any(len(x) for x, _ in panel.groups.values()):
        axes.text(0.5, 0.5, "not run", transform=axes.transAxes, ha="center", fontsize=9,
                  style="italic", color=INK)  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    axes.set_title(panel.title, fontsize=9, color=INK)
    axes.set_xlabel(panel.x_label, fontsize=9, color=INK)
    axes.set_ylabel(panel.y_label, fontsize=9, color=INK)
