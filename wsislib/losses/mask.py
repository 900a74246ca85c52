"""Mask losses on regions."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def region_mask_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean per-pixel sigmoid cross-entropy over the regions that carry a mask.

    Mask R-CNN, section 3: each region is scored on its own category's map only. The mean runs
    over supervised regions and pixels, so a batch with few masked categories is not diluted by
    the others.

    Args:
        logits: (R, M, M) float, the map of each region's own category.
        targets: (R, M, M) float in 0..1.

    Returns:
        Scalar float32; 0 with a gradient path where R is 0.
    """
    if logits.shape[0] == 0:
        return logits.float().sum() * 0.0
    return F.binary_cross_entropy_with_logits(logits.float(), targets.float())
