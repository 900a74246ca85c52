"""Time and memory of something as it grows, from a benchmark's rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, StrMethodFormatter

from wsislib.viz.figure import PAGE_WIDTH, BookFigure, plain_axes
from wsislib.viz.palette import INK, colour, line, marker

_PANELS = (("seconds_ratio", "time"), ("peak_ratio", "peak memory"))


def cost_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Return time and memory against the number of categories, as multiples of the smallest size.

    Args:
        rows: `subject`, `categories`, `seconds_ratio` and `peak_ratio` each, as
            benchmarks/bench_categories.py records them.

    Raises:
        ValueError: nothing to draw, or a row that lacks something.
    """
    if not rows:
        raise ValueError("no row to draw; give a benchmark's rows")
    wanted = ("subject", "categories", *(name for name, _ in _PANELS))
    for row in rows:
        missing = [name for name in wanted if name not in row]
        if missing:
            raise ValueError(f"row {row.get('subject')!r} lacks {', '.join(missing)}")
    subjects = list(dict.fromkeys(row["subject"] for row in rows))
    sizes = sorted({row["categories"] for row in rows})
    figure = BookFigure(PAGE_WIDTH, 3.6)
    panels = figure.subplots(1, len(_PANELS), sharey=True)
    for axes, (column, words) in zip(panels, _PANELS, strict=True):
        for index, subject in enumerate(subjects):
            own = sorted((r for r in rows if r["subject"] == subject), key=_size)
            axes.plot(
                [_size(r) for r in own], [r[column] for r in own], line(index),
                color=colour(index), marker=marker(index), markersize=4, label=subject,
            )  # fmt: skip
        _scales(plain_axes(axes), sizes)
        axes.set_title(words, fontsize=9, color=INK)
        axes.set_xlabel("categories", fontsize=8, color=INK)
    panels[0].set_ylabel(f"multiple of {sizes[0]} categories", fontsize=8, color=INK)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=7, frameon=False)
    return figure


def _scales(axes: Axes, sizes: Sequence[int]) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(FixedLocator(list(sizes)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _size(row: Mapping[str, Any]) -> int:
    return int(row["categories"])
