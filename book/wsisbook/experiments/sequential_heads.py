"""Very many mask heads over one frozen detector: `MaskHeads`, with memory for one head at a time.

Learning to Segment Every Thing, figure 3, trains two heads on each of 25 splits. Side by side they
would hold the activations of fifty heads; here each head goes forth and back before the next. That
is possible because the losses of two heads share no parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

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
            learnt = learns[labels]  # (R,) bool
            losses[f"loss_mask.{name}"] = _loss(head, pooled[learnt], labels[learnt], truth[learnt])
        return losses

    @torch.no_grad()
    def predict_among(
        self, images: Sequence[Tensor], judged: Mapping[str, Tensor]
    ) -> dict[str, list[Detections]]:
        """Head -> for each image its detections among the categories that it is judged on.

        Args:
            images: as of `MaskRCNN.predict`.
            judged: head -> (C,) bool; masks of other categories are not computed.
        """
        regions, pooled = self._regions(images)
        labels = torch.cat(regions.labels)  # (N,) in 1..C
        predictions = {}
        for name, head in self._branches():
            keep = judged[name].to(labels.device)[labels - 1]  # (N,) bool
            logits = head.logits(pooled[keep], labels[keep])
            predictions[name] = self.paste_masks(_select(regions, keep), logits)
        return predictions


def _loss(head: MaskBranch, pooled: Tensor, labels: Tensor, truth: Tensor) -> Tensor:
    return eager_backward(
        lambda: region_mask_loss(head.logits(pooled, labels), truth), head.parameters()
    )


def eager_backward(compute: Callable[[], Tensor], parameters: Iterable[Tensor]) -> Tensor:
    """The scalar that `compute` gives, with the gradient that it has for `parameters`.

    The gradient is taken as soon as the value is known, so what autograd stores for the way back
    is freed before the next loss begins. Of all tensors that need a gradient `compute` may use
    `parameters` alone, because to others none is handed on. The scalar can be weighted, added to
    others and differentiated once; value and gradient are those of `compute()`, bit for bit where
    the weight is 1 (another one is applied to the gradient at its end, which may round otherwise).
    """
    learnt = [p for p in parameters if p.requires_grad]
    if not torch.is_grad_enabled() or not learnt:
        return compute()
    return _EagerBackward.apply(compute, *learnt)


class _EagerBackward(torch.autograd.Function):
    """Forward does both ways; backward scales the gradients that are there."""

    @staticmethod
    def forward(ctx: Any, compute: Callable[[], Tensor], *parameters: Tensor) -> Tensor:
        with torch.enable_grad():
            loss = compute()
        ctx.gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        return loss.detach()

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Any:
        return None, *(None if grad is None else grad * outer[0] for grad in ctx.gradients)


def _select(regions: DetectedRegions, keep: Tensor) -> DetectedRegions:
    """The detections that `keep` (N,) bool names, over all images together."""
    masks = keep.split([len(boxes) for boxes in regions.boxes])

    def select(parts: Sequence[Tensor]) -> list[Tensor]:
        return [part[mask] for part, mask in zip(parts, masks, strict=True)]

    return replace(
        regions,
        boxes=select(regions.boxes),
        scores=select(regions.scores),
        labels=select(regions.labels),
    )
