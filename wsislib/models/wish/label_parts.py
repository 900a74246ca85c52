"""A label in two parts: the entries that an annotator placed, and those that tags only name."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from wsislib.data.sample import Candidates, Label, LabelKind
from wsislib.models.wish.candidate_choice import at_points
from wsislib.models.wish.prompt_head import entries_with_box
from wsislib.models.wish.pseudo_points import PseudoPoints


def without_tags(label: Label) -> Label:
    """The entries dearer than tags, in their order; candidates of tags are left out with them.

    Returns:
        The label itself where it has no tags; without any dearer entry, an empty one of points.
    """
    if label.kind != LabelKind.TAG:
        return label
    if label.kinds is not None:
        kept = label[label.kinds > int(LabelKind.TAG)]
        if len(kept):
            return replace(kept, kind=LabelKind(int(kept.entry_kinds.min())))
    nowhere = torch.zeros(0, 2, device=label.categories.device)
    return Label(LabelKind.POINT, label.categories[:0], nowhere)


def tags_of(label: Label) -> Tensor:
    """(T,) int64: the categories of the entries that are tags."""
    if label.kind != LabelKind.TAG:
        return label.categories[:0]
    if label.kinds is None:
        return label.categories
    return label.categories[label.kinds == int(LabelKind.TAG)]


def pseudo_label(found: PseudoPoints) -> Label:
    """Pseudo points as a label of points."""
    return Label(LabelKind.POINT, found.categories, found.points, candidates=found.candidates)


def joined(known: Label, pseudo: Label) -> Label:
    """Entries of any kinds but TAG, then points, with the candidates of both.

    Args:
        known: with candidates, or with a mask for every entry.
        pseudo: of kind POINT, with candidates.
    """
    if len(known) == 0:
        return pseudo
    assert pseudo.points is not None and pseudo.candidates is not None
    added, placed = len(pseudo), pseudo.points
    points = known.points if known.points is not None else placed.new_zeros(len(known), 2)
    kinds = torch.cat([known.entry_kinds, pseudo.entry_kinds])
    return Label(
        LabelKind.POINT,
        torch.cat([known.categories, pseudo.categories]),
        points=torch.cat([points, placed]),
        boxes=_longer(known.boxes, added),
        masks=_longer(known.masks, added),
        kinds=kinds,
        candidates=_both(known, pseudo.candidates),
    )


def covered_by(known: Label, categories: Tensor, points: Tensor) -> Tensor:
    """Which points lie on a known entry of their category.

    Args:
        known: K entries with masks, boxes or candidates. An entry's place is its mask, else its
            box, else the candidate of the highest predicted IoU.
        categories: (P,) int64.
        points: (P, 2) float32 xy in pixels.

    Returns:
        (P,) bool.
    """
    alike = known.categories[:, None] == categories  # (K, P)
    held = torch.zeros_like(alike)
    if known.candidates is not None:
        best = known.candidates.quality.argmax(1)
        rows = torch.arange(len(best), device=best.device)
        held |= at_points(known.candidates.masks[rows, best], points)
    boxed, masked = entries_with_box(known), known.has_mask
    if known.boxes is not None:
        low, high = known.boxes[:, None, :2], known.boxes[:, None, 2:]  # (K, 1, 2)
        inside = ((points >= low) & (points <= high)).all(2)
        held = torch.where(boxed[:, None], inside, held)
    if known.masks is not None:
        held = torch.where(masked[:, None], at_points(known.masks, points), held)
    return (alike & held).any(0)


def _longer(field: Tensor | None, added: int) -> Tensor | None:
    """A field with empty rows for the added entries."""
    if field is None:
        return None
    return torch.cat([field, field.new_zeros(added, *field.shape[1:])])


def _both(known: Label, offered: Candidates) -> Candidates:
    """Candidates of the known entries, empty where they need none, then those offered."""
    own = known.candidates
    if own is None:
        masks = offered.masks.new_zeros(len(known), *offered.masks.shape[1:])
        own = Candidates(masks, offered.quality.new_zeros(len(known), offered.quality.shape[1]))
    return Candidates(
        torch.cat([own.masks, offered.masks]), torch.cat([own.quality, offered.quality])
    )
