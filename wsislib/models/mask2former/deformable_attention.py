"""Multi-scale deformable attention (Deformable DETR, section 4.1) without a compiled operator.

Every query samples each level at a few locations; it predicts both the locations and the weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Shapes = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class TokenGrid:
    """Where S tokens, those of L levels one after the other, lie on each of the levels.

    Attributes:
        shapes: L pairs (height, width).
        x: (S, L) float32, the token's centre in cells of each level; cell centres are whole.
        y: likewise.
    """

    shapes: tuple[tuple[int, int], ...]
    x: Tensor
    y: Tensor

    @classmethod
    def of(cls, shapes: Shapes, device: torch.device) -> TokenGrid:
        """The grid of levels that all cover the same canvas."""
        centres = []
        for height, width in shapes:
            rows = (torch.arange(height, device=device) + 0.5) / height
            columns = (torch.arange(width, device=device) + 0.5) / width
            centres.append(torch.cartesian_prod(rows, columns))  # (height * width, 2) yx in 0..1
        sizes = torch.tensor(shapes, device=device, dtype=torch.float32)  # (L, 2)
        # -0.5: from continuous coordinates to indices of cells, whose centres are whole numbers.
        y, x = (torch.cat(centres)[:, None] * sizes - 0.5).unbind(-1)  # (S, L)
        return cls(tuple(shapes), x, y)


class DeformableAttention(nn.Module):
    """Attention of the tokens of L levels to the same tokens.

    Args:
        width: channels of a token.
        heads: of the attention; they divide `width`.
        levels: L.
        points: locations that each head samples on each level.
    """

    def __init__(self, width: int, heads: int = 8, levels: int = 3, points: int = 4) -> None:
        super().__init__()
        self.heads, self.levels, self.points = heads, levels, points
        # Rows: x offsets, y offsets, attention; each by head, level, point.
        self.look = nn.Linear(width, 3 * heads * levels * points)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self._start()

    def _start(self) -> None:
        """Deformable DETR's start: a direction for each head, points 1, 2, ... cells away."""
        for layer in (self.value, self.out):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.look.weight)  # at first the locations do not depend on the query
        angle = torch.arange(self.heads) * (2 * math.pi / self.heads)
        direction = torch.stack([angle.cos(), angle.sin()])  # (2, H)
        direction = direction / direction.abs().amax(0)
        distance = torch.arange(1, self.points + 1)
        offsets = (direction[:, :, None, None] * distance).expand(-1, -1, self.levels, -1)
        with torch.no_grad():
            self.look.bias.copy_(
                torch.cat([offsets.flatten(), torch.zeros_like(offsets[0]).flatten()])
            )

    def forward(
        self, x: Tensor, positions: Tensor, grid: TokenGrid, valid: Tensor | None = None
    ) -> Tensor:
        """One round of attention, without residual and norm.

        Args:
            x: (B, S, width) tokens.
            positions: (B or 1, S, width), added to the queries only.
            grid: where the tokens lie.
            valid: (B, S) bool, False on tokens whose values are 0.

        Returns:
            (B, S, width).
        """
        value = self.value(x)
        if valid is not None:
            value = value * valid[..., None]
        shape = (3, self.heads, self.levels, self.points)
        # float32: in bfloat16 a location on a large map would be off by whole cells.
        predicted = self.look(x + positions).float().unflatten(-1, shape)  # (B, S, 3, H, L, P)
        dx, dy, score = predicted.unbind(2)  # (B, S, H, L, P) each
        # One softmax over all levels and points: a head may ignore a level altogether.
        weights = score.flatten(-2).softmax(-1).view_as(score)
        x_at, y_at = dx + grid.x[:, None, :, None], dy + grid.y[:, None, :, None]
        values = value.float().unflatten(-1, (self.heads, -1))  # (B, S, H, D)
        return self.out(sample_levels(values, x_at, y_at, weights, grid.shapes).flatten(2))


def sample_levels(values: Tensor, x: Tensor, y: Tensor, weights: Tensor, shapes: Shapes) -> Tensor:
    """Weighted sums of bilinear samples, zero outside the maps.

    Args:
        values: (B, S, H, D), the cells of L levels one after the other.
        x: (B, Q, H, L, P) in cells of the level; cell centres are whole.
        y: likewise.
        weights: likewise.
        shapes: L pairs (height, width), S = the sum of their products.

    Returns:
        (B, Q, H, D).
    """
    batch, queries, heads = x.shape[:3]
    total = values.new_zeros(batch * heads, values.shape[-1], queries)
    start = 0
    for level, (height, width) in enumerate(shapes):
        cells = values[:, start : start + height * width]
        start += height * width
        maps = cells.permute(0, 2, 3, 1).reshape(batch * heads, -1, height, width)
        # `grid_sample` counts from -1 to 1 between the outer edges of a map.
        grid = torch.stack(
            [(2 * x[..., level, :] + 1) / width - 1, (2 * y[..., level, :] + 1) / height - 1], -1
        )  # (B, Q, H, P, 2)
        grid = grid.permute(0, 2, 3, 1, 4).flatten(0, 1)  # (B H, P, Q, 2)
        sampled = nn.functional.grid_sample(maps, grid, align_corners=False)  # (B H, D, P, Q)
        weight = weights[..., level, :].permute(0, 2, 3, 1).flatten(0, 1)  # (B H, P, Q)
        total = total + (sampled * weight[:, None]).sum(2)
    return total.unflatten(0, (batch, heads)).permute(0, 3, 1, 2)
