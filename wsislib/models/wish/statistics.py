"""What happened in a step of WISH, by kind of label: why a weak training fails shows here.

Numbers come from the last decoder layer, the one that predicts. They are logged beside the losses
and are no part of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wsislib.data.sample import Label, LabelKind, Sample
from wsislib.matching import Matches
from wsislib.models.wish.label_parts import tags_of
from wsislib.models.wish.targets import WishTargets


@torch.no_grad()
def step_statistics(
    given: Sequence[Sample], wanted: WishTargets, matches: Matches
) -> dict[str, Tensor]:
    """Scalars by name; a kind that the batch does not hold has none.

    `<kind>.instances` an image; `<kind>.matched_share` of them that found a query; for labels
    with a teacher `<kind>.candidates_allowed` on average and `<kind>.candidate_<k>_share`, how
    often candidate k was the nearest. For tags also `tag.points_per_tag` and
    `tag.images_without_point`, a share of those that have a tag.

    Args:
        given: B images as they came.
        wanted: their N instances.
        matches: who answers for whom.
    """
    found: dict[str, Tensor] = {}
    query, candidate = matches.query[-1], matches.candidate[-1]  # (N,)
    allowed = wanted.targets.allowed
    assert allowed is not None
    for kind in LabelKind:
        images = sum(_holds(sample.label, kind) for sample in given)
        own = wanted.kinds == int(kind)
        count = own.sum()
        if images == 0 and not bool(own.any()):
            continue
        name = kind.name.lower()
        found[f"{name}.instances"] = count / max(images, 1)
        if not bool(own.any()):
            continue
        matched = own & (query >= 0)
        found[f"{name}.matched_share"] = matched.sum() / count
        if kind == LabelKind.MASK or not bool(matched.any()):
            continue
        found[f"{name}.candidates_allowed"] = allowed[own].sum() / count
        for place in range(allowed.shape[1]):
            chosen = (candidate == place) & matched
            found[f"{name}.candidate_{place}_share"] = chosen.sum() / matched.sum()
    return {**found, **_of_tags(given, wanted)}


def _holds(label: Label, kind: LabelKind) -> bool:
    """Whether some entry is of a kind; a label without entries is of its own."""
    return label.kind == kind or bool((label.entry_kinds == int(kind)).any())


def _of_tags(given: Sequence[Sample], wanted: WishTargets) -> dict[str, Tensor]:
    guessed = (wanted.kinds == int(LabelKind.TAG)).split(wanted.targets.counts)
    tagged = [
        (tags, int(points.sum()))
        for sample, points in zip(given, guessed, strict=True)
        if (tags := len(tags_of(sample.label)))
    ]
    if not tagged:
        return {}
    tags, points = (sum(column) for column in zip(*tagged, strict=True))
    without = sum(count == 0 for _, count in tagged)
    device = wanted.kinds.device
    return {
        "tag.points_per_tag": torch.tensor(points / tags, device=device),
        "tag.images_without_point": torch.tensor(without / len(tagged), device=device),
    }
