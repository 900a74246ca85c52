"""Before and after, category by category: every one of them is a point, the furthest are named."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from wsislib.viz.figure import PAGE_WIDTH, BookFigure, plain_axes
from wsislib.viz.palette import INK, PALE, colour


def before_after(
    panels: Mapping[str, pd.DataFrame], before: str, after: str, named: int = 3
) -> Figure | str:
    """Return one panel a set: a point a category, above the diagonal where it has gained.

    Args:
        panels: title -> one line a category by name, with the columns `before` and `after`;
            lines without both values are left out.
        before: column on the x axis.
        after: column on the y axis.
        named: how many of the largest gains, and of the largest losses, have their name written.

    Returns:
        "not run" where no line of any panel has both values.

    Raises:
        ValueError: a panel lacks a column.
    """
    shown = {}
    for title, frame in panels.items():
        missing = sorted({before, after} - set(frame.columns))
        if missing:
            raise ValueError(f"{title!r} has no column {missing}; it has {list(frame.columns)}")
        shown[title] = frame[[before, after]].astype(float).dropna()
    if all(frame.empty for frame in shown.values()):
        return "not run"
    figure = BookFigure(PAGE_WIDTH, 0.55 * PAGE_WIDTH * 2 / max(len(shown), 2))
    grid = figure.subplots(1, len(shown), squeeze=False, sharex=True, sharey=True)[0]
    top = max(float(frame.to_numpy().max(initial=1.0)) for frame in shown.values()) * 1.05
    for axes, (title, frame) in zip(grid, shown.items(), strict=True):
        plain_axes(axes)
        axes.plot([0, top], [0, top], color=PALE, linewidth=1, zorder=1)
        gains = (frame[after] - frame[before]).to_numpy()
        tones = [colour(5) if gain > 0 else colour(0) for gain in gains]
        axes.scatter(frame[before], frame[after], s=22, c=tones, alpha=0.85, zorder=2)
        for place in extremes(gains, named):
            x, y = frame.iloc[place]
            right = x > 0.6 * top  # the name would leave the panel
            axes.annotate(str(frame.index[place]), (x, y), xytext=(-4 if right else 4, 3),
                          ha="right" if right else "left", fontsize=5.5, color=INK,
                          textcoords="offset points")  # fmt: skip
        axes.set(xlim=(-0.02 * top, top), ylim=(-0.02 * top, top), aspect="equal")
        axes.set_title(title, fontsize=8)
        axes.set_xlabel(f"AP, {before}", fontsize=8)
    grid[0].set_ylabel(f"AP, {after}", fontsize=8)
    return figure


def extremes(gains: np.ndarray, count: int) -> list[int]:
    """Places of the `count` largest gains and of the `count` largest losses, each place once."""
    order = np.argsort(-gains, kind="stable")
    best = [int(place) for place in order[:count] if gains[place] > 0]
    worst = [int(place) for place in order[::-1][:count] if gains[place] < 0]
    return best + worst
