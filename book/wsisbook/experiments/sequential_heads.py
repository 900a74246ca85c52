"""Very many mask heads over one frozen detector: `MaskHeads`, with memory for one head at a time.

Learning to Segment Every Thing, figure 3, trains two heads on each of 25 splits. Side by side they
would hold the activations of fifty heads; here each head goes forth and back before the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from wsisbook.experiments.eager_backward import eager_backward
from wsislib.data.sample import Detections, Sample
from wsislib.losses.masks import region_mask_loss
from wsislib.models.maskrcnn.detector import DetectedRegions
from wsislib.models.maskrcnn.mask_branch import MaskBranch
from wsislib.models.maskrcnn.mask_heads import MaskHeads


class SequentialHeads(MaskHeads):
    """As `MaskHeads`, number by number, except that `losses` can be differentiated only once."""

    @classmethod
    def of(cls, model: MaskHeads) -> SequentialHeads:
        """The heads and the detector of `model`, which share their weights with it."""
        learns = {name: row[1:] for name, row in zip(model.heads, model.learns, strict=True)}
        return cls(model, dict(model._branches()), learns)

    def losses(self, batch: Sequence[Sample]) -> dict[str, Tensor]:
        """As of `MaskHeads`."""
        regions, _ = self.sample_regions(batch)
        boxes, labels, truth = regions.with_masks(self._first.side)
        pooled = self._first.pool(regions.features, boxes, regions.sizes)  # (R, channels, 14, 14)
        losses = {}
        for (name, head), learns in zip(self._branches(), self.learns, strict=True):
            own = learns[labels]  # (R,) bool
            losses[f"loss_mask.{name}"] = _loss(head, pooled[own], labels[own], truth[own])
        return losses

    @torch.no_grad()
    def predict_among(
        self, images: Sequence[Tensor], judged: Mapping[str, Tensor]
    ) -> dict[str, list[Detections]]:
        """Detections of each head among the categories that it is judged on.

        Args:
            images: as of `MaskRCNN.predict`.
            judged: head -> (C,) bool; masks of other categories are not computed.

        Returns:
            Head -> one `Detections` an image, as `predict_each` gives them less those categories.
        """
        found, pooled = self._regions(images)
        labels = torch.cat(found.labels)  # (N,) in 1..C
        answers = {}
        for name, head in self._branches():
            keep = judged[name].to(labels.device)[labels - 1]  # (N,) bool
            logits = head.logits(pooled[keep], labels[keep])
            answers[name] = self.paste_masks(_among(found, keep), logits)
        return answers


def _loss(head: MaskBranch, pooled: Tensor, labels: Tensor, truth: Tensor) -> Tensor:
    return eager_backward(
        lambda: region_mask_loss(head.logits(pooled, labels), truth), head.parameters()
    )


def _among(found: DetectedRegions, keep: Tensor) -> DetectedRegions:
    """The detections that `keep` (N,) bool names, over all images together."""
    return replace(
        found,
        boxes=_shared(found.boxes, keep),
        scores=_shared(found.scores, keep),
        labels=_shared(found.labels, keep),
    )


def _shared(parts: Sequence[Tensor], keep: Tensor) -> list[Tensor]:
    """The rows of `parts`, tensors (N_b, ...), that `keep` (N,) bool names over all of them."""
    shares = keep.split([len(part) for part in parts])
    return [part[share] for part, share in zip(parts, shares, strict=True)]
