"""The prompt head of WISH (Kweon and Yoon 2025): each query predicts the prompt of its instance.

The target Z (equation 11 of the public summary) are the tokens that a frozen SAM's prompt encoder
gives for the instance's point or box. That summary leaves the shape of Z open. "mean" is one token:
that of the point, or the mean of the box's two corners. "both" are the two tokens as the package
gives them: a point and its padding, or two corners. "by-kind" is ours: the query predicts two
tokens, one for a point and one for a box, and an instance is compared with that of its own kind.
Tokens of points and of boxes lie far apart, and no image shows by which of them it was labelled:
where kinds are mixed, a single token has to guess. Where they are not, "by-kind" does what "mean"
does.

The paper's head sees the query's state. One that sees "mask" is ours: it also gets what the query's
mask would be as a prompt, see `prompts_from_masks.py` for why.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from wsislib.data.sample import Label, LabelKind
from wsislib.models.sam.prompts import Prompts, Size
from wsislib.models.sam.sam import Teacher

Tokens = Literal["mean", "both", "by-kind"]
Sees = Literal["state", "mask"]
MASK_TOKENS = 3  # of a query's mask as a prompt: a point's and a box's two corners


class PromptHead(nn.Module):
    """A three-layer MLP on the states of every decoder layer's queries.

    One that sees masks has their tokens beside the state, and a linear skip connection.

    Args:
        width: of the states.
        hidden: units of the inner layers.
        token_width: D, of the teacher's tokens.
        tokens: shape of the prompt.
        sees: the query's state alone, or its mask too.
    """

    def __init__(
        self,
        width: int,
        hidden: int,
        token_width: int,
        tokens: Tokens = "mean",
        sees: Sees = "state",
    ) -> None:
        super().__init__()
        if tokens not in get_args(Tokens):
            raise ValueError(f"prompt tokens {tokens!r}: use 'mean', 'both' or 'by-kind'")
        self.tokens, self.sees, self.token_width = tokens, sees, token_width
        self.count = 1 if tokens == "mean" else 2
        extra = MASK_TOKENS * token_width if sees == "mask" else 0
        self.layers = nn.Sequential(
            nn.Linear(width + extra, hidden), nn.ReLU(),
            nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, self.count * token_width),
        )  # fmt: skip
        # Both tokens come from the same encoder: a linear skip can learn to copy.
        self.past = nn.Linear(extra, self.count * token_width) if extra else None

    def forward(self, states: Tensor, mask_tokens: Tensor | None = None) -> Tensor:
        """Z_hat (L, B, Q, T, D); "by-kind", a point's token, then a box's.

        Args:
            states: (L, B, Q, width).
            mask_tokens: (L, B, Q, 3, D) of `prompts_from_masks`, for a head that sees masks.
        """
        assert (mask_tokens is None) == (self.past is None), (
            "a head that sees masks is given their tokens"
        )
        if mask_tokens is None or self.past is None:
            return self.layers(states).unflatten(-1, (self.count, -1))
        flat = mask_tokens.flatten(-2).to(states.dtype)  # (L, B, Q, 3 D)
        tokens = self.layers(torch.cat([states, flat], -1)) + self.past(flat)
        return tokens.unflatten(-1, (self.count, -1))

    def targets(self, label: Label, size: Size, teacher: Teacher) -> Tensor:
        """Z (K, T, D) float32 of every entry, from its box where it has one, else from its point.

        Args:
            label: K entries, none of them a tag; all on the teacher's device.
            size: (H, W) of the image.
            teacher: whose tokens. "by-kind" gives (K, 1, D), see `token_of`.
        """
        sets = entry_prompts(label)
        shaped = [
            self._shaped(teacher.prompt_embeddings(prompts, size), prompts.boxes is not None)
            for _, prompts in sets
        ]
        return in_place([rows for rows, _ in sets], shaped)

    def token_of(self, label: Label) -> Tensor | None:
        """(K,) int64, which predicted token is compared with each entry's; None: all of them."""
        return entries_with_box(label).long() if self.tokens == "by-kind" else None

    def of_boxes(self, prompts: Tensor) -> Tensor:
        """Of Z_hat (..., T, D) the tokens of a box, for a mask decoder."""
        return prompts[..., 1:, :] if self.tokens == "by-kind" else prompts

    def _shaped(self, tokens: Tensor, boxes: bool) -> Tensor:
        """(N, 2, D) -> (N, T, D)."""
        if self.tokens == "both":
            return tokens
        # The second token of a point is SAM's padding, the same for all: it says nothing.
        return tokens.mean(1, keepdim=True) if boxes else tokens[:, :1]


def entry_prompts(label: Label) -> list[tuple[Tensor, Prompts]]:
    """A label as one or two sets of prompts for SAM: (K,) bool rows and their prompts.

    Boxes of the entries of kind BOX or MASK, points of those of kind POINT; tags are in neither.
    One set where all are alike, and where there are none.
    """
    boxed = entries_with_box(label)
    pointed = label.entry_kinds == int(LabelKind.POINT)
    sets: list[tuple[Tensor, Prompts]] = []
    if label.boxes is not None and bool(boxed.any()):
        sets.append((boxed, Prompts(boxes=label.boxes[boxed])))
    if label.points is not None and bool(pointed.any()):
        sets.append((pointed, Prompts(points=label.points[pointed])))
    if not sets:  # an empty set, so that results have the shape of none
        nowhere = torch.zeros(0, 2, device=label.categories.device)
        sets.append((pointed, Prompts(points=nowhere)))
    return sets


def in_place(rows: Sequence[Tensor], parts: Sequence[Tensor]) -> Tensor:
    """Parts (N_i, ...) at their rows, each (K,) bool: (K, ...), other rows 0."""
    if len(parts) == 1 and len(parts[0]) == len(rows[0]):
        return parts[0]
    whole = parts[0].new_zeros(len(rows[0]), *parts[0].shape[1:])
    for where, part in zip(rows, parts, strict=True):
        whole[where] = part
    return whole


def entries_with_box(label: Label) -> Tensor:
    """(K,) bool: which entries are of kind BOX or MASK."""
    return label.entry_kinds >= int(LabelKind.BOX)


def check_width(head: PromptHead, teacher: Teacher) -> None:
    """Refuse a teacher whose tokens have another width than a prompt head's.

    Raises:
        ValueError: the widths differ; names both.
    """
    if head.token_width != teacher.width:
        raise ValueError(
            f"the prompt head predicts tokens of width {head.token_width}, but teacher "
            f"{teacher.name!r} reads tokens of width {teacher.width}; take the teacher that this "
            "WISH was trained with"
        )
