"""Multi-scale deformable attention (Deformable DETR, section 4.1) without a compiled operator.

Every query looks at a few places on every level, where it chooses both the places and the weights.
Two functions read the maps there and give the same numbers: `read_by_grid` with `grid_sample`,
used on a GPU, and `read_by_rows`, which a CPU does about twice as fast.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wsislib.models.mask2former.weighted_rows import weighted_rows

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
        places = []
        for height, width in shapes:
            rows = (torch.arange(height, device=device) + 0.5) / height
            columns = (torch.arange(width, device=device) + 0.5) / width
            places.append(torch.cartesian_prod(rows, columns))  # (height * width, 2) yx in 0..1
        place = torch.cat(places)  # (S, 2)
        sizes = torch.tensor(shapes, device=device, dtype=torch.float32)  # (L, 2)
        y, x = (place[:, None] * sizes - 0.5).unbind(-1)  # (S, L)
        return cls(tuple(shapes), x, y)


class DeformableAttention(nn.Module):
    """Attention of the tokens of L levels to the same tokens.

    Args:
        width: channels of a token.
        heads: of the attention; they divide `width`.
        levels: L.
        points: places that each head looks at on each level.
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
        """Heads look in different directions, points ever further; equal weights."""
        for layer in (self.value, self.out):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.look.weight)
        angle = torch.arange(self.heads) * (2 * math.pi / self.heads)
        way = torch.stack([angle.cos(), angle.sin()])  # (2, H)
        way = way / way.abs().amax(0)
        far = torch.arange(1, self.points + 1)
        offsets = (way[:, :, None, None] * far).expand(-1, -1, self.levels, -1)
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
            positions: (B or 1, S, width), added where tokens ask.
            grid: where the tokens lie.
            valid: (B, S) bool, False on tokens that nobody may read.

        Returns:
            (B, S, width).
        """
        value = self.value(x)
        if valid is not None:
            value = value * valid[..., None]
        shape = (3, self.heads, self.levels, self.points)
        looks = self.look(x + positions).float().unflatten(-1, shape)  # (B, S, 3, H, L, P)
        right, down, score = looks.unbind(2)  # (B, S, H, L, P) each
        weights = score.flatten(-2).softmax(-1).view_as(score)
        across = right + grid.x[:, None, :, None]
        along = down + grid.y[:, None, :, None]
        read = read_by_rows if x.device.type == "cpu" else read_by_grid
        values = value.float().unflatten(-1, (self.heads, -1))  # (B, S, H, D)
        return self.out(read(values, across, along, weights, grid.shapes).flatten(2))


def read_by_grid(values: Tensor, x: Tensor, y: Tensor, weights: Tensor, shapes: Shapes) -> Tensor:
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
    read = values.new_zeros(batch * heads, values.shape[-1], queries)
    start = 0
    for level, (height, width) in enumerate(shapes):
        cells = values[:, start : start + height * width]
        start += height * width
        maps = cells.permute(0, 2, 3, 1).reshape(batch * heads, -1, height, width)
        grid = torch.stack(
            [(2 * x[..., level, :] + 1) / width - 1, (2 * y[..., level, :] + 1) / height - 1], -1
        )  # (B, Q, H, P, 2)
        grid = grid.permute(0, 2, 3, 1, 4).flatten(0, 1)  # (B H, P, Q, 2)
        seen = nn.functional.grid_sample(maps, grid, align_corners=False)  # (B H, D, P, Q)
        share = weights[..., level, :].permute(0, 2, 3, 1).flatten(0, 1)  # (B H, P, Q)
        read = read + (seen * share[:, None]).sum(2)
    return read.unflatten(0, (batch, heads)).permute(0, 3, 1, 2)


def read_by_rows(values: Tensor, x: Tensor, y: Tensor, weights: Tensor, shapes: Shapes) -> Tensor:
    """`read_by_grid` as a weighted sum of rows of a table: four corners for every place."""
    batch, queries, heads, levels, points = x.shape
    device = x.device
    table, starts = _bordered(values, shapes)  # (B, S', H, D)
    size = torch.tensor(shapes, device=device, dtype=torch.int32)  # (L, 2)

    def wide(per_level: Tensor) -> Tensor:
        """(L,) to (H, L, P), so that the inner loops of what follows are long."""
        return per_level[:, None].expand(heads, levels, points).contiguous()

    height, width = wide(size[:, 0]), wide(size[:, 1])
    x = x.clamp(torch.tensor(-1.0, device=device), width.float())
    y = y.clamp(torch.tensor(-1.0, device=device), height.float())
    left, top = x.detach().floor(), y.detach().floor()
    dx, dy = x - left, y - top
    above, below = weights * (1 - dy), weights * dy
    shares = torch.stack([above * (1 - dx), above * dx, below * (1 - dx), below * dx], 3)
    # One border cell lies above and left of each level.
    row = wide(torch.tensor(starts, device=device, dtype=torch.int32)) + 1
    cell = (top.int() + 1) * (width + 3) + left.int() + row
    cell += (torch.arange(batch, device=device, dtype=torch.int32) * table.shape[1]).view(
        -1, 1, 1, 1, 1
    )
    first = cell * heads + torch.arange(heads, device=device, dtype=torch.int32).view(-1, 1, 1)
    down = (width + 3) * heads
    corners = torch.stack([first, first + heads, first + down, first + down + heads], 3)
    bags = batch * queries * heads
    rows = weighted_rows(
        table.flatten(0, 2), corners.view(bags, -1), shares.reshape(bags, -1)
    )  # (B Q H, D)
    return rows.view(batch, queries, heads, -1)


def _bordered(values: Tensor, shapes: Shapes) -> tuple[Tensor, list[int]]:
    """Levels (B, S, H, D) with a border of zeros that stands for everything outside.

    One cell before and two after, so that a place clamped to [-1, size] finds all its corners.
    """
    parts, starts, start, end = [], [], 0, 0
    for height, width in shapes:
        cells = values[:, start : start + height * width].unflatten(1, (height, width))
        parts.append(nn.functional.pad(cells, (0, 0, 0, 0, 1, 2, 1, 2)).flatten(1, 2))
        starts.append(end)
        start, end = start + height * width, end + (height + 3) * (width + 3)
    return torch.cat(parts, 1), starts
