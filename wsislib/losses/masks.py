"""Binary cross-entropy and Dice between masks: each with its target, or all pairs.

Dice is smoothed by 1 in numerator and denominator, as in the authors' code of Mask2Former: an empty
prediction of an empty mask costs 0, and small masks have no exploding gradient.
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


def mask_bce(logits: Tensor, truth: Tensor) -> Tensor:
    """Mean over points of the cross-entropy: (..., P) and (..., P) in 0..1 -> (...) float32."""
    return binary_cross_entropy_with_logits(logits.float(), truth, reduction="none").mean(-1)


def mask_dice(logits: Tensor, truth: Tensor) -> Tensor:
    """1 - (2 p.t + 1) / (sum p + sum t + 1): (..., P) and (..., P) in 0..1 -> (...) float32."""
    found = logits.float().sigmoid()
    overlap = 2.0 * (found * truth).sum(-1)
    return 1.0 - (overlap + 1.0) / (found.sum(-1) + truth.sum(-1) + 1.0)


def pair_bce_and_dice(logits: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """`mask_bce` and `mask_dice` of all pairs: (B, P, Q), (B, T, P) -> two of (B, T, Q) float32.

    The cross-entropy of logit x with target t is softplus(x) - x t, and with s = sigmoid(x)
    softplus(x) is x - log(s): one sigmoid and one logarithm serve all targets. In place, as memory
    traffic is the cost: `logits` are overwritten. No gradient.
    """
    points = logits.shape[1]
    products = truth @ logits
    x = logits.clamp_(min=_LOWEST)
    sums = x.sum(1)
    found = x.sigmoid_()
    areas, overlaps = found.sum(1), truth @ found
    softplus = sums - found.log_().sum(1)  # (B, Q)
    bce = (softplus.unsqueeze(1) - products) / points
    whole = areas.unsqueeze(1) + truth.sum(-1, keepdim=True)
    return bce, 1.0 - (2.0 * overlaps + 1.0) / (whole + 1.0)


def mask_bce_and_dice(logits: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """`mask_bce` and `mask_dice` in one pass, with the gradient written out.

    (..., P) float32 logits and truth -> two of (...) float32, differentiable in `logits`, once.
    """
    return _BceAndDice.apply(logits, truth)


class _BceAndDice(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        found = logits.sigmoid()
        surest = torch.maximum(found, 1.0 - found)  # the sigmoid of the logit's absolute value
        softplus = logits.clamp(min=0.0).sub_(surest.log_())
        bce = softplus.addcmul_(logits, truth, value=-1.0).mean(-1)
        overlap = 2.0 * (found * truth).sum(-1) + 1.0
        whole = found.sum(-1) + truth.sum(-1) + 1.0
        ctx.save_for_backward(found, truth, overlap, whole)
        return bce, 1.0 - overlap / whole

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_bce: Tensor, to_dice: Tensor) -> tuple[Tensor, None]:
        found, truth, overlap, whole = ctx.saved_tensors
        slope = found * (1.0 - found)  # of the sigmoid
        inside = (-2.0 * to_dice / whole).unsqueeze(-1)
        everywhere = (to_dice * overlap / whole.square()).unsqueeze(-1)
        grad = slope.mul_(inside * truth + everywhere)
        return grad.addcmul_(found - truth, (to_bce / truth.shape[-1]).unsqueeze(-1)), None
