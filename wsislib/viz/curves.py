"""Curves: lines with their spread, and the history of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from wsislib.viz.figure import PAGE_WIDTH, BookFigure, plain_axes
from wsislib.viz.palette import INK, colour, line, marker


@dataclass(frozen=True)
class Series:
    """One line of a plot: N positions, values and, drawn as a band or bars, standard deviations."""

    name: str  # for the legend
    x: Sequence[float]
    y: Sequence[float]
    spread: Sequence[float] | None = None  # None where there is one seed


def curves(
    series: Sequence[Series], x_label: str, y_label: str, *, log_x: bool = False, dots: bool = False
) -> Figure:
    """Return lines with their spread; labels have their units.

    With `dots`, each point is marked and the spread drawn as bars; for few points, as AP against
    cost. Raises ValueError without a series, or where x, y and spread differ in length.
    """
    if not series:
        raise ValueError("no series to draw; give at least one")
    figure = BookFigure(PAGE_WIDTH * 0.8, 3.2)
    axes = plain_axes(figure.subplots())
    for index, one in enumerate(series):
        lengths = {len(one.x), len(one.y), len(one.y if one.spread is None else one.spread)}
        if len(lengths) != 1:
            raise ValueError(f"series {one.name!r}: x, y and spread differ in length: {lengths}")
        _draw_series(axes, one, index, dots)
    if log_x:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    elif dots:
        places = sorted({x for one in series for x in one.x})
        if len(places) <= 8 and all(float(x).is_integer() for x in places):
            axes.set_xticks(places, [f"{x:,.0f}" for x in places])  # and nowhere between
    label_axes(axes, x_label, y_label, legend=len(series) > 1)
    return figure


def history_curves(
    history: pd.DataFrame | Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    *,
    x: str = "step",
    smooth: int = 1,
) -> Figure:
    """Return columns of a run's history (`history.csv` or its rows) against its column `x`.

    Each point is the mean of `smooth` rows up to it. Raises ValueError where a column is not there
    or `smooth` is below 1.
    """
    frame = pd.DataFrame(history)
    missing = sorted({x, *columns} - set(frame.columns))
    if missing:
        raise ValueError(f"the history has no column {missing}; it has {list(frame.columns)}")
    if smooth < 1:
        raise ValueError(f"smooth is {smooth}; it must be 1 or more")
    smoothed = frame[list(columns)].astype(float).rolling(smooth, min_periods=1).mean()
    steps = frame[x].astype(float).tolist()
    series = [Series(name, steps, smoothed[name].tolist()) for name in columns]
    return curves(series, x, "loss" if len(columns) > 1 else columns[0])


def _draw_series(axes: Axes, one: Series, index: int, dots: bool) -> None:
    tone = colour(index)
    x, y = np.asarray(one.x, dtype=float), np.asarray(one.y, dtype=float)
    spread = None if one.spread is None else np.asarray(one.spread, dtype=float)
    if dots:
        axes.errorbar(x, y, yerr=spread, color=tone, marker=marker(index), linestyle=line(index),
                      markersize=5, linewidth=1.4, capsize=2.5, label=one.name)  # fmt: skip
        return
    axes.plot(x, y, color=tone, linestyle=line(index), linewidth=1.4, label=one.name)
    if spread is not None:
        axes.fill_between(x, y - spread, y + spread, color=tone, alpha=0.2, linewidth=0)


def label_axes(axes: Axes, x_label: str, y_label: str, legend: bool) -> None:
    """Name the axes and, where asked for, put a legend above them."""
    axes.set_xlabel(x_label, fontsize=9, color=INK)
    axes.set_ylabel(y_label, fontsize=9, color=INK)
    if legend:
        axes.legend(
            fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=4
        )
