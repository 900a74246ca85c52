"""Numbers as pictures: training curves, AP against cost, and every seed of every row."""

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

ROOM = 2.0  # a cost axis spans at least its square
AMOUNTS = {"cost": "cost of the labels (tags of one image = 1)", "images": "labelled images"}


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
    _label(axes, x_label, y_label, legend=len(series) > 1)
    return figure


def _tick_whole_numbers(axes: Axes, series: Sequence[Series]) -> None:
    """Where all positions are a few whole numbers, ticks at these and nowhere between."""
    places = sorted({x for one in series for x in one.x})
    if len(places) <= 8 and all(float(x).is_integer() for x in places):
        axes.set_xticks(places, [f"{x:,.0f}" for x in places])


def ap_against_cost(
    points: pd.DataFrame, *, x: str = "cost", y_label: str = "mask AP", log_x: bool = True
) -> Figure:
    """Return AP against what the labels cost or how many images they are of, one line per method.

    Args:
        points: columns `name`, `ap`, the one that `x` names and, if there is one, `std`; one line
            per point.
        x: the column on the x axis: "cost" (tags of one image = 1) or "images" (labelled ones).
        y_label: what `ap` holds.
        log_x: logarithmic x axis.

    Raises:
        ValueError: a column is missing, or `x` is neither.
    """
    if x not in AMOUNTS:
        raise ValueError(f"x is {x!r}; it must be one of {sorted(AMOUNTS)}")
    missing = sorted({"name", x, "ap"} - set(points.columns))
    if missing:
        raise ValueError(f"points lack the columns {missing}")
    series = []
    for name, group in points.groupby("name", sort=False):
        ordered = group.sort_values(x)
        spread = ordered["std"].tolist() if "std" in ordered else None
        series.append(Series(str(name), ordered[x].tolist(), ordered["ap"].tolist(), spread))
    figure = curves(series, AMOUNTS[x], y_label, log_x=log_x, dots=True)
    amounts = [amount for one in series for amount in one.x]
    if log_x and amounts and max(amounts) < ROOM * min(amounts):
        # One budget: labels that differ by a rounding must not look far apart.
        figure.axes[0].set_xlim(min(amounts) / ROOM, max(amounts) * ROOM)
    return figure


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


def seed_dots(
    rows: Mapping[str, Mapping[str, Sequence[float]]], *, x_label: str = "mask AP"
) -> Figure:
    """Return every seed of every row as a dot, the mean as a bar: no spread is hidden.

    Args:
        rows: row name -> metric name -> one value per seed. A row without values is shown empty,
            with the words "not run".
        x_label: what the values are.

    Raises:
        ValueError: no rows, or no metric in any of them.
    """
    metrics = list(dict.fromkeys(metric for values in rows.values() for metric in values))
    if not metrics:
        raise ValueError("nothing to draw: no row has a metric")
    figure = BookFigure(PAGE_WIDTH * 0.8, 0.7 + 0.42 * len(rows))
    axes = plain_axes(figure.subplots())
    offsets = np.linspace(-0.16, 0.16, len(metrics)) if len(metrics) > 1 else np.zeros(1)
    for place, values in enumerate(rows.values()):
        for index, metric in enumerate(metrics):
            _draw_seeds(axes, place + offsets[index], list(values.get(metric, ())), index)
        if not any(len(values.get(metric, ())) for metric in metrics):
            axes.text(0.01, place, "not run", transform=axes.get_yaxis_transform(), fontsize=8,
                      va="center", style="italic", color=INK)  # fmt: skip
    for index, metric in enumerate(metrics):
        axes.scatter([], [], s=26, marker=marker(index), color=colour(index), label=metric)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    _label(axes, x_label, "", legend=False)
    if len(metrics) > 1:  # of the whole figure: long names of rows leave the axes little width
        handles, names = axes.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper left", ncols=4, fontsize=8, frameon=False)
    return figure


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


def _draw_seeds(axes: Axes, place: float, values: Sequence[float], index: int) -> None:
    if not values:
        return
    tone, mean = colour(index), float(np.mean(values))
    axes.scatter(values, [place] * len(values), s=26, marker=marker(index), color=tone, alpha=0.75)
    axes.plot([mean, mean], [place - 0.13, place + 0.13], color=INK, linewidth=1.6)


def _label(axes: Axes, x_label: str, y_label: str, legend: bool) -> None:
    axes.set_xlabel(x_label, fontsize=9, color=INK)
    axes.set_ylabel(y_label, fontsize=9, color=INK)
    if legend:
        axes.legend(
            fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=4
        )
