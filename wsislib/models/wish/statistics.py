"""What happened in a step of WISH, by kind of label: here it shows why a weak training fails.

Numbers come from the last decoder layer, the one that predicts. They are logged beside the losses
and are no part of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wsislib.data.sample import Label, LabelKind, Sample
from wsislib.matching import Matches
from wsislib.models.wish.label_completion import tags_of
from wsislib.models.wish.targets import WishTargets


@torch.no_grad()
def step_statistics(
    given: Sequence[Sample], targets: WishTargets, matches: Matches
) -> dict[str, Tensor]:
    """Scalars by name; a kind that the batch does not hold has none.

    `<kind>.instances` an image; `<kind>.matched_share` of them with a query; for labels with a
    teacher `<kind>.candidates_allowed` on average and `<kind>.candidate_<k>_share`, how often
    candidate k was the nearest. For tags also `tag.points_per_tag` and `tag.images_without_point`,
    a share of those that have a tag.

    Args:
        given: B images as they came.
        targets: their N instances.
        matches: which query is matched to which instance.
    """
    values: dict[str, Tensor] = {}
    query, candidate = matches.query[-1], matches.candidate[-1]  # (N,)
    assert targets.allowed is not None
    for kind in LabelKind:
        images = sum(_holds(sample.label, kind) for sample in given)
        of_kind = targets.kinds == int(kind)
        count = of_kind.sum()
        if images == 0 and not bool(of_kind.any()):
            continue
        name = kind.name.lower()
        values[f"{name}.instances"] = count / max(images, 1)
        if not bool(of_kind.any()):
            continue
        matched = of_kind & (query >= 0)
        values[f"{name}.matched_share"] = matched.sum() / count
        if kind == LabelKind.MASK or not bool(matched.any()):
            continue
        values[f"{name}.candidates_allowed"] = targets.allowed[of_kind].sum() / count
        for index in range(targets.allowed.shape[1]):
            chosen = (candidate == index) & matched
            values[f"{name}.candidate_{index}_share"] = chosen.sum() / matched.sum()
    return {**values, **_of_tags(given, targets)}


def _holds(label: Label, kind: LabelKind) -> bool:
    """Whether some entry is of a kind; a label without entries is of its own."""
    return label.kind == kind or bool((label.entry_kinds == int(kind)).any())


def _of_tags(given: Sequence[Sample], targets: WishTargets) -> dict[str, Tensor]:
    is_pseudo = (targets.kinds == int(LabelKind.TAG)).split(targets.counts)
    tagged = [
        (tags, int(points.sum()))
        for sample, points in zip(given, is_pseudo, strict=True)
        if (tags := len(tags_of(sample.label)))
    ]
    if not tagged:
        return {}
    tags, points = (sum(column) for column in zip(*tagged, strict=True))
    without = sum(count == 0 for _, count in tagged)
    device = targets.kinds.device
    return {
        "tag.points_per_tag": torch.tensor(points / tags, device=device),
        "tag.images_without_point": torch.tensor(without / len(tagged), device=device),
    }
