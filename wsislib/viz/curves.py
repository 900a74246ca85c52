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
    """One line of a plot.

    Attributes:
        name: for the legend.
        x: N positions.
        y: N values.
        spread: N standard deviations, drawn as a band or as bars; None where there is one seed.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    spread: Sequence[float] | None = None


def curves(
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    *,
    log_x: bool = False,
    dots: bool = False,
) -> Figure:
    """Return lines with their spread.

    Args:
        series: what to draw, at least one.
        x_label: with its unit.
        y_label: with its unit.
        log_x: logarithmic x axis.
        dots: mark each point and draw the spread as bars; for few points, as AP against cost.

    Raises:
        ValueError: nothing to draw, or a series whose x, y and spread differ in length.
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
        _tick_whole_numbers(axes, series)
    label_axes(axes, x_label, y_label, legend=len(series) > 1)
    return figure


def _tick_whole_numbers(axes: Axes, series: Sequence[Series]) -> None:
    """Where all positions are a few whole numbers, ticks at these and nowhere between."""
    places = sorted({x for one in series for x in one.x})
    if len(places) <= 8 and all(float(x).is_integer() for x in places):
        axes.set_xticks(places, [f"{x:,.0f}" for x in places])


def history_curves(
    history: pd.DataFrame | Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    *,
    x: str = "step",
    smooth: int = 1,
) -> Figure:
    """Return columns of a run's history against its steps.

    Args:
        history: as `history.csv` holds it, or its rows.
        columns: which to draw, as "loss_mask".
        x: the column on the x axis.
        smooth: each point is the mean of this many rows up to it.

    Raises:
        ValueError: a column is not there, or `smooth` is below 1.
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
