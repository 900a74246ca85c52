"""Binary cross-entropy and Dice between masks: each with its target, or all pairs.

Over P points with logits x, p = sigmoid(x) and targets t in 0..1, the cross-entropy is the mean of
softplus(x) - x t, Dice is 1 - (2 p.t + 1) / (sum p + sum t + 1). Dice is smoothed by 1 as in the
authors' code of Mask2Former: an empty prediction of an empty mask costs 0, and small masks have no
exploding gradient.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import binary_cross_entropy_with_logits

_LOWEST = -80.0  # below it a float32 sigmoid is 0 and its logarithm infinite


def region_mask_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean sigmoid cross-entropy of logits (R, M, M) with targets in 0..1: a float32 scalar.

    Mask R-CNN, section 3: each region is scored on the map of its category only. The mean runs over
    supervised regions and pixels, so a batch with few masked categories is not diluted by the
    others. 0 with a gradient path where R is 0.
    """
    if logits.shape[0] == 0:
        return logits.float().sum() * 0.0
    return binary_cross_entropy_with_logits(logits.float(), targets.float())


def pair_bce_and_dice(logits: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy and Dice of all pairs: (B, P, Q), (B, T, P) -> two of (B, T, Q) float32.

    softplus(x) is x - log(p): one sigmoid and one logarithm serve all targets. In place, as memory
    traffic is the cost: `logits` are overwritten. No gradient.
    """
    points = logits.shape[1]
    products = truth @ logits
    x = logits.clamp_(min=_LOWEST)
    sums = x.sum(1)
    p = x.sigmoid_()
    areas, overlaps = p.sum(1), truth @ p
    softplus = sums - p.log_().sum(1)  # (B, Q)
    bce = (softplus.unsqueeze(1) - products) / points
    sizes = areas.unsqueeze(1) + truth.sum(-1, keepdim=True)
    return bce, 1.0 - (2.0 * overlaps + 1.0) / (sizes + 1.0)


def mask_bce_and_dice(logits: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy and Dice in one pass, with the gradient written out.

    (..., P) float32 logits and truth -> two of (...) float32, differentiable in `logits`, once.
    """
    return _BceAndDice.apply(logits, truth)


class _BceAndDice(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        p = logits.sigmoid()
        surest = torch.maximum(p, 1.0 - p)  # the sigmoid of the logit's absolute value
        softplus = logits.clamp(min=0.0).sub_(surest.log_())
        bce = softplus.addcmul_(logits, truth, value=-1.0).mean(-1)
        overlap = 2.0 * (p * truth).sum(-1) + 1.0
        sizes = p.sum(-1) + truth.sum(-1) + 1.0
        ctx.save_for_backward(p, truth, overlap, sizes)
        return bce, 1.0 - overlap / sizes

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_bce: Tensor, to_dice: Tensor) -> tuple[Tensor, None]:
        p, truth, overlap, sizes = ctx.saved_tensors
        slope = p * (1.0 - p)  # of the sigmoid
        inside = (-2.0 * to_dice / sizes).unsqueeze(-1)
        everywhere = (to_dice * overlap / sizes.square()).unsqueeze(-1)
        grad = slope.mul_(inside * truth + everywhere)
        return grad.addcmul_(p - truth, (to_bce / truth.shape[-1]).unsqueeze(-1)), None
