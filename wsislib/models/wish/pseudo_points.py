"""From tags to points: peaks of activation maps, merged where the teacher sees one object.

WISH (Kweon and Yoon 2025; equation 20 of the public summary): local maxima of the map of each
category in the image, those of low confidence dropped, become pseudo points that are used like
annotated ones. Numbers as in the one public re-implementation: 3 x 3 maxima above 0.3 of the map's
own maximum, at most 32 a category. Peaks of one category whose masks overlap are one object's;
peaks of different categories are not merged, because two objects may share a region. Ours is
`exclusive`: maps of similar categories rise on each other's objects, but a cell shows one of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from wsislib.data.sample import Candidates


@dataclass(frozen=True)
class PeakRule:
    """What a peak is.

    Attributes:
        threshold: of the activation, as a share of the largest of its category in the image.
        window: side of the square in which a peak is the largest, cells; odd.
        top_k: peaks a category and image, the strongest.
        overlap: peaks of one category whose masks have a larger IoU are merged.
        exclusive: a peak counts only where no other category of the image has a higher map, each
            as a share of its largest. The largest peak of a category always does.
    """

    threshold: float = 0.3
    window: int = 3
    top_k: int = 32
    overlap: float = 0.5
    exclusive: bool = True

    def __post_init__(self) -> None:
        if not (0 < self.threshold <= 1 and 0 <= self.overlap <= 1):
            raise ValueError(
                f"peaks: threshold {self.threshold} and overlap {self.overlap} lie in 0..1"
            )
        if self.window < 1 or self.window % 2 == 0 or self.top_k < 1:
            raise ValueError(f"peaks: window {self.window} is odd, top_k {self.top_k} at least 1")


@dataclass(frozen=True)
class Peaks:
    """P peaks of one image, by category as asked for, the strongest first.

    Attributes:
        categories: (P,) int64.
        cells: (P, 2) int64 row and column.
        strength: (P,) float32 in `threshold`..1.
    """

    categories: Tensor
    cells: Tensor
    strength: Tensor

    def __len__(self) -> int:
        return int(self.categories.shape[0])


@torch.no_grad()
def find_peaks(maps: Tensor, categories: Tensor, rule: PeakRule) -> Peaks:
    """Peaks of the categories that an image holds; none of one whose map is nowhere above 0.

    Args:
        maps: (C, h, w) float32 activation maps of one image, before any ReLU.
        categories: (T,) int64, each once.
        rule: what a peak is. Cells of a plateau are all peaks.
    """
    heights = maps[categories].relu()  # (T, h, w)
    # By its own maximum: maps differ in scale, and every tag names at least one object.
    largest = heights.flatten(1).amax(1)[:, None, None]
    heights = heights / torch.where(largest > 0, largest, 1.0)
    around = max_pool2d(heights[:, None], rule.window, 1, rule.window // 2)[:, 0]
    is_peak = (heights == around) & (heights >= rule.threshold)
    if rule.exclusive and len(heights):
        is_peak &= heights >= heights.amax(0)  # at a category's maximum both are 1: it stays
    strength = torch.where(is_peak, heights, 0.0).flatten(1)  # (T, h w)
    strength, cell = strength.sort(dim=1, descending=True, stable=True)
    strength, cell = strength[:, : rule.top_k], cell[:, : rule.top_k]
    row, rank = (strength > 0).nonzero(as_tuple=True)
    cell, width = cell[row, rank], maps.shape[-1]
    cells = torch.stack([cell // width, cell % width], 1)
    return Peaks(categories[row], cells, strength[row, rank])


@dataclass(frozen=True)
class PseudoPoints:
    """P points (P, 2) xy in pixels of one image with categories and the teacher's candidates."""

    points: Tensor
    categories: Tensor
    candidates: Candidates

    def __len__(self) -> int:
        return len(self.candidates)


@torch.no_grad()
def mask_nms(
    points: Tensor, categories: Tensor, ask: Callable[[Tensor], Candidates], overlap: float
) -> PseudoPoints:
    """One point an object: of points whose masks overlap, that of the highest predicted IoU.

    A point's mask is its candidate of the highest predicted IoU. Points are kept from the best
    predicted IoU down; one is dropped if a kept point of its category has a mask whose IoU with its
    mask is above `overlap`, or if its mask is empty. The order given is kept.

    Args:
        points: (P, 2) float32 xy in pixels.
        categories: (P,) int64.
        ask: the teacher: points -> candidates.
        overlap: IoU in 0..1.
    """
    offered = ask(points)
    quality, best = offered.quality.max(1)  # (P,)
    masks = offered.masks[torch.arange(len(best), device=best.device), best].flatten(1).float()
    # Not `pairwise_mask_iou`: training calls this under autocast, and committed runs counted so.
    both = masks @ masks.t()
    area = both.diagonal()
    iou = both / (area[:, None] + area - both).clamp(min=1)
    rivals = (iou > overlap) & (categories[:, None] == categories)
    rivals, sound = rivals.cpu(), (area > 0).tolist()  # one transfer for the loop
    kept = torch.zeros(len(points), dtype=torch.bool)
    for index in quality.argsort(descending=True, stable=True).tolist():
        kept[index] = sound[index] and not bool((rivals[index] & kept).any())
    keep = kept.to(points.device)
    return PseudoPoints(points[keep], categories[keep], offered[keep])
