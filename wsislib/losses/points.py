"""Points instead of pixels: masks are compared at a few thousand points (PointRend, section 3.3).

Between cell centres, which lie at + 0.5, a map is interpolated bilinearly; outside it is 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, grid_sample


@dataclass(frozen=True)
class PointSampling:
    """How many points are taken, and how.

    Attributes:
        count: P, points a mask. The paper's 12,544 is 112 x 112.
        oversample: how many times P random points are drawn to choose uncertain ones from.
        importance: share of P that are chosen where the prediction is least certain; the others
            are random.
    """

    count: int = 12544
    oversample: float = 3.0
    importance: float = 0.75


def read_points(maps: Tensor, points: Tensor) -> Tensor:
    """Maps (R, C, h, w) at points (R, P, 2) xy in 0..1: (R, C, P), in the dtype of the maps."""
    if maps.shape[0] == 0:
        return maps.new_zeros(0, maps.shape[1], points.shape[1])
    grid = (2.0 * points - 1.0).unsqueeze(1).to(maps.dtype)  # (R, 1, P, 2)
    return grid_sample(maps, grid, align_corners=False).squeeze(2)


def random_points(
    count: int, points: int, extent: Tensor, generator: torch.Generator | None
) -> Tensor:
    """(count, points, 2) float32, uniform from 0 to `extent` ((2,) or (count, 2) xy)."""
    device = generator.device if generator is not None else extent.device
    drawn = torch.rand(count, points, 2, device=device, generator=generator).to(extent.device)
    return drawn * (extent if extent.dim() == 1 else extent[:, None])


@torch.no_grad()
def uncertain_points(
    maps: Tensor, extent: Tensor, how: PointSampling, generator: torch.Generator | None
) -> Tensor:
    """Points (N, L, P, 2) xy in 0..1 of N instances and L layers, most where a mask is undecided.

    The candidates among which uncertain points are chosen are the same for all layers of an
    instance, and so are the random points that are added.

    Args:
        maps: (N, L, h, w) float32 mask logits.
        extent: (N, 2) xy in 0..1, the part of the map to draw from.
        how: numbers of points.
        generator: draws them; None is torch's global one.
    """
    count, layers = maps.shape[:2]
    drawn = random_points(count, int(how.count * how.oversample), extent, generator)
    chosen = int(how.importance * how.count)
    certainty = read_points(maps, drawn).abs()  # (N, L, 3 P)
    # Floats from 0 on are in the order of their bits, and whole numbers are selected faster.
    order = certainty.view(torch.int32).topk(chosen, dim=-1, largest=False, sorted=False).indices
    pairs = torch.view_as_complex(drawn).unsqueeze(1).expand(-1, layers, -1)  # x and y in one
    uncertain = torch.view_as_real(pairs.gather(2, order))
    others = random_points(count, how.count - chosen, extent, generator)
    return torch.cat([uncertain, others.unsqueeze(1).expand(-1, layers, -1, -1)], 2)


@dataclass(frozen=True)
class SharedPoints:
    """The same P points for many maps of each of B images, prepared once.

    Attributes:
        cells: (B P, 4) int32, the four cells around each point, counted over all B maps.
        shares: (B P, 4) float32, their bilinear weights; 0 for a cell outside.
        images: B.
    """

    cells: Tensor
    shares: Tensor
    images: int

    @classmethod
    def of(cls, points: Tensor, height: int, width: int) -> SharedPoints:
        """Points (B, P, 2) xy in 0..1 of maps of (height, width)."""
        size = torch.tensor([width, height], device=points.device)
        place = points * size - 0.5  # in cells; whole numbers are cell centres
        first = place.floor()
        far = place - first  # (B, P, 2)
        x, y = (torch.stack([at, at + 1], -1) for at in first.int().unbind(-1))  # (B, P, 2) each
        across, along = (torch.stack([1 - part, part], -1) for part in far.unbind(-1))
        across = across * ((x >= 0) & (x < width))
        along = along * ((y >= 0) & (y < height))
        rows = torch.arange(len(points), device=points.device, dtype=torch.int32) * height
        row = y.clamp(0, height - 1) + rows[:, None, None]
        cells = row.unsqueeze(-1) * width + x.clamp(0, width - 1).unsqueeze(-2)  # (B, P, 2, 2)
        shares = along.unsqueeze(-1) * across.unsqueeze(-2)
        return cls(cells.flatten(2).flatten(0, 1), shares.flatten(2).flatten(0, 1), len(points))

    def read(self, maps: Tensor) -> Tensor:
        """Maps (B, cells, C) float32, row by row, at the points: (B, P, C). No gradient."""
        rows = maps.detach().flatten(0, 1)
        values = embedding_bag(self.cells, rows, mode="sum", per_sample_weights=self.shares)
        return values.unflatten(0, (self.images, -1))


class PointLogits:
    """Mask logits of many queries at points (B, P, 2) of features (B, D, h, w). No gradient.

    Interpolation and multiplication commute, so the cheaper one comes first: features are read
    once for all queries, unless the maps have fewer cells than there are points.
    """

    def __init__(self, features: Tensor, points: Tensor) -> None:
        height, width = int(features.shape[2]), int(features.shape[3])
        self.points = SharedPoints.of(points, height, width)
        self.rows = features.detach().float().flatten(2).transpose(1, 2)  # (B, cells, D)
        self.read = 2 * height * width >= points.shape[1]
        if self.read:
            self.rows = self.points.read(self.rows)  # (B, P, D)

    def __call__(self, embeddings: Tensor) -> Tensor:
        """(B, Q, D) float32 -> (B, P, Q)."""
        logits = self.rows @ embeddings.transpose(1, 2)
        return logits if self.read else self.points.read(logits)
