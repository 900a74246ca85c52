"""The losses of queries that are matched to instances (Cheng et al. 2022, section 3.3).

Every layer is supervised, so each function gives one value a layer. A match is, for each layer and
instance, a query and which of the instance's candidate masks that query is to learn.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wsislib.losses.masks import mask_bce_and_dice
from wsislib.losses.points import read_points
from wsislib.losses.targets import Targets


def class_truth(query: Tensor, targets: Targets, queries: int, nothing: int) -> Tensor:
    """The class (L, B, Q) int64 that each query is to predict.

    Args:
        query: (L, N) int64, the query matched to each instance; -1 where there is none.
        targets: N instances of B images.
        queries: Q.
        nothing: C, the class "no object" of queries without an instance.
    """
    layers, images = query.shape[0], len(targets.counts)
    truth = torch.full((layers, images, queries), nothing, device=query.device)
    layer, instance = (query >= 0).nonzero(as_tuple=True)
    truth[layer, targets.image[instance], query[layer, instance]] = targets.categories[instance]
    return truth


def class_loss(
    logits: Tensor, truth: Tensor, no_object_weight: float, background_known: Tensor | None = None
) -> Tensor:
    """Weighted cross-entropy of every query.

    Args:
        logits: (L, B, Q, C + 1).
        truth: (L, B, Q) int64; C is "no object".
        no_object_weight: weight of queries without an object, in sum and normaliser.
        background_known: (B,) bool, False on images whose queries without an object are left out
            of both; None is all True.

    Returns:
        (L,) float32; 0 with a gradient path where nothing is left.
    """
    logs = logits.float().log_softmax(-1)
    missed = -logs.gather(-1, truth.unsqueeze(-1)).squeeze(-1)  # (L, B, Q)
    nothing = truth == logits.shape[-1] - 1
    weight = torch.where(nothing, no_object_weight, 1.0)
    # By the sum of weights, as torch's weighted cross-entropy: at 0.1, a hundred idle queries count
    # like ten.
    if background_known is None:
        return (missed * weight).sum((1, 2)) / weight.sum((1, 2))
    weight = weight * (background_known[:, None] | ~nothing)
    total = weight.sum((1, 2))
    return (missed * weight).sum((1, 2)) / torch.where(total > 0, total, 1.0)


def instance_maps(embeddings: Tensor, features: Tensor, query: Tensor, targets: Targets) -> Tensor:
    """The mask logits (N, L, h, w) float32 of every layer for every instance.

    Args:
        embeddings: (L, B, Q, D).
        features: (B, D, h, w).
        query: (L, N) int64; results at -1 are not to be used.
        targets: N instances of B images.
    """
    layers = torch.arange(len(query), device=query.device)[:, None]
    chosen = embeddings[layers, targets.image, query.clamp(min=0)].transpose(0, 1)  # (N, L, D)
    maps = [
        torch.einsum("nld,dhw->nlhw", embedding, image)
        for embedding, image in zip(chosen.split(targets.counts), features.unbind(), strict=True)
    ]
    return torch.cat(maps).float()


def mask_losses(
    maps: Tensor, targets: Targets, query: Tensor, candidate: Tensor, points: Tensor, extent: Tensor
) -> tuple[Tensor, Tensor]:
    """Cross-entropy and Dice at points, each a sum over instances divided by their number.

    Args:
        maps: (N, L, h, w) float32 mask logits.
        targets: N instances with K candidates each.
        query: (L, N) int64; instances at -1 count in the number only.
        candidate: (L, N) int64, which of the K masks is the target.
        points: (N, L, P, 2) xy in 0..1 of the canvas.
        extent: (B, 2) xy in 0..1, the part of the canvas that each image covers.

    Returns:
        Two of (L,) float32; 0 with a gradient path where N is 0.
    """
    count, layers = points.shape[:2]
    if count == 0:
        zero = (maps.sum() * 0.0).expand(layers)
        return zero, zero
    logits = read_points(maps.flatten(0, 1).unsqueeze(1), points.flatten(0, 1))  # (N L, 1, P)
    logits = logits.view(count, layers, -1)
    with torch.no_grad():
        in_image = points.flatten(1, 2) / extent[targets.image].unsqueeze(1)  # (N, L P, 2)
        truth = targets.read(in_image).view(count, -1, layers, points.shape[2])  # (N, K, L, P)
        if targets.candidates > 1:
            which = candidate.t()[:, None, :, None].expand(-1, 1, -1, points.shape[2])
            truth = truth.gather(1, which)
        truth = truth[:, 0]  # (N, L, P)
        matched = (query >= 0).t().float()  # (N, L)
    bce, dice = mask_bce_and_dice(logits, truth)
    # By all instances, matched or not: a layer that drops some is not rewarded for it.
    return (bce * matched).sum(0) / count, (dice * matched).sum(0) / count
