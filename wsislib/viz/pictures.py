"""Grids of images with labels or predictions, and COCO results read back for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from torch import Tensor

from wsislib.data.rle import decode_segmentation
from wsislib.data.sample import Category, Detections, Label
from wsislib.viz.figure import PAGE_WIDTH, BookFigure
from wsislib.viz.overlay import Style, draw_overlay


@dataclass(frozen=True)
class Panel:
    """One image with what is drawn over it; None leaves the image bare."""

    image: Tensor  # (3, H, W), float in 0..1 or uint8
    shown: Label | Detections | None = None


def pictures(
    rows: Sequence[Sequence[Panel]],
    names: Sequence[str | Category],
    titles: Sequence[str] = (),
    row_titles: Sequence[str] = (),
    style: Style | None = None,
    width: float = PAGE_WIDTH,
) -> Figure:
    """Return a grid of panels, `width` inches wide: best the ground truth first, then the methods.

    `names` are those of the C categories; `titles` are one per column, or none, and `row_titles`
    one per row. Without a style, names are shown only where a row has three panels or fewer.
    Raises ValueError for no panel, rows of unequal length, or titles that do not fit the grid.
    """
    columns = len(rows[0]) if rows else 0
    if not columns or any(len(row) != columns for row in rows):
        lengths = [len(row) for row in rows]
        raise ValueError(f"rows of {lengths} panels; give every row the same number, at least one")
    for what, given, count in (("titles", titles, columns), ("row titles", row_titles, len(rows))):
        if given and len(given) != count:
            raise ValueError(f"{len(given)} {what} for {count}; give one each, or none")
    heights = [max(p.image.shape[1] / p.image.shape[2] for p in row) for row in rows]
    side = width / columns
    style = style or Style(show_names=columns <= 3)
    figure = BookFigure(width, side * sum(heights) + (0.25 if titles else 0))
    grid = figure.subplots(len(rows), columns, squeeze=False, height_ratios=heights)
    figure.set_layout_engine(
        ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    )
    for r, row in enumerate(rows):
        for c, panel in enumerate(row):
            draw_overlay(grid[r, c], panel.image, panel.shown, names, style)
            if r == 0 and titles:
                grid[r, c].set_title(titles[c], fontsize=8)
        if row_titles:
            axes, place = grid[r, 0], {"rotation": 90, "ha": "right", "va": "center"}
            axes.text(-0.03, 0.5, row_titles[r], transform=axes.transAxes, fontsize=8, **place)
    return figure


def read_detections(
    results: Sequence[Mapping[str, Any]],
    image_id: int,
    categories: Sequence[Category],
    height: int,
    width: int,
) -> Detections:
    """The detections of one image of height x width pixels in COCO results, best score first.

    Ids of `categories` become their indices. Raises ValueError where an entry of this image names
    a category that is not there, or its mask does not fit the image.
    """
    index = {category.id: i for i, category in enumerate(categories)}
    rows = sorted((r for r in results if r["image_id"] == image_id), key=lambda r: -r["score"])
    unknown = sorted({r["category_id"] for r in rows} - set(index))
    if unknown:
        raise ValueError(f"image {image_id}: results name categories {unknown}, not in the data")
    masks = [decode_segmentation(r["segmentation"], height, width) for r in rows]
    boxes = torch.tensor([r["bbox"] for r in rows], dtype=torch.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]  # xywh -> xyxy
    return Detections(
        boxes=boxes,
        scores=torch.tensor([r["score"] for r in rows], dtype=torch.float32),
        categories=torch.tensor([index[r["category_id"]] for r in rows], dtype=torch.int64),
        masks=torch.from_numpy(np.array(masks, dtype=bool).reshape(-1, height, width)),
    )
