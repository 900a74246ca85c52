"""Which of a teacher's candidates may be learnt: the gate, and rules that choose one beforehand.

WISH (Kweon and Yoon 2025) lets each query learn the candidate that is nearest to its prediction.
The rules that choose without looking at predictions are there to measure what that is worth.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Literal

import torch
from torch import Tensor

from wsislib.data.geometry import filled_boxes, masks_at_own_point, masks_at_points
from wsislib.data.sample import Candidates, Label
from wsislib.models.wish.prompt_head import entries_with_box

# "adaptive" leaves the choice to the matcher; "best" is the highest predicted IoU, "largest" and
# "smallest" go by area, "average" is the mean of the masks.
Choice = Literal["adaptive", "best", "largest", "smallest", "average"]


@dataclass(frozen=True)
class Gate:
    """Which of a teacher's candidates a query may learn (ours; the paper's public text names none).

    "The nearest to my prediction" has a degenerate solution: a bad candidate that is easy to
    predict, such as that of a dead head or one that covers whole groups, as large masks cost little
    Dice. So candidates are left out that are empty, miss their prompt, cover another entry, or have
    a predicted IoU far below the best of their prompt.

    Attributes:
        min_iou_ratio: of the predicted IoU to that of the best candidate; 0 lets all through.
        min_inside: share of a candidate's pixels that must lie in the box it was prompted with. A
            prompting point must lie on the candidate.
        max_overlap: share of another entry's box that a candidate may cover; with any below 1 it
            must also keep off other entries' points, as a pixel shows one object. Of pseudo points
            only those of other categories count: two of one category may lie on one object. 1
            turns this test off.
        min_box_iou: of a candidate's tight box with the box it was prompted with. A box that no
            candidate fits is learnt itself, filled (`unanswered`), so that a teacher which fails
            on unfamiliar images does no harm to boxes. 0 turns this test off.
    """

    min_iou_ratio: float = 0.5
    min_inside: float = 0.5
    max_overlap: float = 0.6
    min_box_iou: float = 0.0

    def __post_init__(self) -> None:
        if not all(0 <= share <= 1 for share in astuple(self)):
            raise ValueError(
                "the gate's min_iou_ratio ({}), min_inside ({}), max_overlap ({}) and min_box_iou "
                "({}) are shares in 0..1".format(*astuple(self))
            )

    def __call__(
        self, label: Label, candidates: Candidates, is_pseudo: Tensor | None = None
    ) -> Tensor:
        """Which candidates are allowed; at least one of each entry.

        Args:
            label: K entries with the points or boxes that prompted the teacher.
            candidates: M of each entry.
            is_pseudo: (K,) bool, which entries are pseudo points; None is none.

        Returns:
            (K, M) bool. Where none passes, tests are dropped one by one: predicted IoU first, then
            other entries, then the entry's own prompt, emptiness last.
        """
        masks, quality = candidates.masks, candidates.quality
        filled = masks.flatten(2).any(2)  # (K, M)
        hits = filled & self._hits(label, masks)
        alone = hits
        if self.max_overlap < 1:
            alone = hits & ~self._covers_others(label, masks, is_pseudo)
        # Relative to the best: predicted IoUs of a hard prompt, or a small SAM, are all low.
        allowed = alone & (quality >= self.min_iou_ratio * quality.amax(1, keepdim=True))
        for weaker in (alone, hits, filled, torch.ones_like(filled)):
            allowed = torch.where(allowed.any(1, keepdim=True), allowed, weaker)
        return allowed

    def unanswered(self, label: Label, candidates: Candidates) -> Tensor:
        """(K,) bool: entries whose box no candidate fits; none where `min_box_iou` is 0."""
        boxed = entries_with_box(label)
        if self.min_box_iou == 0 or label.boxes is None or not bool(boxed.any()):
            return torch.zeros_like(boxed)
        return boxed & (_tight_box_iou(candidates.masks, label.boxes) < self.min_box_iou).all(1)

    def _hits(self, label: Label, masks: Tensor) -> Tensor:
        """(K, M) bool: which masks (K, M, H, W) answer their prompt."""
        boxed = entries_with_box(label)
        hits = torch.ones(masks.shape[:2], dtype=torch.bool, device=masks.device)
        if label.boxes is not None and bool(boxed.any()):
            hits[boxed] = _share_inside(masks[boxed], label.boxes[boxed]) >= self.min_inside
            if self.min_box_iou > 0:
                hits[boxed] &= _tight_box_iou(masks[boxed], label.boxes[boxed]) >= self.min_box_iou
        if label.points is not None and not bool(boxed.all()):
            hits[~boxed] = masks_at_own_point(masks[~boxed], label.points[~boxed])
        return hits

    def _covers_others(self, label: Label, masks: Tensor, is_pseudo: Tensor | None) -> Tensor:
        """(K, M) bool: which masks (K, M, H, W) cover another entry."""
        boxed = entries_with_box(label)
        covers = torch.zeros(masks.shape[:2], dtype=torch.bool, device=masks.device)
        if label.points is not None and not bool(boxed.all()):
            covers |= _on_other_points(label, masks, ~boxed, is_pseudo)
        if label.boxes is not None and bool(boxed.any()):
            covers |= _largest_share_of_other_boxes(label, masks, boxed) > self.max_overlap
        return covers


def choose(candidates: Candidates, allowed: Tensor, choice: Choice) -> tuple[Tensor, Tensor]:
    """The candidates that a choice leaves of those `allowed` (K, M), at least one of each entry.

    Returns:
        Masks (K, M or 1, H, W), bool or, of "average", float32 shares in 0..1; and (K, M or 1)
        bool, which of them may be learnt.
    """
    masks = candidates.masks
    if choice == "adaptive":
        return masks, allowed
    if choice == "average":
        weight = allowed.float() / allowed.sum(1, keepdim=True)  # (K, M)
        mean = (masks * weight[:, :, None, None]).sum(1, keepdim=True)
        return mean, torch.ones_like(allowed[:, :1])
    area = masks.flatten(2).sum(2).float()
    rank = {"best": candidates.quality.float(), "largest": area, "smallest": -area}[choice]
    first = rank.masked_fill(~allowed, -torch.inf).argmax(1, keepdim=True)  # (K, 1)
    return masks, torch.zeros_like(allowed).scatter(1, first, True)


def _share_inside(masks: Tensor, boxes: Tensor) -> Tensor:
    """(K, M): which share of each mask (K, M, H, W) has its pixel centres in its entry's box."""
    inside = masks & filled_boxes(boxes, *masks.shape[2:]).unsqueeze(1)
    return inside.flatten(2).sum(2) / masks.flatten(2).sum(2).clamp(min=1)


