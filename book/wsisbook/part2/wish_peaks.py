"""How pseudo points come about on one scene, step by step, and what self-enhancement would say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
import torch
from torch import Tensor

from wsisbook.experiments.wish_insight import cam_quality
from wsislib.data.geometry import masks_at_points, pairwise_mask_iou
from wsislib.data.sample import Candidates, Category, Sample

if TYPE_CHECKING:
    from wsislib.models.wish.pseudo_points import PeakRule, Peaks
    from wsislib.models.wish.wish import WISH


@dataclass(frozen=True)
class PeakTrace:
    """P peaks of one scene and what became of them.

    Attributes:
        maps: (C, h, w) float32 activation maps.
        chances: (C,) in 0..1, of each category's tag.
        heights: category in the scene -> (h, w) in 0..1, its map above 0 by its own maximum.
        peaks: in the order of categories, the strongest first.
        points: (P, 2) xy in pixels.
        candidates: the teacher's, P entries.
        into: (P,) for each peak the one that it was merged into; itself where it was kept, -1 where
            its mask is empty.
        hits: (P,) bool, whether it lies on an object of its category.
    """

    maps: Tensor
    chances: Tensor
    heights: Mapping[int, Tensor]
    peaks: Peaks
    points: Tensor
    candidates: Candidates
    into: Tensor
    hits: Tensor

    @property
    def kept(self) -> Tensor:
        """(P,) bool: which became pseudo points."""
        return self.into == torch.arange(len(self.into))

    @property
    def masks(self) -> Tensor:
        """(P, H, W) bool: of each peak the candidate that the teacher trusts most."""
        best = self.candidates.quality.argmax(1)
        return self.candidates.masks[torch.arange(len(best)), best]

    def frame(self, categories: Sequence[Category]) -> pd.DataFrame:
        """A line a peak."""
        rows = {
            "category": [categories[c].name for c in self.peaks.categories.tolist()],
            "height": self.peaks.strength.tolist(),
            "predicted IoU": self.candidates.quality.amax(1).tolist(),
            "on an object of it": ["yes" if hit else "no" for hit in self.hits.tolist()],
            "becomes": [_fate(i, j) for i, j in enumerate(self.into.tolist())],
        }
        return pd.DataFrame(rows, index=pd.RangeIndex(1, len(self.into) + 1, name="peak"))


@torch.no_grad()
def peak_story(model: WISH, sample: Sample) -> PeakTrace:
    """Follow the peaks of a scene with masks, as `add_pseudo_labels` does in training."""
    from wsislib.losses.cams import tag_logits
    from wsislib.models.sam.prompts import Prompts
    from wsislib.models.wish.pseudo_points import find_peaks, mask_nms

    cams = model.activation_maps([sample.image])
    maps, tags = cams.of_image(0), sample.label.categories.unique()
    peaks = find_peaks(maps, tags, model.peaks)
    size = (int(sample.image.shape[1]), int(sample.image.shape[2]))
    points = cams.places(0, peaks.cells, size)
    embedded = model.teacher.embed([sample.image])

    def ask(places: Tensor) -> Candidates:
        (offered,) = model.teacher.candidates(embedded, [Prompts(points=places)])
        return Candidates(offered.masks, offered.scores.clamp(0.0, 1.0))

    offered = ask(points)
    kept = mask_nms(points, peaks.categories, lambda _: offered, model.peaks.overlap)
    heights = {}
    for category in tags.tolist():
        above = maps[category].relu()
        heights[category] = above / above.amax().clamp(min=1e-9)
    return PeakTrace(
        maps,
        tag_logits(cams.maps, cams.valid)[0].sigmoid(),
        heights,
        peaks,
        points,
        offered,
        _into(points, peaks.categories, offered, kept.points, kept.categories),
        _hits(points, peaks.categories, sample),
    )


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
    """What self-enhancement asks of the maps of a scene.

    Returns:
        Category in the scene -> (h, w) in 0..1, the sigmoid of its map, and (h, w) in 0..1, its
        target; None where no query claims the category.
    """
    from wsislib.losses.cams import self_targets
    from wsislib.models.wish.cam import tag_table

    framed = model.segmenter.framing([sample.image], True)
    maps = model.segmenter.extract_features(framed)
    said, cams = model.segmenter.decode(framed, maps), model.cam_head(maps, framed.padding)
    tags = tag_table([sample], cams.maps.shape[1])
    last = (said.classes[-1], said.embeddings[-1], said.features)
    targets = self_targets(*last, tags, cams.size)
    shares = dict(zip(targets.category.tolist(), targets.share, strict=True))
    chances = cams.of_image(0).sigmoid()
    rows, columns = chances.shape[1:]
    return {
        category: (
            chances[category],
            shares[category][:rows, :columns] if category in shares else None,
        )
        for category in tags[0].nonzero().flatten().tolist()
    }


def _into(
    points: Tensor, categories: Tensor, offered: Candidates, kept: Tensor, of: Tensor
) -> Tensor:
    """(P,) int64: which peak each was merged into, see `PeakTrace.into`."""
    alike = (points[:, None] == kept[None]).all(-1) & (categories[:, None] == of[None])
    stays = alike.any(1)  # (P,)
    masks = offered.masks[torch.arange(len(points)), offered.quality.argmax(1)].flatten(1)
    iou = pairwise_mask_iou(masks, masks)
    rivals = iou.masked_fill((categories[:, None] != categories) | ~stays[None], -1.0)
    into = rivals.argmax(1) if len(points) else torch.zeros(0, dtype=torch.int64)
    into = torch.where(masks.any(1), into, -1)
    return torch.where(stays, torch.arange(len(points)), into)


def _hits(points: Tensor, categories: Tensor, sample: Sample) -> Tensor:
    masks = sample.label.masks
    assert masks is not None
    on = masks_at_points(masks, points).t() & (categories[:, None] == sample.label.categories)
    return on.any(1)


def _fate(peak: int, into: int) -> str:
    if into == peak:
        return "a pseudo point"
    return "nothing: its mask is empty" if into < 0 else f"part of peak {into + 1}"
