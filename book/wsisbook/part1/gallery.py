"""Objects of categories without masks, before and after transfer: points, crops, cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from wsisbook.experiments.head_objects import Case, Pair
from wsislib.data.sample import Dataset
from wsislib.viz.figure import PAGE_WIDTH, BookFigure, plain_axes
from wsislib.viz.overlay import draw_contour, image_array, paint
from wsislib.viz.palette import INK, PALE, colour


def before_after(
    panels: Mapping[str, pd.DataFrame], before: str, after: str, named: int = 3
) -> Figure | str:
    """One panel a set of categories: a point each, above the diagonal where it has gained.

    `panels` is title -> a line a category with the columns `before` (x) and `after` (y); lines
    without both values are left out. The `named` largest gains and losses have their name written.
    "not run" where no line of any panel has both values.
    """
    columns = [before, after]
    shown = {title: frame[columns].astype(float).dropna() for title, frame in panels.items()}
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


MARGIN = 0.7  # half a side of what is shown, in sides of the object's box


@dataclass(frozen=True)
class Crop:
    """What is shown of a scene in one panel."""

    image: Tensor  # (3, H, W) float in 0..1 or uint8
    box: Sequence[float]  # xyxy in pixels; the panel shows a square around it
    masks: Sequence[NDArray[np.bool_]] = ()  # (H, W) each, in the colours of their places
    text: str = ""  # below the panel, such as an overlap with the truth


def crop_grid(
    rows: Sequence[Sequence[Crop]], titles: Sequence[str] = (), row_titles: Sequence[str] = ()
) -> Figure:
    """A grid of cut-out panels, one line for each of `rows`; one title a column and a row, or none.

    Raises:
        ValueError: no panel, or rows of unequal length.
    """
    columns = len(rows[0]) if rows else 0
    if not columns or any(len(row) != columns for row in rows):
        lengths = [len(row) for row in rows]
        raise ValueError(f"rows of {lengths} panels; give every row the same number, at least one")
    side = PAGE_WIDTH / columns
    below = 0.14 if any(crop.text for row in rows for crop in row) else 0
    figure = BookFigure(PAGE_WIDTH, (side + below) * len(rows) + 0.25)
    figure.set_layout_engine("constrained", w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for r, row in enumerate(rows):
        for c, crop in enumerate(row):
            axes = grid[r, c]
            pixels, tones = image_array(crop.image), [colour(5), colour(0)]
            tones = [tones[place % 2] for place in range(len(crop.masks))]
            if crop.masks:
                pixels = paint(pixels, np.stack(crop.masks), tones, 0.45)
            axes.imshow(pixels, extent=(0, pixels.shape[1], pixels.shape[0], 0))
            for mask, tone in zip(crop.masks, tones, strict=True):
                draw_contour(axes, mask, tone)
            left, top, right, bottom = window(crop.box, pixels.shape[1], pixels.shape[0])
            axes.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[])
            axes.set_xlabel(crop.text, fontsize=7, labelpad=1.5, color=INK)
            if r == 0 and titles:
                axes.set_title(titles[c], fontsize=8)
        if row_titles:
            grid[r, 0].set_ylabel(row_titles[r], fontsize=7)
    return figure


def window(box: Sequence[float], width: int, height: int) -> tuple[float, float, float, float]:
    """A square around a box with some room, xyxy, moved inside the image where it can be."""
    half = min(MARGIN * max(box[2] - box[0], box[3] - box[1]), min(width, height) / 2)
    x = min(max((box[0] + box[2]) / 2, half), width - half)
    y = min(max((box[1] + box[3]) / 2, half), height - half)
    return x - half, y - half, x + half, y + half


def case_figure(cases: Sequence[Case], truth: Dataset, heads: Mapping[str, str]) -> Figure | str:
    """A line a case: the scene, the truth, each head's mask with its IoU; `heads` is title -> head.

    "no case" where there are none.
    """
    if not cases:
        return "no case"
    rows = []
    for case in cases:
        image = _image(truth, case)
        row = [Crop(image, case.box), Crop(image, case.box, [case.truth])]
        row += [
            Crop(image, case.box, [case.masks[head]], f"IoU {case.iou(head):.2f}")
            for head in heads.values()
        ]
        rows.append(row)
    names = [f"{truth.categories[case.category].name}\nseed {case.seed}" for case in cases]
    return crop_grid(rows, ["scene", "ground truth", *heads], names)


def pair_figure(pairs: Sequence[Pair], truth: Dataset, heads: Mapping[str, str]) -> Figure | str:
    """A line a pair: the scene, both true masks, both masks of each head and their IoU.

    `heads` is title -> head; "no case" where there are no pairs.
    """
    if not pairs:
        return "no case"
    rows, names = [], []
    for pair in pairs:
        image, two = _image(truth, pair.first), (pair.first, pair.second)
        low, high = (f([case.box for case in two], axis=0) for f in (np.min, np.max))
        box = [*low[:2], *high[2:]]  # around both
        row = [Crop(image, box), Crop(image, box, [case.truth for case in two])]
        for head in heads.values():
            masks = [case.masks[head] for case in two]
            row.append(Crop(image, box, masks, f"overlap {pair.alike(head):.0%}"))
        rows.append(row)
        names.append("\n".join(truth.categories[case.category].name for case in two))
    return crop_grid(rows, ["scene", "ground truth", *heads], names)


def _image(truth: Dataset, case: Case) -> Tensor:
    return truth[truth.image_ids.index(case.image_id)].image