def _tight_box_iou(masks: Tensor, boxes: Tensor) -> Tensor:
    """(K, M): IoU of the tight box of each mask (K, M, H, W) with its entry's box; 0 if empty."""
    # Not `mask_boxes`: candidates may be empty, and all K x M are wanted at once.
    x0, x1 = _extent(masks.any(2))  # over rows: (K, M) each
    y0, y1 = _extent(masks.any(3))
    width = (torch.minimum(x1, boxes[:, 2:3]) - torch.maximum(x0, boxes[:, 0:1])).clamp(min=0)
    height = (torch.minimum(y1, boxes[:, 3:4]) - torch.maximum(y0, boxes[:, 1:2])).clamp(min=0)
    both = width * height
    area = (boxes[:, 2:3] - boxes[:, 0:1]) * (boxes[:, 3:4] - boxes[:, 1:2])
    return both / ((x1 - x0) * (y1 - y0) + area - both).clamp(min=1e-6)


def _extent(filled: Tensor) -> tuple[Tensor, Tensor]:
    """First filled index of (K, M, S) and the one past the last, float; 0 and 0 of none."""
    size = filled.shape[2]
    index = torch.arange(size, device=filled.device)
    first = torch.where(filled, index, size).amin(2)
    past = torch.where(filled, index + 1, 0).amax(2)
    return torch.minimum(first, past).float(), past.float()


def _on_other_points(
    label: Label, masks: Tensor, pointed: Tensor, is_pseudo: Tensor | None
) -> Tensor:
    """(K, M) bool: which masks (K, M, H, W) hold a point of another entry; (K,) bool has points.

    Two entries of one category whose points are both pseudo points may be one object.
    """
    assert label.points is not None
    holds = masks_at_points(masks, label.points[pointed])  # (K, M, P)
    same = torch.eye(len(pointed), dtype=torch.bool, device=masks.device)  # (K, K)
    if is_pseudo is not None:
        alike = label.categories[:, None] == label.categories
        same = same | (alike & is_pseudo[:, None] & is_pseudo)
    return (holds & ~same[:, pointed].unsqueeze(1)).any(2)


def _largest_share_of_other_boxes(label: Label, masks: Tensor, boxed: Tensor) -> Tensor:
    """(K, M): the largest share that masks (K, M, H, W) cover of another entry's box."""
    assert label.boxes is not None
    largest = masks.new_zeros(masks.shape[:2], dtype=torch.float32)
    corners = torch.cat([label.boxes[:, :2].floor(), label.boxes[:, 2:].ceil()], 1).int().tolist()
    for entry in boxed.nonzero().flatten().tolist():
        x0, y0, x1, y1 = corners[entry]
        covered = masks[:, :, y0:y1, x0:x1].float().mean((2, 3))  # (K, M)
        covered[entry] = 0.0  # an entry's candidates may cover its own box
        largest = torch.maximum(largest, covered)
    return largest
