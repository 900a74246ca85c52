"""What each part of the matcher does, over many scenes whose truth is known.

Training does not know the truth; it is asked here only to judge who was matched and what was
chosen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pandas as pd
import torch
from torch import Tensor

from wsisbook.part2.matching_trace import PARTS, MatchTrace, trace_match
from wsislib.data.sample import LabelKind, Sample
from wsislib.labels.weaken import weaken
from wsislib.matching import nearest_candidate
from wsislib.models.wish.wish import WISH
from wsislib.recipes.sam_quality import mask_iou

TERMS = {
    "class": "class", "prompt": "prompt", "mask": "mask cross-entropy", "dice": "mask Dice"
}  # fmt: skip


@dataclass(frozen=True)
class Survey:
    """Of all instances of some scenes, after the last layer.

    Attributes:
        spread: a row a term: standard deviation of its weighted cost over an instance's queries,
            on average.
        left_out: a row for the whole cost and for each part taken out: the share of instances
            with `another query`, the mean `IoU of the query's mask` with the true one, and how
            often its likeliest `category is right`.
        choice: mean IoU with the true mask of the candidate that is nearest to the partner's
            mask, of the one with the highest score and of the best.
        gate: shares of candidates let through, and of pairs for whom the nearest was not.
        instances: how many.
    """

    spread: pd.DataFrame
    left_out: pd.DataFrame
    choice: pd.DataFrame
    gate: pd.DataFrame
    instances: int


@torch.no_grad()
def survey(student: WISH, scenes: Iterable[Sample], kind: LabelKind, seed: int = 0) -> Survey:
    """Match scenes labelled by points or boxes.

    Args:
        student: whose queries.
        scenes: with masks.
        kind: of label that the matcher gets.
        seed: of points, in labels and in masks.
    """
    generator = torch.Generator().manual_seed(seed)
    spreads: list[Tensor] = []
    partners: dict[str | None, list[Tensor]] = {}
    chosen: list[Tensor] = []
    for sample in scenes:
        masks = sample.label.masks
        if masks is None or len(masks) == 0:
            continue
        weak = replace(sample, label=weaken(sample.label, kind, generator))
        opened = trace_match(student, weak, seed)
        spreads.append(_spread(opened))
        truth = _truth(opened, masks)
        whole = opened.matches.query[-1]
        for part in (None, *PARTS):
            query = opened.without(part).query[-1]
            partners.setdefault(part, []).append(_partners(opened, query, whole, truth))
        chosen.append(_choice(opened, masks))
    spread = torch.cat(spreads).mean(0).tolist()
    rows = {
        "all three" if part is None else f"without {part}": torch.cat(found).mean(0).tolist()
        for part, found in partners.items()
    }
    near, scored, best, through, missed = torch.cat(chosen).mean(0).tolist()
    return Survey(
        pd.DataFrame({"spread": dict(zip(TERMS.values(), spread, strict=True))}),
        pd.DataFrame.from_dict(
            rows,
            orient="index",
            columns=["another query", "IoU of the query's mask", "category is right"],
        ),
        pd.DataFrame(
            {"IoU": {"nearest to the query": near, "highest score": scored, "best of all": best}}
        ),
        pd.DataFrame({"share": {"let through": through, "nearest was left out": missed}}),
        sum(len(found) for found in chosen),
    )


def _spread(opened: MatchTrace) -> Tensor:
    """(N, 4): standard deviation over queries of each weighted term."""
    costs = [opened.weights[name] * opened.costs[name][-1] for name in TERMS]
    return torch.stack([cost.std(0) for cost in costs], 1)


def _truth(opened: MatchTrace, masks: Tensor) -> Tensor:
    """(Q, N) IoU of every query's mask with every true one (N, H, W)."""
    return mask_iou(opened.masks()[None], masks)[0]


def _partners(opened: MatchTrace, query: Tensor, whole: Tensor, truth: Tensor) -> Tensor:
    """(M, 3) of the instances that found a query: another one, its IoU, its category right."""
    found = query >= 0
    rows, instances = query[found], torch.arange(len(query))[found]
    says = opened.said.classes[-1, 0, :, :-1].argmax(-1)  # (Q,)
    right = says[rows] == opened.targets.categories[found]
    other = rows != whole[found]
    return torch.stack([other.float(), truth[rows, instances], right.float()], 1)


def _choice(opened: MatchTrace, masks: Tensor) -> Tensor:
    """(M, 5) of the matched: IoU nearest, scored, best; share let through; nearest left out."""
    query = opened.matches.query[-1]
    found = query >= 0
    offered, pairs = opened.offered, torch.arange(len(query))
    both = (offered.masks & masks.unsqueeze(1)).flatten(2).sum(2)
    iou = both / (offered.masks | masks.unsqueeze(1)).flatten(2).sum(2).clamp(min=1)  # (N, K)
    near = opened.matches.candidate[-1]
    free = nearest_candidate(opened.by_candidate, None)[-1][query.clamp(min=0), pairs]
    allowed = opened.targets.allowed
    assert allowed is not None
    missed = ~allowed[pairs, free]
    columns = [
        iou[pairs, near],
        iou[pairs, offered.quality.argmax(1)],
        iou.amax(1),
        allowed.float().mean(1),
        missed.float(),
    ]
    return torch.stack(columns, 1)[found]
