"""Which query is matched to which instance: costs are sums of named terms, assignment is Hungarian.

Everything here is float32, without gradient and without autocast: costs of near-equal pairs decide,
and bfloat16's 8 bits would let rounding choose among them. L layers of predictions for B images are
matched at once; their N instances are concatenated (see `losses/targets.py`), so a term is
(L, Q, N): every query with each instance of its own image. A model that predicts more than classes
and masks adds a term of that shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from wsislib.losses.masks import pair_bce_and_dice
from wsislib.losses.points import PointLogits
from wsislib.losses.targets import Targets


@dataclass(frozen=True)
class MatchCosts:
    """What a matching was decided by.

    Attributes:
        terms: name -> (L, Q, N), not weighted; "mask" and "dice" with the nearest candidate.
        by_candidate: (L, Q, N, K), weighted mask costs of every candidate.
        points: (B, P, 2) xy in 0..1 of the canvas, where masks were compared.
    """

    terms: Mapping[str, Tensor]
    by_candidate: Tensor
    points: Tensor


@dataclass(frozen=True)
class Matches:
    """Which query is matched to which instance.

    Attributes:
        query: (L, N) int64, 0..Q-1: the query of each instance; -1 where it has none.
        candidate: (L, N) int64, 0..K-1: the mask of the instance that this query is to learn.
        replaced: how many costs were not finite and gave way to the largest finite one.
        left_over: how many instances have no query, over all layers. Where an image has more
            instances than there are queries, each query takes one, in the cheapest way, and the
            others teach nothing in this step.
        costs: what `Mask2Former.match` decided by, for those who want to see it.
    """

    query: Tensor
    candidate: Tensor
    replaced: int
    left_over: int
    costs: MatchCosts | None = None


@torch.no_grad()
def class_term(logits: Tensor, targets: Targets) -> Tensor:
    """Minus the probability of each instance's category: (L, B, Q, C + 1) -> (L, Q, N).

    Not its logarithm (DETR, section 3.1): so it is of the order of the other terms.
    """
    probabilities = logits.float().softmax(-1).transpose(1, 2)  # (L, Q, B, C + 1)
    return -probabilities[:, :, targets.image, targets.categories]


@torch.no_grad()
def mask_terms(
    embeddings: Tensor, features: Tensor, targets: Targets, points: Tensor, extent: Tensor
) -> tuple[Tensor, Tensor]:
    """Cross-entropy and Dice of every query's mask with every candidate, at shared points.

    Args:
        embeddings: (L, B, Q, D).
        features: (B, D, h, w); their products with `embeddings` are mask logits.
        targets: N instances with K candidates each.
        points: (B, P, 2) xy in 0..1 of the canvas.
        extent: (B, 2) xy in 0..1, the part of the canvas that each image covers.

    Returns:
        Two of (L, Q, N, K) float32.
    """
    most, image, slot = max(1, *targets.counts), targets.image, targets.slot
    # Images have different numbers of instances: padded to T slots each, read back below.
    truth = points.new_zeros(len(points), most, targets.candidates, points.shape[1])
    truth[image, slot] = targets.read((points / extent[:, None])[image])
    truth = truth.flatten(1, 2)  # (B, T K, P)
    logits_of = PointLogits(features, points)
    terms: tuple[list[Tensor], list[Tensor]] = [], []
    with torch.autocast(features.device.type, enabled=False):
        for layer in embeddings.float():  # one at a time, so that its logits stay in the cache
            costs = pair_bce_and_dice(logits_of(layer), truth)
            for term, cost in zip(terms, costs, strict=True):
                pairs = cost.unflatten(1, (most, -1))[image, slot]  # (N, K, Q)
                term.append(pairs.permute(2, 0, 1))
    return torch.stack(terms[0]), torch.stack(terms[1])


def nearest_candidate(cost: Tensor, allowed: Tensor | None) -> Tensor:
    """(L, Q, N) int64: the cheapest of candidates (L, Q, N, K) that are `allowed` (N, K)."""
    if allowed is not None:
        cost = cost.masked_fill(~allowed, torch.inf)
    return cost.nan_to_num(nan=torch.inf).argmin(-1)  # argmin would return the place of a NaN


@torch.no_grad()
def hungarian_match(
    terms: Mapping[str, Tensor],
    weights: Mapping[str, float],
    targets: Targets,
    candidate: Tensor | None = None,
) -> Matches:
    """Assign queries to instances at the least total cost, for each layer and image separately.

    Args:
        terms: name -> (L, Q, N) float32.
        weights: name -> factor, for the same names.
        targets: N instances.
        candidate: (L, Q, N) int64, the candidate that a pair would use; None is 0 everywhere.

    Raises:
        ValueError: the names differ, or an image's costs are all not finite; names the image.
    """
    if terms.keys() != weights.keys():
        raise ValueError(
            f"matching has the terms {', '.join(sorted(terms))} but weights for "
            f"{', '.join(sorted(weights))}; name the same ones"
        )
    total = torch.stack([weights[name] * term.float() for name, term in terms.items()]).sum(0)
    table = total.cpu().numpy().astype(np.float64)  # (L, Q, N), the one transfer from the device
    queries, replaced = np.full((table.shape[0], table.shape[2]), -1), 0
    for costs, assigned in zip(table, queries, strict=True):
        start = 0
        for image_id, count in zip(targets.image_ids, targets.counts, strict=True):
            finite, bad = _finite(costs[:, start : start + count], image_id)
            rows, columns = linear_sum_assignment(finite)  # min(Q, count) pairs
            assigned[start + columns] = rows
            start, replaced = start + count, replaced + bad
    query = torch.from_numpy(queries).to(total.device)
    chosen = torch.zeros_like(query)
    if candidate is not None:
        chosen = candidate.gather(1, query.clamp(min=0).unsqueeze(1)).squeeze(1)
    return Matches(query, chosen, replaced, int((queries < 0).sum()))


def _finite(costs: np.ndarray, image_id: int) -> tuple[np.ndarray, int]:
    """The costs with the largest finite one where one is not finite, and how many those were.

    `linear_sum_assignment` refuses NaN; one overflow in a long run should not end it.
    """
    good = np.isfinite(costs)
    bad = int(good.size - good.sum())
    if bad == 0:
        return costs, 0
    if not good.any():
        raise ValueError(
            f"image {image_id}: every matching cost is not finite, so the network's predictions "
            "have diverged. Go back to an earlier checkpoint with a lower learning rate, or look "
            "at the image."
        )
    return np.where(good, costs, costs[good].max()), bad
