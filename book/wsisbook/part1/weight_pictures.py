"""Weights of categories as pictures: what a detector knows of each, and what is made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from wsisbook.part1.looks import Looks
from wsislib.viz.figure import PAGE_WIDTH, BookFigure, plain_axes
from wsislib.viz.palette import INK, colour

SIGNED = "PuOr"  # orange below zero, purple above; readable with any colour vision
Floats = NDArray[np.float64]


def weight_map(
    det: Tensor, seg: Tensor, names: Sequence[str], a: Sequence[int], split_at: int | None = None
) -> Figure:
    """Return the rows of w_det beside the rows of w_seg, those of A above those of B.

    Args:
        det: (C, D), what the detector knows of each category.
        seg: (C, W), the mask weights that are made of it.
        names: C of them.
        a: categories with masks; the others stand below the line.
        split_at: where the class weights end and the box weights begin, marked in w_det.
    """
    _demand_rows(names, det, seg)
    order = [*a, *sorted(set(range(len(names))) - set(a))]
    figure = BookFigure(PAGE_WIDTH, 0.9 + 0.17 * len(names))
    left, right = figure.subplots(1, 2, width_ratios=[2.2, 1])
    for axes, rows, title in (
        (left, det, r"$w_\mathrm{det}$"),
        (right, seg, r"$w_\mathrm{seg} = T(w_\mathrm{det})$"),
    ):
        values = _array(rows)[order]
        top = 3 * float(values.std()) or 1.0
        axes.imshow(values, cmap=SIGNED, vmin=-top, vmax=top, aspect="auto", interpolation="none")
        axes.axhline(len(a) - 0.5, color=INK, linewidth=1.5)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel(f"{values.shape[1]:,} weights", fontsize=8)
        axes.set_xticks([])
        axes.set_yticks([])
    if split_at is not None:
        left.axvline(split_at - 0.5, color=INK, linewidth=0.8)
        left.set_xlabel(
            f"{split_at:,} class weights, {det.shape[1] - split_at:,} box weights", fontsize=8
        )
    left.set_yticks(range(len(order)), [names[c] for c in order], fontsize=6.5)
    middle = (len(a) - 1) / 2, len(a) + (len(order) - len(a) - 1) / 2
    right.yaxis.tick_right()
    right.set_yticks(middle, ["A", "B"], fontsize=10)
    right.tick_params(right=False)
    return figure


def weight_planes(
    rows: Mapping[str, Tensor],
    names: Sequence[str],
    a: Sequence[int],
    looks: Looks,
) -> Figure:
    """Return the two main directions of several sets of rows, one point a category.

    Args:
        rows: title -> (C, D).
        names: C of them.
        a: categories with masks, drawn full; the others are hollow.
        looks: marker and colour of every category.
    """
    _demand_rows(names, *rows.values())
    figure = BookFigure(PAGE_WIDTH, 0.55 * PAGE_WIDTH * 2 / max(len(rows), 2))
    panels = figure.subplots(1, len(rows), squeeze=False)[0]
    for axes, (title, values) in zip(panels, rows.items(), strict=True):
        plain_axes(axes)
        points = main_plane(_array(values))
        for c, (x, y) in enumerate(points):
            tone = looks.tones[c]
            face = tone if c in a else "none"
            axes.scatter(x, y, s=60, marker=looks.markers[c], facecolor=face,
                         edgecolor=tone, linewidth=1.6)  # fmt: skip
            axes.annotate(names[c], (x, y), xytext=(5, 4), textcoords="offset points", fontsize=5.5)
        axes.margins(0.16)
        axes.set_title(title, fontsize=9)
        axes.set_xticklabels([])
        axes.set_yticklabels([])
    for side, face in (("A", INK), ("B", "none")):
        panels[0].scatter([], [], s=40, facecolor=face, edgecolor=INK, label=side)
    panels[0].legend(fontsize=8, frameon=False, loc="best")
    return figure


def main_plane(rows: Floats) -> Floats:
    """(C, D) -> (C, 2): places along the two directions in which the rows differ most.

    A direction points to the side where its largest place lies, so that the same rows always
    give the same picture.
    """
    centred = rows - rows.mean(axis=0)
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    points = np.zeros((len(rows), 2))
    points[:, : min(2, len(size))] = (left * size)[:, :2]  # (C, 2)
    furthest = points[np.abs(points).argmax(axis=0), np.arange(2)]
    return points * np.where(furthest < 0, -1.0, 1.0)


def category_bars(
    values: Mapping[str, Sequence[float]], names: Sequence[str], a: Sequence[int], y_label: str
) -> Figure:
    """Return one panel a set of values, one bar a category, those of A before those of B.

    Args:
        values: title -> C values.
        names: C of them.
        a: categories with masks.
        y_label: what the values are.
    """
    for title, bars in values.items():
        if len(bars) != len(names):
            raise ValueError(f"{title!r}: {len(bars)} values for {len(names)} categories")
    order = [*a, *sorted(set(range(len(names))) - set(a))]
    figure = BookFigure(PAGE_WIDTH, 2.6)
    panels = figure.subplots(1, len(values), squeeze=False, sharey=True)[0]
    for axes, (title, bars) in zip(panels, values.items(), strict=True):
        plain_axes(axes)
        tones = [colour(5 if c in a else 0) for c in order]
        axes.bar(range(len(order)), [bars[c] for c in order], color=tones)
        axes.axvline(len(a) - 0.5, color=INK, linewidth=0.8)
        axes.set_xticks(range(len(order)), [names[c] for c in order], rotation=90, fontsize=6.5)
        axes.set_title(title, fontsize=9)
        _sides(axes, len(a), len(order))
    panels[0].set_ylabel(y_label, fontsize=8)
    panels[0].set_ylim(0, 1.15 * max([*(max(bars) for bars in values.values()), 1e-12]))
    return figure


def _sides(axes: Axes, first: int, count: int) -> None:
    """Write A and B over their bars."""
    for place, side in ((first / 2 - 0.5, "A"), ((first + count) / 2 - 0.5, "B")):
        axes.text(place, 0.97, side, transform=axes.get_xaxis_transform(), ha="center", va="top",
                  fontsize=9, color=INK)  # fmt: skip


def _array(rows: Tensor) -> Floats:
    return rows.detach().cpu().double().numpy()


def _demand_rows(names: Sequence[str], *rows: Tensor) -> None:
    for one in rows:
        if one.ndim != 2 or len(one) != len(names):
            raise ValueError(
                f"weights of shape {tuple(one.shape)} for {len(names)} categories; give one row "
                "for each, without one for background"
            )
