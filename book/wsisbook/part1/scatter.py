"""Points in panels side by side: gain against instances, quality against distance, weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from wsislib.viz.figure import PAGE_WIDTH, BookFigure, plain_axes
from wsislib.viz.palette import INK, PALE, colour, marker

Points = tuple[Sequence[float], Sequence[float]]


@dataclass(frozen=True)
class ScatterPanel:
    """One panel.

    Attributes:
        title: above it.
        groups: name -> (x, y) of its points; a group keeps its colour over all panels.
        x_label: with its unit.
        y_label: with its unit.
        level: a horizontal line, such as no gain; None draws none.
    """

    title: str
    groups: Mapping[str, Points]
    x_label: str
    y_label: str
    level: float | None = None


def scatter_panels(panels: Sequence[ScatterPanel], *, height: float = 3.0) -> Figure:
    """Return the panels side by side, with one legend for all.

    A panel without points says "not run".

    Args:
        panels: at least one.
        height: in inches.

    Raises:
        ValueError: no panel, or x and y of a group differ in length.
    """
    if not panels:
        raise ValueError("no panel to draw; give at least one")
    names = list(dict.fromkeys(name for panel in panels for name in panel.groups))
    for panel in panels:
        for name, (x, y) in panel.groups.items():
            if len(x) != len(y):
                raise ValueError(f"group {name!r}: {len(x)} x for {len(y)} y; give as many of each")
    figure = BookFigure(PAGE_WIDTH, height)
    grid = figure.subplots(1, len(panels), squeeze=False)
    for axes, panel in zip(grid[0], panels, strict=True):
        _draw(plain_axes(axes), panel, names)
    if len(names) > 1:
        handles = [
            grid[0, 0].scatter([], [], s=24, marker=marker(i), color=colour(i), label=name)
            for i, name in enumerate(names)
        ]
        figure.legend(handles=handles, loc="outside upper left", ncols=6, fontsize=8, frameon=False)
    return figure


def _draw(axes: Axes, panel: ScatterPanel, names: Sequence[str]) -> None:
    if panel.level is not None:
        axes.axhline(panel.level, color=PALE, linewidth=1.0)
    for name, (x, y) in panel.groups.items():
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
