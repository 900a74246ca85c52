"""The targets of WISH's queries, the same for labels of every kind.

Every instance has prompt tokens Z and K masks of which one is to be learnt. An entry labelled by a
mask has that mask alone and its tight box as the prompt; the others have a teacher's candidates. No
mask of a label is read unless its entry is of kind MASK.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from wsislib.data.geometry import filled_boxes, mask_boxes
from wsislib.data.sample import Label, Sample
from wsislib.losses.targets import Targets
from wsislib.models.sam.sam import Teacher
from wsislib.models.wish.candidate_choice import Choice, Gate, choose
from wsislib.models.wish.label_completion import CompletedSample
from wsislib.models.wish.prompt_head import PromptHead


@dataclass(frozen=True, kw_only=True)
class WishTargets(Targets):
    """N instances of B images with prompts.

    Attributes:
        prompts: (N, T, D) float32, Z.
        kinds: (N,) int64 of `LabelKind`, what each was labelled by; TAG for pseudo points.
        token: (N,) int64, which of a query's tokens is compared with each prompt; None: all.
    """

    prompts: Tensor
    kinds: Tensor
    token: Tensor | None = None


@torch.no_grad()
def wish_targets(
    batch: Sequence[CompletedSample],
    head: PromptHead,
    teacher: Teacher,
    gate: Gate | None,
    choice: Choice = "adaptive",
) -> WishTargets:
    """Targets of a batch of labels of any kind.

    Args:
        batch: B images as `add_pseudo_labels` completed them.
        head: knows the shape of prompts.
        teacher: whose prompt encoder gives Z.
        gate: leaves candidates out; None lets all through.
        choice: of one of those left, where the matcher is not to choose.
    """
    samples = [replace(one.sample, label=_with_tight_boxes(one.label)) for one in batch]
    pairs = zip(samples, batch, strict=True)
    learnable = [_learnable(sample, one.is_pseudo, gate, choice) for sample, one in pairs]
    most = max(masks.shape[1] for masks, _ in learnable)  # 1 in a batch of masks, else M
    known = [one.background_known for one in batch]
    # Z anew in every step: tokens depend on the place in the image, which augmentation moves.
    prompts = [head.targets(sample.label, _size(sample), teacher) for sample in samples]
    tokens = [head.token_of(sample.label) for sample in samples]
    given = [token for token in tokens if token is not None]
    device = samples[0].image.device
    return WishTargets(
        image_ids=tuple(sample.image_id for sample in samples),
        counts=tuple(len(sample.label) for sample in samples),
        categories=torch.cat([sample.label.categories for sample in samples]),
        masks=tuple(_padded(masks, most) for masks, _ in learnable),
        allowed=torch.cat([_padded(allowed, most) for _, allowed in learnable]),
        background_known=None if all(known) else torch.tensor(known, device=device),
        prompts=torch.cat(prompts),
        kinds=torch.cat([one.kinds for one in batch]),
        token=torch.cat(given) if given else None,
    )


def _learnable(
    sample: Sample, is_pseudo: Tensor, gate: Gate | None, choice: Choice
) -> tuple[Tensor, Tensor]:
    """(K, M, H, W) masks and (K, M) bool, which of them may be learnt."""
    label, device = sample.label, sample.image.device
    if len(label) == 0:
        nothing = torch.zeros(0, 1, *_size(sample), dtype=torch.bool, device=device)
        return nothing, nothing[:, :, 0, 0]
    annotated = label.has_mask
    if bool(annotated.all()):
        assert label.masks is not None
        return label.masks.unsqueeze(1), torch.ones(len(label), 1, dtype=torch.bool, device=device)
    candidates = label.candidates
    assert candidates is not None, "the teacher was asked for every entry without a mask"
    allowed = torch.ones_like(candidates.quality, dtype=torch.bool)
    unanswered = torch.zeros_like(annotated)
    if gate is not None:
        allowed = gate(label, candidates, is_pseudo)
        unanswered = ~annotated & gate.unanswered(label, candidates)
    masks, allowed = choose(candidates, allowed, choice)
    single = annotated | unanswered  # (K,), entries with one mask to learn
    if not bool(single.any()):
        return masks, allowed
    masks, first = masks.clone(), torch.zeros_like(allowed[0])
    first[0] = True
    if label.masks is not None:
        masks[annotated] = label.masks[annotated].unsqueeze(1).to(masks.dtype)
    if label.boxes is not None:
        boxes = label.boxes[unanswered]
        whole = torch.cat([boxes[:, :2].floor(), boxes[:, 2:].ceil()], 1)  # one pixel at least
        masks[unanswered] = filled_boxes(whole, *_size(sample)).unsqueeze(1).to(masks.dtype)
    return masks, torch.where(single.unsqueeze(1), first, allowed)


def _with_tight_boxes(label: Label) -> Label:
    """Entries with a mask get the tight box of that mask: what an annotator would have drawn."""
    annotated = label.has_mask
    if not bool(annotated.any()):
        return label
    assert label.masks is not None and label.boxes is not None
    boxes = label.boxes.clone()
    boxes[annotated] = mask_boxes(label.masks[annotated])
    return replace(label, boxes=boxes)


def _padded(x: Tensor, most: int) -> Tensor:
    """(K, M, ...) -> (K, most, ...), False or 0 where nothing was."""
    if x.shape[1] == most:
        return x
    return torch.cat([x, x.new_zeros(x.shape[0], most - x.shape[1], *x.shape[2:])], 1)


def _size(sample: Sample) -> tuple[int, int]:
    return int(sample.image.shape[-2]), int(sample.image.shape[-1])
