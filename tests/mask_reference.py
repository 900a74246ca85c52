"""The mask losses as their formulas are written; the library computes them faster."""

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


def mask_bce(logits: Tensor, truth: Tensor) -> Tensor:
    """Mean over points of the cross-entropy: (..., P) and (..., P) in 0..1 -> (...) float32."""
    return binary_cross_entropy_with_logits(logits.float(), truth, reduction="none").mean(-1)


def mask_dice(logits: Tensor, truth: Tensor) -> Tensor:
    """1 - (2 p.t + 1) / (sum p + sum t + 1): (..., P) and (..., P) in 0..1 -> (...) float32."""
    p = logits.float().sigmoid()
    overlap = 2.0 * (p * truth).sum(-1)
    return 1.0 - (overlap + 1.0) / (p.sum(-1) + truth.sum(-1) + 1.0)
