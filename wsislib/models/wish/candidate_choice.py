"""Which of a teacher's candidates may be learnt: the gate, and rules that choose one beforehand.

WISH (Kweon and Yoon 2025) lets each query learn the candidate that is nearest to its prediction.
What that adaptive choice is worth shows beside rules that choose without looking at predictions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from wsislib.data.sample import Candidates, Label
from wsislib.models.wish.prompt_head import entries_with_box

# "adaptive" leaves the choice to the matcher; "best" is the highest predicted IoU, "largest" and
# "smallest" go by area, "average" is the mean of the masks.
Choice = Literal["adaptive", "best", "largest", "smallest", "average"]


@dataclass(frozen=True)
class Gate:
    """Which of a teacher's candidates a query may learn.

    "The nearest to my prediction" has a degenerate way out: a bad candidate that is easy to
    predict, such as one of a dead head, or of a head that draws whole groups: large masks cost
    little Dice. So some are left out: those that are empty, those that miss their prompt, those
    that take in another entry, and those whose predicted IoU is far below the best of their prompt.

    Attributes:
        least: of the predicted IoU, as a share of the best candidate's; 0 lets all through.
        inside: share of a candidate's pixels that must lie in the box it was prompted with. A
            prompting point must lie on the candidate.
        apart: share of another entry's box that a candidate may cover; with any below 1 it must
            also keep off other entries' points. They are on other objects, and a pixel shows one
            object. Of pseudo points only those of other categories count, as two of one category
            may lie on one object. 1 asks nothing.
        fit: IoU that a candidate's tight box must have with the box it was prompted with. A box
            that none of its candidates fits is learnt itself, filled (`unanswered`): so a teacher
            that fails on images unlike its own does no harm to boxes. 0 asks nothing.
    """

    least: float = 0.5
    inside: float = 0.5
    apart: float = 0.6
    fit: float = 0.0

    def __post_init__(self) -> None:
        shares = (self.least, self.inside, self.apart, self.fit)
        if not all(0 <= share <= 1 for share in shares):
            raise ValueError(
                "the gate's least ({}), inside ({}), apart ({}) and fit ({}) are shares in "
                "0..1".format(*shares)
            )

    def __call__(self, label: Label, offered: Candidates, guessed: Tensor | None = None) -> Tensor:
        """(K, M) bool: which candidates are allowed; one at least of each entry.

        `guessed` (K,) bool says whose points are pseudo points. Where none passes, the tests drop
        one by one: predicted IoU first, then other entries, then the own prompt, emptiness last.
        """
        filled = offered.masks.flatten(2).any(2)  # (K, M)
        hits = filled & self._hits(label, offered.masks)
        alone = (
            hits
            if self.apart == 1
            else hits & ~self._takes_in_others(label, offered.masks, guessed)
        )
        best = offered.quality.amax(1, keepdim=True)
        allowed = alone & (offered.quality >= self.least * best)
        for weaker in (alone, hits, filled, torch.ones_like(filled)):
            allowed = torch.where(allowed.any(1, keepdim=True), allowed, weaker)
        return allowed

    def unanswered(self, label: Label, offered: Candidates) -> Tensor:
        """(K,) bool: entries whose box no candidate fits; none where `fit` is 0."""
        boxed = entries_with_box(label)
        if self.fit == 0 or label.boxes is None or not bool(boxed.any()):
            return torch.zeros_like(boxed)
        return boxed & (_fit(offered.masks, label.boxes) < self.fit).all(1)

    def _hits(self, label: Label, masks: Tensor) -> Tensor:
        """(K, M) bool: which masks (K, M, H, W) answer their prompt."""
        boxed = entries_with_box(label)
        hits = torch.ones(masks.shape[:2], dtype=torch.bool, device=masks.device)
        if label.boxes is not None and bool(boxed.any()):
            hits[boxed] = _share_inside(masks[boxed], label.boxes[boxed]) >= self.inside
            if self.fit > 0:
                hits[boxed] &= _fit(masks[boxed], label.boxes[boxed]) >= self.fit
        if label.points is not None and not bool(boxed.all()):
            hits[~boxed] = _at(masks[~boxed], label.points[~boxed])
        return hits

    def _takes_in_others(self, label: Label, masks: Tensor, guessed: Tensor | None) -> Tensor:
        """(K, M) bool: which masks (K, M, H, W) take in another entry."""
        boxed = entries_with_box(label)
        taken = torch.zeros(masks.shape[:2], dtype=torch.bool, device=masks.device)
        if label.points is not None and not bool(boxed.all()):
            taken |= _on_other_points(label, masks, ~boxed, guessed)
        if label.boxes is not None and bool(boxed.any()):
            taken |= _most_of_other_boxes(label, masks, boxed) > self.apart
        return taken


def choose(offered: Candidates, allowed: Tensor, choice: Choice) -> tuple[Tensor, Tensor]:
    """The candidates that a choice leaves.

    Args:
        offered: of M entries, K masks each.
        allowed: (K, M) bool; one at least of each entry.
        choice: see `Choice`.

    Returns:
        Masks (K, M or 1, H, W), bool or, of "average", float32 shares in 0..1; and (K, M or 1)
        bool, which of them may be learnt.
    """
    masks = offered.masks
    if choice == "adaptive":
        return masks, allowed
    if choice == "average":
        weight = allowed.float() / allowed.sum(1, keepdim=True)  # (K, M)
        mean = (masks * weight[:, :, None, None]).sum(1, keepdim=True)
        return mean, torch.ones_like(allowed[:, :1])
    area = masks.flatten(2).sum(2).float()
    rank = {"best": offered.quality.float(), "largest": area, "smallest": -area}[choice]
    first = rank.masked_fill(~allowed, -torch.inf).argmax(1, keepdim=True)  # (K, 1)
    return masks, torch.zeros_like(allowed).scatter(1, first, True)


def _share_inside(masks: Tensor, boxes: Tensor) -> Tensor:
    """(K, M): which share of each mask (K, M, H, W) has its pixel centres in its entry's box."""
    height, width = masks.shape[2:]
    inside = masks & filled_boxes(boxes, height, width).unsqueeze(1)
    return inside.flatten(2).sum(2) / masks.flatten(2).sum(2).clamp(min=1)


