"""The losses L_cam and L_self of activation maps (WISH, equations 19 and 21 of its public summary).

A map A (B, C, h, w) holds a logit for every category and cell; its mean over cells is the logit of
the image's tag. `valid` (B, 1, h, w) bool is False on cells past an image, None where there are
none. All of it is computed in float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, binary_cross_entropy_with_logits


def tag_logits(maps: Tensor, valid: Tensor | None) -> Tensor:
    """Global average pooling: (B, C, h, w) -> (B, C) float32."""
    return _mean_over_cells(maps.float(), valid)


def tag_loss(logits: Tensor, tags: Tensor) -> Tensor:
    """Cross-entropy of tag logits (B, C) with tags (B, C) bool, mean over images and categories."""
    return binary_cross_entropy_with_logits(logits.float(), tags.float())


@dataclass(frozen=True)
class SelfTargets:
    """P pairs of image and category (P,) int64, and their predicted share (P, h, w) in 0..1."""

    image: Tensor
    category: Tensor
    share: Tensor


@torch.no_grad()
def self_targets(
    classes: Tensor, embeddings: Tensor, features: Tensor, tags: Tensor, size: tuple[int, int]
) -> SelfTargets:
    """Where the model itself predicts each category that an image is known to hold.

    For each such category the maximum, over the queries whose likeliest class it is, of the
    sigmoid of their masks. A category that no query predicts is left out: a target of zeros would
    teach its map that it is nowhere, in an image that holds it.

    Args:
        classes: (B, Q, C + 1) logits, the last one for "no object".
        embeddings: (B, Q, D).
        features: (B, D, H, W); times `embeddings` they are mask logits. Past images they are 0.
        tags: (B, C) bool.
        size: (h, w) of the activation map; logits are averaged over each of its cells.
    """
    # Without gradient: else masks would learn from maps that are coarser than they are.
    likeliest = classes.argmax(-1)  # (B, Q)
    image, category = tags.nonzero(as_tuple=True)
    of_category = likeliest[image] == category.unsqueeze(1)  # (P, Q)
    predicted = of_category.any(1)
    image, category, of_category = image[predicted], category[predicted], of_category[predicted]
    with torch.autocast(features.device.type, enabled=False):
        small = adaptive_avg_pool2d(features.float(), size).flatten(2)  # (B, D, h w)
        masks = (embeddings.float() @ small).sigmoid()[image]  # (P, Q, h w)
    share = masks.masked_fill(~of_category.unsqueeze(-1), 0.0).amax(1)  # a union, not a sum
    return SelfTargets(image, category, share.unflatten(1, size))


def self_loss(maps: Tensor, targets: SelfTargets, valid: Tensor | None) -> Tensor:
    """Cross-entropy of maps (B, C, h, w) with P targets, mean over pairs and over their cells.

    Scalar float32; 0 with a gradient path where P is 0. `valid` (B, 1, h, w) bool or None.
    """
    if len(targets.image) == 0:
        return maps.float().sum() * 0.0
    logits = maps[targets.image, targets.category].float()  # (P, h, w)
    missed = binary_cross_entropy_with_logits(logits, targets.share, reduction="none").unsqueeze(1)
    return _mean_over_cells(missed, None if valid is None else valid[targets.image]).mean()


def _mean_over_cells(maps: Tensor, valid: Tensor | None) -> Tensor:
    """(B, C, h, w) -> (B, C)."""
    if valid is None:
        return maps.mean((2, 3))
    return (maps * valid).sum((2, 3)) / valid.sum((2, 3)).clamp(min=1)
