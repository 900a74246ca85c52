"""Weights of categories and the two parts of a fused mask, as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from wsisbook.experiments.true_boxes import true_regions
from wsislib.data.sample import Detections, Label, LabelKind, Sample
from wsislib.data.world import World
from wsislib.data.world.textures import hue_position, wheel_colour
from wsislib.models.maskrcnn.mask_rcnn import MaskRCNN
from wsislib.viz.figure import PAGE_WIDTH, BookFigure, plain_axes
from wsislib.viz.overlay import image_array
from wsislib.viz.palette import INK, colour, rgb

MARKS = {
    "square": "s", "triangle": "^", "disc": "o", "heart": r"$\heartsuit$", "flower": "h",
    "gear": "8", "star": "*", "plus": "P",
}  # fmt: skip
SATURATION, VALUE = 0.85, 0.8  # dark enough for a white page


@dataclass(frozen=True)
class Looks:
    """Marker and colour "#RRGGBB" of every category."""

    markers: Sequence[str]
    tones: Sequence[str]


def world_looks(world: World) -> Looks:
    """The looks of a world's categories, as near to the drawn objects as a mark can be.

    Raises:
        ValueError: an outline that has no mark.
    """
    outlines = world.value_names()["outline"]
    unknown = sorted(set(outlines) - set(MARKS))
    if unknown:
        raise ValueError(f"outlines {unknown} have no mark in a plot; add them to `MARKS`")
    hues = max(world.table.levels[1], 1)
    tones = []
    for hue in world.table.values[:, 1].tolist():
        at = hue_position(hue, hues, world.hue_origin)
        red, green, blue = wheel_colour(at, SATURATION, VALUE)
        tones.append(f"#{round(red):02X}{round(green):02X}{round(blue):02X}")
    return Looks([MARKS[outlines[o]] for o in world.table.values[:, 0].tolist()], tones)


SIGNED = "PuOr"  # orange below zero, purple above; readable with any colour vision
Floats = NDArray[np.float64]


def weight_map(
    det: Tensor, seg: Tensor, names: Sequence[str], a: Sequence[int], split_at: int | None = None
) -> Figure:
    """The rows of w_det (C, D) beside those of w_seg (C, W) made of them; A above a line, B below.

    `split_at` is where the class weights end and the box weights begin, marked in w_det.
    """
    _demand_rows(names, det, seg)
    order = [*a, *sorted(set(range(len(names))) - set(a))]
    figure = BookFigure(PAGE_WIDTH, 0.9 + 0.17 * len(names))
    left, right = figure.subplots(1, 2, width_ratios=[2.2, 1])
    titles = r"$w_\mathrm{det}$", r"$w_\mathrm{seg} = T(w_\mathrm{det})$"
    for axes, rows, title in zip((left, right), (det, seg), titles, strict=True):
        values = _array(rows)[order]
        top = 3 * float(values.std()) or 1.0
        axes.imshow(values, cmap=SIGNED, vmin=-top, vmax=top, aspect="auto", interpolation="none")
        axes.axhline(len(a) - 0.5, color=INK, linewidth=1.5)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel(f"{values.shape[1]:,} weights", fontsize=8)
        axes.set(xticks=[], yticks=[])
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
    rows: Mapping[str, Tensor], names: Sequence[str], a: Sequence[int], looks: Looks
) -> Figure:
    """The two main directions of sets of rows, a point a category; `rows` is title -> (C, D).

    Categories of A are drawn full, the others hollow.
    """
    _demand_rows(names, *rows.values())
    figure = BookFigure(PAGE_WIDTH, 0.55 * PAGE_WIDTH * 2 / max(len(rows), 2))
    panels = figure.subplots(1, len(rows), squeeze=False)[0]
    for axes, (title, values) in zip(panels, rows.items(), strict=True):
        plain_axes(axes)
        points = main_plane(_array(values))
        for c, (x, y) in enumerate(points):
            tone = looks.tones[c]
            axes.scatter(x, y, s=60, marker=looks.markers[c], edgecolor=tone, linewidth=1.6,
                         facecolor=tone if c in a else "none")  # fmt: skip
            axes.annotate(names[c], (x, y), xytext=(5, 4), textcoords="offset points", fontsize=5.5)
        axes.margins(0.16)
        axes.set_title(title, fontsize=9)
        axes.set(xticklabels=[], yticklabels=[])
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
    """A panel a set of C values, a bar a category, those of A before those of B."""
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
        for place, side in ((len(a) / 2 - 0.5, "A"), ((len(a) + len(order)) / 2 - 0.5, "B")):
            axes.text(place, 0.97, side, transform=axes.get_xaxis_transform(), ha="center",
                      va="top", fontsize=9, color=INK)  # fmt: skip
    panels[0].set_ylabel(y_label, fontsize=8)
    panels[0].set_ylim(0, 1.15 * max([*(max(bars) for bars in values.values()), 1e-12]))
    return figure


def _array(rows: Tensor) -> Floats:
    return rows.detach().cpu().double().numpy()


def _demand_rows(names: Sequence[str], *rows: Tensor) -> None:
    for one in rows:
        if one.ndim != 2 or len(one) != len(names):
            raise ValueError(
                f"weights of shape {tuple(one.shape)} for {len(names)} categories; give one row "
                "for each, without one for background"
            )


@dataclass(frozen=True)
class MaskParts:
    """The masks of N boxes, and the two parts of each before their sum."""

    detections: Detections  # the masks as `predict` draws them
    fcn: Tensor  # (N, M, M) logits of the convolutional part, on the grid of the box
    mlp: Tensor  # (N, M, M) logits of the fully connected part; zeros without that branch


@torch.no_grad()
def parts_in_boxes(model: MaskRCNN, image: Tensor, boxes: Tensor, categories: Tensor) -> MaskParts:
    """Both parts of the masks that `model`, in evaluation mode, draws into given boxes.

    Learning to Segment Every Thing, section 3.4: the fully connected part should give the gist of
    an object and the convolutional one its detail. `image` is (3, H, W) float32 in 0..1, `boxes`
    (N, 4) xyxy in its pixels, `categories` (N,) int64 in 0..C-1; a box may be given several times
    under different categories, to see what the category alone changes. Scores are all 1.

    Raises:
        ValueError: the model is in training mode.
    """
    if model.training:
        raise ValueError("the model is in training mode; call model.eval() first")
    label = Label(LabelKind.BOX, categories, boxes=boxes.float())
    found = true_regions(model, [Sample(image, 0, label)])
    pooled = model.mask.pool(found.features, found.boxes, found.sizes)
    fcn, mlp = model.mask.logit_parts(pooled, found.labels[0])  # (N, M, M)
    (detections,) = model.paste_masks(found, fcn if mlp is None else fcn + mlp)
    return MaskParts(detections, fcn, torch.zeros_like(fcn) if mlp is None else mlp)


COLUMNS = ("the region", "ground truth", "FCN: detail", "MLP: gist", "sum above 0")


def parts_figure(
    image: Tensor, boxes: Tensor, fcn: Tensor, mlp: Tensor, truth: Tensor,
    row_titles: Sequence[str] = (),
) -> Figure:  # fmt: skip
    """A line a region: its pixels, its true mask, both parts, and their sum as a mask.

    `image` (3, H, W) as `overlay` takes it, `boxes` (N, 4) xyxy in pixels, one at least, `fcn` and
    `mlp` (N, M, M) logits, `truth` (N, H, W) bool, N row titles or none. Each part has a colour
    scale of its own, symmetric about 0, whose end is written below it.
    """
    count = len(boxes)
    if count == 0 or not len(fcn) == len(mlp) == len(truth) == count:
        raise ValueError(
            f"{count} boxes, {len(fcn)} and {len(mlp)} parts, {len(truth)} true masks; give one "
            "each for at least one region"
        )
    pixels, side = image_array(image), int(fcn.shape[-1])
    figure = BookFigure(PAGE_WIDTH, PAGE_WIDTH / len(COLUMNS) * count + 0.3)
    grid = figure.subplots(count, len(COLUMNS), squeeze=False)
    for row in range(count):
        box = boxes[row].tolist()
        detail, gist = (part[row].detach().cpu().double().numpy() for part in (fcn, mlp))
        inside = resample(truth[row].cpu().numpy(), box, side)
        grid[row, 0].imshow(resample(pixels, box, 4 * side), interpolation="nearest")
        _mask(grid[row, 1], inside)
        _logits(grid[row, 2], detail)
        _logits(grid[row, 3], gist)
        _mask(grid[row, 4], detail + gist > 0)
        for axes in grid[row]:
            axes.set(xticks=[], yticks=[])
        if row_titles:
            grid[row, 0].set_ylabel(row_titles[row], fontsize=7)
    for axes, title in zip(grid[0], COLUMNS, strict=True):
        axes.set_title(title, fontsize=8)
    return figure


def resample(picture: NDArray, box: Sequence[float], side: int) -> NDArray:
    """Cut a box xyxy out of (H, W, ...), read at the centres of side x side cells.

    Cells beyond the edge take the nearest pixel.
    """
    height, width = picture.shape[:2]
    steps = (np.arange(side) + 0.5) / side
    x = np.clip(box[0] + steps * (box[2] - box[0]), 0, width - 1e-6).astype(int)
    y = np.clip(box[1] + steps * (box[3] - box[1]), 0, height - 1e-6).astype(int)
    return picture[y[:, None], x[None, :]]  # (side, side, ...)


def _mask(axes: Axes, mask: NDArray[np.bool_]) -> None:
    shown = np.ones((*mask.shape, 3), dtype=np.float32)
    shown[mask] = rgb(colour(5))
    axes.imshow(shown, interpolation="nearest")


def _logits(axes: Axes, values: NDArray[np.float64]) -> None:
    top = float(np.abs(values).max()) or 1.0
    axes.imshow(values, cmap=SIGNED, vmin=-top, vmax=top, interpolation="nearest")
    axes.set_xlabel(f"±{top:.2g}", fontsize=6.5, labelpad=1.5, color=INK)
