"""The loss of a segmenter that predicts several masks for a prompt, when several are right.

SAM (Kirillov et al. 2023, section 3) learns from one true mask a prompt and from the nearest of its
three candidates only. Then two heads out of three learn nothing from a prompt, and one can die. The
world knows *every* mask that a prompt may mean, so here each of them gets another candidate; a
candidate that is left over learns, with less weight, from the mask that is nearest to it.

Shapes: P prompts, C candidates, T true masks a prompt at most, S pixels.
"""

from __future__ import annotations

from itertools import permutations

import torch
from torch import Tensor
from torch.nn import functional as F


def pair_costs(logits: Tensor, truths: Tensor, bce_weight: float = 5.0) -> Tensor:
    """Cost (P, C, T) float32 from 0 of every candidate with every truth: weighted mean BCE + Dice.

    Args:
        logits: (P, C, S) float.
        truths: (P, T, S) float in 0..1, the share of each pixel that is inside.
        bce_weight: of the cross-entropy beside Dice (Milletari et al. 2016), both from 0.
    """
    logits, truths = logits.float(), truths.float()
    inside = truths.transpose(1, 2)  # (P, S, T)
    cross = (F.softplus(logits).sum(2, keepdim=True) - logits @ inside) / logits.shape[2]
    found = logits.sigmoid()
    sizes = found.sum(2, keepdim=True) + truths.sum(2)[:, None]  # (P, C, T)
    # + 1 in both: an empty prediction of an empty mask costs 0, and nothing is divided by 0.
    return bce_weight * cross + 1 - (2 * (found @ inside) + 1) / (sizes + 1)


def assigned_cost(costs: Tensor, valid: Tensor, spare_weight: float = 0.3) -> Tensor:
    """Mean cost when each truth is assigned another candidate, in the cheapest way.

    Args:
        costs: (P, C, T) of `pair_costs`, T at most C.
        valid: (P, T) bool, which truths there are; one at least.
        spare_weight: of the candidates that no truth was left for; each is then measured by the
            truth nearest to it. Above 0 it keeps every candidate alive.

    Returns:
        Scalar: mean over prompts of the weighted mean over candidates; 0 with a gradient path
        where P is 0.
    """
    prompts, candidates, truths = costs.shape
    if prompts == 0:
        return costs.sum() * 0.0
    # Three candidates have six orders: cheaper to try them all than to call a solver.
    orders = torch.tensor(list(permutations(range(candidates), truths)), device=costs.device)
    nearest = costs.masked_fill(~valid[:, None], torch.inf).amin(2)  # (P, C)
    with torch.no_grad():
        paid = costs.masked_fill(~valid[:, None], 0.0)
        columns = torch.arange(truths, device=costs.device)
        assigned = paid[:, orders, columns].sum(2)  # (P, orders)
        taken = torch.zeros(prompts, len(orders), candidates, device=costs.device)
        filled = valid[:, None].expand(-1, len(orders), -1).float()  # (P, orders, T)
        taken.scatter_(2, orders.expand(prompts, -1, -1), filled)
        spare = (nearest[:, None] * (1 - taken)).sum(2)
        best = (assigned + spare_weight * spare).argmin(1)  # (P,)
    rows = torch.arange(prompts, device=costs.device)
    order, free = orders[best], 1 - taken[rows, best]  # (P, T), (P, C)
    chosen = costs[rows[:, None], order, columns] * valid  # (P, T)
    total = chosen.sum(1) + spare_weight * (nearest * free).sum(1)
    return (total / (valid.sum(1) + spare_weight * free.sum(1))).mean()


def iou_table(logits: Tensor, truths: Tensor) -> Tensor:
    """IoU (P, C, T) float32 of every candidate with every truth; 0 where both are empty.

    A candidate (P, C, S) is inside where its logit is above 0, a truth (P, T, S) above 0.5.
    """
    found, true = (logits > 0).float(), (truths > 0.5).float()
    both = found @ true.transpose(1, 2)
    either = found.sum(2, keepdim=True) + true.sum(2)[:, None] - both
    return both / either.clamp(min=1)


def expected_iou(table: Tensor, weight: Tensor) -> Tensor:
    """The mean IoU (P, C) of a candidate if the truth is drawn by `weight` (P, T) from 0.

    SAM regresses the IoU with the one truth that was drawn (section 3); the mean over those that
    could have been drawn has the same expectation and less noise.
    """
    return (table * weight[:, None]).sum(2) / weight.sum(1, keepdim=True)
