"""Tables as pictures: every seed of every row, and AP against what the labels cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from wsislib.viz.curves import Series, curves, label_axes
from wsislib.viz.figure import PAGE_WIDTH, BookFigure, plain_axes
from wsislib.viz.palette import INK, colour, marker

ROOM = 2.0  # a cost axis spans at least its square
AMOUNTS = {"cost": "cost of the labels (tags of one image = 1)", "images": "labelled images"}


def ap_against_cost(
    points: pd.DataFrame, *, x: str = "cost", y_label: str = "mask AP", log_x: bool = True
) -> Figure:
    """Return AP against what the labels cost or how many images they are of, one line per method.

    `points` has a line per point with the columns `name`, `ap`, the one that `x` names ("cost" or
    "images") and, if there is one, `std`. Raises ValueError where a column is missing.
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


def seed_dots(
    rows: Mapping[str, Mapping[str, Sequence[float]]], *, x_label: str = "mask AP"
) -> Figure:
    """Return every seed of every row as a dot, the mean as a bar: no spread is hidden.

    `rows` is row name -> metric name -> one value per seed. A row without values is shown empty,
    with the words "not run". Raises ValueError where no row has a metric.
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
    label_axes(axes, x_label, "", legend=False)
    if len(metrics) > 1:  # of the whole figure: long names of rows leave the axes little width
        handles, names = axes.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper left", ncols=4, fontsize=8, frameon=False)
    return figure


def _draw_seeds(axes: Axes, place: float, values: Sequence[float], index: int) -> None:
    if not values:
        return
    tone, mean = colour(index), float(np.mean(values))
    axes.scatter(values, [place] * len(values), s=26, marker=marker(index), color=tone, alpha=0.75)
    axes.plot([mean, mean], [place - 0.13, place + 0.13], color=INK, linewidth=1.6)
