"""What WISH's queries are to find, whatever kind of label says it.

Every instance has prompt tokens Z and K masks of which one is to be learnt. A mask-labelled one has
its own mask alone and its tight box as the prompt; the others have a teacher's candidates. No mask
of a label is read unless its entry is of kind MASK.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torchvision.ops import masks_to_boxes

from wsislib.data.sample import Label, Sample
from wsislib.losses.targets import Targets
from wsislib.models.wish.candidate_choice import Choice, Gate, choose, filled_boxes
from wsislib.models.wish.label_completion import CompletedSample
from wsislib.models.wish.prompt_head import PromptHead, PromptTeacher


@dataclass(frozen=True)
class WishTargets:
    """N instances of B images.

    Attributes:
        targets: their categories and candidate masks.
        prompts: (N, T, D) float32, Z.
        kinds: (N,) int64 of `LabelKind`, what each was told by; TAG for pseudo points.
        token: (N,) int64, which of a query's tokens is compared with each prompt; None: all.
    """

    targets: Targets
    prompts: Tensor
    kinds: Tensor
    token: Tensor | None = None


@torch.no_grad()
def wish_targets(
    batch: Sequence[CompletedSample],
    head: PromptHead,
    teacher: PromptTeacher,
    gate: Gate | None,
    choice: Choice = "adaptive",
) -> WishTargets:
    """Targets of a batch of labels of any kind.

    Args:
        batch: B images as `label_completion.taught` completed them.
        head: says the shape of prompts.
        teacher: whose prompt encoder gives Z; it sees the augmented label, since tokens move with
            the image.
        gate: leaves candidates out; None lets all through.
        choice: of one of those left, where the matcher is not to choose.
    """
    samples = [replace(one.sample, label=_with_tight_boxes(one.label)) for one in batch]
    guessed = [one.guessed for one in batch]
    offered = [_offered(*pair, gate, choice) for pair in zip(samples, guessed, strict=True)]
    most = max(masks.shape[1] for masks, _ in offered)
    searched = [one.searched for one in batch]
    device = samples[0].image.device
    targets = Targets(
        image_ids=tuple(sample.image_id for sample in samples),
        counts=tuple(len(sample.label) for sample in samples),
        categories=torch.cat([sample.label.categories for sample in samples]),
        masks=tuple(_padded(masks, most) for masks, _ in offered),
        allowed=torch.cat([_padded(allowed, most) for _, allowed in offered]),
        searched=None if all(searched) else torch.tensor(searched, device=device),
    )
    prompts = [head.wanted(sample.label, _size(sample), teacher) for sample in samples]
    chosen = [head.token_of(sample.label) for sample in samples]
    tokens = [token for token in chosen if token is not None]
    kinds = torch.cat([one.kinds for one in batch])
    return WishTargets(targets, torch.cat(prompts), kinds, torch.cat(tokens) if tokens else None)


def _offered(
    sample: Sample, guessed: Tensor, gate: Gate | None, choice: Choice
) -> tuple[Tensor, Tensor]:
    """(K, M, H, W) masks and (K, M) bool, which may be learnt; some points are `guessed`."""
    label, device = sample.label, sample.image.device
    if len(label) == 0:
        nothing = torch.zeros(0, 1, *_size(sample), dtype=torch.bool, device=device)
        return nothing, nothing[:, :, 0, 0]
    own = label.has_mask
    if bool(own.all()):
        assert label.masks is not None
        return label.masks.unsqueeze(1), torch.ones(len(label), 1, dtype=torch.bool, device=device)
    offered = label.candidates
    assert offered is not None, "the teacher was asked for every entry without a mask"
    allowed = torch.ones_like(offered.quality, dtype=torch.bool)
    unanswered = torch.zeros_like(own)
    if gate is not None:
        allowed = gate(label, offered, guessed)
        unanswered = ~own & gate.unanswered(label, offered)
    masks, allowed = choose(offered, allowed, choice)
    single = own | unanswered  # (K,), entries with one mask to learn
    if not bool(single.any()):
        return masks, allowed
    masks, first = masks.clone(), torch.zeros_like(allowed[0])
    first[0] = True
    if label.masks is not None:
        masks[own] = label.masks[own].unsqueeze(1).to(masks.dtype)
    if label.boxes is not None:
        boxes = label.boxes[unanswered]
        touched = torch.cat([boxes[:, :2].floor(), boxes[:, 2:].ceil()], 1)  # one pixel at least
        filled = filled_boxes(touched, *_size(sample))
        masks[unanswered] = filled.unsqueeze(1).to(masks.dtype)
    return masks, torch.where(single.unsqueeze(1), first, allowed)


def _with_tight_boxes(label: Label) -> Label:
    """Entries with a mask get the tight box of that mask."""
    own = label.has_mask
    if not bool(own.any()):
        return label
    assert label.masks is not None and label.boxes is not None
    boxes = label.boxes.clone()
    boxes[own] = masks_to_boxes(label.masks[own]) + boxes.new_tensor([0, 0, 1, 1])
    return replace(label, boxes=boxes)


def _padded(x: Tensor, most: int) -> Tensor:
    """(K, M, ...) -> (K, most, ...), False or 0 where nothing was."""
    if x.shape[1] == most:
        return x
    return torch.cat([x, x.new_zeros(x.shape[0], most - x.shape[1], *x.shape[2:])], 1)


def _size(sample: Sample) -> tuple[int, int]:
    return int(sample.image.shape[-2]), int(sample.image.shape[-1])