def filled_boxes(boxes: Tensor, height: int, width: int) -> Tensor:
    """(K, height, width) bool: pixels whose centres (at +0.5) lie in boxes (K, 4) xyxy."""
    x = torch.arange(width, device=boxes.device) + 0.5
    y = torch.arange(height, device=boxes.device) + 0.5
    x0, y0, x1, y1 = boxes.unsqueeze(-1).unbind(1)  # (K, 1) each
    across, along = (x > x0) & (x < x1), (y > y0) & (y < y1)  # (K, W), (K, H)
    return along.unsqueeze(2) & across.unsqueeze(1)


def _fit(masks: Tensor, boxes: Tensor) -> Tensor:
    """(K, M): IoU of the tight box of each mask (K, M, H, W) with its entry's box; 0 if empty."""
    x0, x1 = _extent(masks.any(2))  # over rows: (K, M) each
    y0, y1 = _extent(masks.any(3))
    across = (torch.minimum(x1, boxes[:, 2:3]) - torch.maximum(x0, boxes[:, 0:1])).clamp(min=0)
    along = (torch.minimum(y1, boxes[:, 3:4]) - torch.maximum(y0, boxes[:, 1:2])).clamp(min=0)
    both = across * along
    wanted = (boxes[:, 2:3] - boxes[:, 0:1]) * (boxes[:, 3:4] - boxes[:, 1:2])
    return both / ((x1 - x0) * (y1 - y0) + wanted - both).clamp(min=1e-6)


def _extent(filled: Tensor) -> tuple[Tensor, Tensor]:
    """First filled place of (K, M, S) and the one past the last, float; 0 and 0 of none."""
    size = filled.shape[2]
    place = torch.arange(size, device=filled.device)
    first = torch.where(filled, place, size).amin(2)
    past = torch.where(filled, place + 1, 0).amax(2)
    return torch.minimum(first, past).float(), past.float()


def _on_other_points(
    label: Label, masks: Tensor, pointed: Tensor, guessed: Tensor | None
) -> Tensor:
    """(K, M) bool: which masks (K, M, H, W) hold a point of another entry; (K,) bool has points.

    Two entries of one category whose points are both `guessed` are no others.
    """
    assert label.points is not None
    held = at_points(masks, label.points[pointed])  # (K, M, P)
    own = torch.eye(len(pointed), dtype=torch.bool, device=masks.device)  # (K, K)
    if guessed is not None:
        alike = label.categories[:, None] == label.categories
        own = own | (alike & guessed[:, None] & guessed)
    return (held & ~own[:, pointed].unsqueeze(1)).any(2)


def at_points(masks: Tensor, points: Tensor) -> Tensor:
    """Masks (..., H, W) at points (P, 2) xy in pixels: (..., P); beyond the edge, at the edge."""
    x, y = points.long().unbind(1)
    return masks[..., y.clamp(0, masks.shape[-2] - 1), x.clamp(0, masks.shape[-1] - 1)]


def _most_of_other_boxes(label: Label, masks: Tensor, boxed: Tensor) -> Tensor:
    """(K, M): the largest share that masks (K, M, H, W) cover of another entry's box."""
    assert label.boxes is not None
    most = masks.new_zeros(masks.shape[:2], dtype=torch.float32)
    corners = torch.cat([label.boxes[:, :2].floor(), label.boxes[:, 2:].ceil()], 1).int().tolist()
    for entry in boxed.nonzero().flatten().tolist():
        x0, y0, x1, y1 = corners[entry]
        covered = masks[:, :, y0:y1, x0:x1].float().mean((2, 3))  # (K, M)
        covered[entry] = 0.0
        most = torch.maximum(most, covered)
    return most


def _at(masks: Tensor, points: Tensor) -> Tensor:
    """(K, M) bool: each mask (K, M, H, W) at its entry's point (K, 2) xy in pixels."""
    height, width = masks.shape[2:]
    x = points[:, 0].long().clamp(0, width - 1)
    y = points[:, 1].long().clamp(0, height - 1)
    return masks[torch.arange(len(points), device=masks.device), :, y, x]
