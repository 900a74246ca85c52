"""How pseudo points come about on one scene, step by step, over the image they belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from wsisbook.experiments.wish_insight import cam_quality
from wsislib.data.geometry import masks_at_points, pairwise_mask_iou
from wsislib.data.sample import Candidates, Category, Sample
from wsislib.losses.cams import self_targets, tag_logits
from wsislib.models.sam.prompts import Prompts
from wsislib.models.wish.cam import tag_table
from wsislib.models.wish.pseudo_points import PeakRule, Peaks, find_peaks, mask_nms
from wsislib.models.wish.wish import WISH
from wsislib.viz.figure import PAGE_WIDTH, BookFigure
from wsislib.viz.overlay import draw_contour, image_array
from wsislib.viz.palette import INK, OKABE_ITO, rgb


@dataclass(frozen=True)
class PeakTrace:
    """P peaks of one scene and what became of them."""

    maps: Tensor  # (C, h, w) activation maps
    probabilities: Tensor  # (C,) of each category's tag
    heights: Mapping[int, Tensor]  # category in the scene -> (h, w) in 0..1, by its own maximum
    peaks: Peaks  # in the order of categories, the strongest first
    points: Tensor  # (P, 2) xy in pixels
    candidates: Candidates  # the teacher's, P entries
    masks: Tensor  # (P, H, W) bool, of each peak the candidate with the highest predicted IoU
    into: Tensor  # (P,) the peak that each was merged into: itself if kept, -1 if its mask is empty
    hits: Tensor  # (P,) bool, whether it lies on an object of its category

    @property
    def kept(self) -> Tensor:
        """(P,) bool: which became pseudo points."""
        return self.into == torch.arange(len(self.into))

    def frame(self, categories: Sequence[Category]) -> pd.DataFrame:
        """A line a peak."""
        merged = {-1: "nothing: its mask is empty"}
        merged |= {peak: f"part of peak {peak + 1}" for peak in self.into.tolist() if peak >= 0}
        rows = {
            "category": [categories[c].name for c in self.peaks.categories.tolist()],
            "height": self.peaks.strength.tolist(),
            "predicted IoU": self.candidates.quality.amax(1).tolist(),
            "on an object of it": ["yes" if hit else "no" for hit in self.hits.tolist()],
            "becomes": [
                "a pseudo point" if kept else merged[peak]
                for kept, peak in zip(self.kept.tolist(), self.into.tolist(), strict=True)
            ],
        }
        return pd.DataFrame(rows, index=pd.RangeIndex(1, len(self.into) + 1, name="peak"))


@torch.no_grad()
def trace_peaks(model: WISH, sample: Sample) -> PeakTrace:
    """Follow the peaks of a scene with masks, as `add_pseudo_labels` does in training."""
    label = sample.label
    assert label.masks is not None
    cams = model.activation_maps([sample.image])
    maps, tags = cams.of_image(0), label.categories.unique()
    peaks = find_peaks(maps, tags, model.peaks)
    points = cams.places(0, peaks.cells, (int(sample.image.shape[1]), int(sample.image.shape[2])))
    (answer,) = model.teacher.candidates([sample.image], [Prompts(points=points)])
    candidates = Candidates(answer.masks, answer.scores.clamp(0.0, 1.0))
    masks = candidates.masks[torch.arange(len(points)), candidates.quality.argmax(1)]
    kept = mask_nms(points, peaks.categories, lambda _: candidates, model.peaks.overlap)
    same = (points[:, None] == kept.points).all(-1)
    stays = (same & (peaks.categories[:, None] == kept.categories)).any(1)  # (P,)
    on = masks_at_points(label.masks, points).t() & (peaks.categories[:, None] == label.categories)
    relu = {category: maps[category].relu() for category in tags.tolist()}
    return PeakTrace(
        maps,
        tag_logits(cams.maps, cams.valid)[0].sigmoid(),
        {category: above / above.amax().clamp(min=1e-9) for category, above in relu.items()},
        peaks,
        points,
        candidates,
        masks,
        _merged_into(masks, peaks.categories, stays),
        on.any(1),
    )


def _merged_into(masks: Tensor, categories: Tensor, stays: Tensor) -> Tensor:
    """(P,) int64: which peak each was merged into, see `PeakTrace.into`."""
    numbers, flat = torch.arange(len(masks)), masks.flatten(1)
    if not len(masks):
        return numbers
    iou = pairwise_mask_iou(flat, flat)
    others = (categories[:, None] != categories) | ~stays[None]
    nearest = iou.masked_fill(others, -1.0).argmax(1)
    return torch.where(stays, numbers, torch.where(flat.any(1), nearest, -1))


def quality_by_rule(
    model: WISH, scenes: Sequence[Sample], rules: Mapping[str, PeakRule]
) -> pd.DataFrame:
    """`cam_quality` of scenes with masks under each rule, one line a rule."""
    before = model.peaks
    try:
        found = {}
        for name, rule in rules.items():
            model.peaks = rule
            found[name] = cam_quality(model, scenes)
    finally:
        model.peaks = before
    return pd.DataFrame.from_dict(found, orient="index")


@torch.no_grad()
def self_targets_trace(model: WISH, sample: Sample) -> dict[int, tuple[Tensor, Tensor | None]]:
    """What self-enhancement teaches the maps of a scene, by category in it.

    (h, w) in 0..1, the sigmoid of its map, and (h, w) in 0..1, its target; None where no query
    predicts the category.
    """
    images = model.segmenter.framing([sample.image], True)
    features = model.segmenter.extract_features(images)
    predictions = model.segmenter.decode(images, features)
    cams = model.cam_head(features, images.padding)
    tags = tag_table([sample], cams.maps.shape[1])
    last = (predictions.classes[-1], predictions.embeddings[-1], predictions.features)
    targets = self_targets(*last, tags, cams.size)
    shares = dict(zip(targets.category.tolist(), targets.share, strict=True))
    found: dict[int, tuple[Tensor, Tensor | None]] = {}
    for category in tags[0].nonzero().flatten().tolist():
        probability, share = cams.of_image(0)[category].sigmoid(), shares.get(category)
        height, width = probability.shape
        found[category] = (probability, share if share is None else share[:height, :width])
    return found


WARM, COLD = OKABE_ITO[0], OKABE_ITO[5]  # where a map is high; outlines
STRONGEST = 0.85  # opacity of a height of 1
FADED = 0.45  # how much of the image's colour is left below a map


@dataclass(frozen=True)
class Heat:
    """One image and what lies over it; what is None or empty is not drawn."""

    image: Tensor  # (3, H, W), float in 0..1 or uint8
    heights: NDArray[np.float32] | None = None  # (h, w) in 0..1, spread over the whole image
    outlines: NDArray[np.bool_] | None = None  # (K, H, W), drawn as lines
    points: NDArray[np.float32] | None = None  # (P, 2) xy in pixels: dots
    crosses: NDArray[np.float32] | None = None  # (P, 2) xy in pixels: crosses
    title: str = ""  # above the panel


def heat_grid(
    rows: Sequence[Sequence[Heat | None]], row_titles: Sequence[str] = (), columns: int = 0
) -> Figure:
    """Panels in rows; a row may be shorter than others, and None leaves its place free.

    There is room for `columns`, 0 being as many as the longest row has.

    Raises:
        ValueError: no panel, or row titles that do not fit.
    """
    columns = max([columns, *(len(row) for row in rows)], default=0)
    first = next((panel for row in rows for panel in row if panel is not None), None)
    if first is None or (row_titles and len(row_titles) != len(rows)):
        raise ValueError(f"{len(rows)} rows, {len(row_titles)} row titles; give a panel at least")
    side = PAGE_WIDTH / columns
    height = side * first.image.shape[1] / first.image.shape[2] + 0.2
    figure = BookFigure(PAGE_WIDTH, height * len(rows))
    figure.set_layout_engine("constrained", w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for r, row in enumerate(rows):
        for axes, panel in zip(grid[r], row, strict=False):
            if panel is not None:
                _draw_heat(axes, panel)
        if row_titles:
            grid[r, 0].text(
                -0.04, 0.5, row_titles[r], transform=grid[r, 0].transAxes, rotation=90,
                fontsize=7.5, ha="right", va="center",
            )  # fmt: skip
    return figure


def _draw_heat(axes: Axes, panel: Heat) -> None:
    pixels = image_array(panel.image)
    height, width = pixels.shape[:2]
    if panel.heights is not None:
        pixels = warmed(pixels, panel.heights)
    axes.imshow(pixels, extent=(0, width, height, 0), interpolation="nearest")
    axes.set(xlim=(0, width), ylim=(height, 0))
    for mask in () if panel.outlines is None else panel.outlines:
        draw_contour(axes, mask, COLD)
    for places, mark, tone, edge in (
        (panel.crosses, "X", INK, "white"),
        (panel.points, "o", "white", INK),
    ):
        if places is not None and len(places):
            x, y = np.asarray(places).T
            axes.scatter(x, y, s=26, c=tone, marker=mark, edgecolors=edge, linewidths=0.9, zorder=3)
    axes.set_title(panel.title, fontsize=7, pad=2)


def warmed(pixels: NDArray[np.float32], heights: NDArray[np.floating]) -> NDArray[np.float32]:
    """An image (H, W, 3) in 0..1 gone pale, with a map (h, w) over it: every cell a square.

    What of the map is outside 0..1 is cut.
    """
    height, width = pixels.shape[:2]
    rows = np.arange(height) * heights.shape[0] // height
    columns = np.arange(width) * heights.shape[1] // width
    share = STRONGEST * np.clip(heights, 0, 1)[rows][:, columns, None]  # (H, W, 1)
    grey = pixels.mean(axis=2, keepdims=True)
    pale = FADED * pixels + (1 - FADED) * grey
    return ((1 - share) * pale + share * rgb(WARM)).astype(np.float32)
