"""The prompt head of WISH (Kweon and Yoon 2025): each query says the prompt of its instance.

What it is to say, Z, are the tokens that a frozen SAM's prompt encoder has for the instance's
point or box. The paper's public text leaves the shape of Z open. "mean" is one token: that of the
point, or the mean of the box's two corners. "both" are the two tokens as the package gives them: a
point and its padding, or two corners.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from wsislib.data.sample import Label, LabelKind
from wsislib.models.sam import Candidates, Embedded, Prompts, Size

Tokens = Literal["mean", "both"]


class PromptTeacher(Protocol):
    """What WISH asks of a teacher; `sam.Teacher` is one.

    It is no part of the model: not trained, not saved with it, not counted. Its answers carry no
    gradient.
    """

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        ...

    def to(self, device: torch.device | str) -> PromptTeacher:
        """Move it."""
        ...

    def prompt_embeddings(self, prompts: Prompts, size: Size) -> Tensor:
        """(N, 2, D) float32 tokens of N prompts on an image of `size` (H, W)."""
        ...

    def embed(self, images: Sequence[Tensor]) -> Embedded:
        """Images (3, H, W), ready for any number of prompts."""
        ...

    def candidates(
        self, images: Sequence[Tensor] | Embedded, prompts: Sequence[Prompts]
    ) -> list[Candidates]:
        """Candidate masks for each image's prompts."""
        ...


class PromptHead(nn.Module):
    """A three-layer MLP on the states of every decoder layer's queries.

    Args:
        width: of the states.
        hidden: units of the inner layers.
        token_width: D, of the teacher's tokens.
        tokens: shape of the prompt.
    """

    def __init__(self, width: int, hidden: int, token_width: int, tokens: Tokens = "mean") -> None:
        super().__init__()
        if tokens not in ("mean", "both"):
            raise ValueError(f"prompt tokens {tokens!r}: use 'mean' or 'both'")
        self.tokens = tokens
        self.count = 1 if tokens == "mean" else 2
        self.layers = nn.Sequential(
            nn.Linear(width, hidden), nn.ReLU(),
            nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, self.count * token_width),
        )  # fmt: skip

    def forward(self, states: Tensor) -> Tensor:
        """(L, B, Q, width) -> Z_hat (L, B, Q, T, D)."""
        return self.layers(states).unflatten(-1, (self.count, -1))

    def wanted(self, label: Label, size: Size, teacher: PromptTeacher) -> Tensor:
        """Z of every entry of a label, from its box where it has one, else from its point.

        Args:
            label: K entries, none of them a tag; all on the teacher's device.
            size: (H, W) of the image.
            teacher: whose tokens.

        Returns:
            (K, T, D) float32 without gradient.
        """
        boxed = entries_with_box(label)
        if bool(boxed.all()):
            assert label.boxes is not None
            return self._shaped(teacher.prompt_embeddings(Prompts(boxes=label.boxes), size), True)
        assert label.points is not None
        points = Prompts(points=label.points[~boxed])
        of_points = self._shaped(teacher.prompt_embeddings(points, size), False)
        found = of_points.new_empty(len(label), *of_points.shape[1:])
        found[~boxed] = of_points
        if bool(boxed.any()):
            assert label.boxes is not None
            prompts = Prompts(boxes=label.boxes[boxed])
            found[boxed] = self._shaped(teacher.prompt_embeddings(prompts, size), True)
        return found

    def _shaped(self, tokens: Tensor, boxes: bool) -> Tensor:
        """(N, 2, D) -> (N, T, D)."""
        if self.tokens == "both":
            return tokens
        return tokens.mean(1, keepdim=True) if boxes else tokens[:, :1]


def entries_with_box(label: Label) -> Tensor:
    """(K,) bool: which entries are of kind BOX or MASK."""
    if label.kinds is not None:
        return label.kinds >= int(LabelKind.BOX)
    return torch.full_like(label.categories, label.kind >= LabelKind.BOX, dtype=torch.bool)
