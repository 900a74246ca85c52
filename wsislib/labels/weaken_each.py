"""Labels of one image weakened entry by entry: some categories keep masks, others become cheaper.

Hu et al. (CVPR 2018) split the categories into those with masks and those with boxes only. Here a
category may also have points, or be named by tags alone.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wsislib.data.sample import Label, LabelKind
from wsislib.labels.weaken import PointChoice, weaken


def weaken_each(
    label: Label, kinds: Tensor, generator: torch.Generator, point: PointChoice = "random"
) -> Label:
    """Return what an annotator would have given who gives each entry its own kind.

    Args:
        label: K entries, each at least as dear as its wanted kind.
        kinds: (K,) uint8 of `LabelKind`, the wanted kinds.
        generator: source of random points.
        point: as for `weaken`.

    Returns:
        The entries dearer than TAG in their order, then the tags, each category once, ascending.
        `kinds` is None where all are alike.

    Raises:
        ValueError: as `weaken`, for some entry; or `kinds` is not (K,) uint8.
    """
    if kinds.shape != label.categories.shape or kinds.dtype != torch.uint8:
        raise ValueError(f"kinds must be ({len(label)},) uint8, is {tuple(kinds.shape)}")
    found = [LabelKind(kind) for kind in kinds.unique().tolist()] or [label.kind]
    parts = {kind: weaken(label[kinds == kind], kind, generator, point) for kind in found}
    if len(parts) == 1:
        return parts[found[0]]
    rows = {kind: (kinds == kind).nonzero().flatten() for kind in found}
    dear = [kind for kind in found if kind != LabelKind.TAG]
    order = torch.cat([rows[kind] for kind in dear]).argsort()
    tags = parts[LabelKind.TAG].categories if LabelKind.TAG in parts else kinds.new_zeros(0).long()

    def field(name: str) -> Tensor | None:
        held = [getattr(parts[kind], name) for kind in dear]
        some = next((value for value in held if value is not None), None)
        if some is None:
            return None
        empty = [some.new_zeros(len(parts[kind]), *some.shape[1:]) for kind in dear]
        filled = [other if own is None else own for own, other in zip(held, empty, strict=True)]
        return torch.cat([torch.cat(filled)[order], some.new_zeros(len(tags), *some.shape[1:])])

    told = torch.cat([torch.full_like(rows[kind], int(kind)) for kind in dear])[order]
    return Label(
        found[0],
        torch.cat([torch.cat([parts[kind].categories for kind in dear])[order], tags]),
        points=field("points"),
        boxes=field("boxes"),
        masks=field("masks"),
        kinds=torch.cat([told, torch.zeros_like(tags)]).to(torch.uint8),
    )
