"""From backbone maps to what the queries attend to: three levels, and the mask features.

`DeformablePixelDecoder` is the paper's (Cheng et al. 2022, section 3.2 and appendix), `FPNDecoder`
a light one for the lab.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork

from wsislib.models.mask2former.deformable_attention import DeformableAttention, TokenGrid
from wsislib.models.mask2former.padding import PaddedGroupNorm, Padding, upsample
from wsislib.models.mask2former.positions import sine_positions


@dataclass(frozen=True)
class Pixels:
    """What a pixel decoder gives.

    Attributes:
        levels: (B, width, h, w) each, coarsest first: what the queries attend to.
        features: (B, D, h, w): a query's mask is its dot product with every cell.
    """

    levels: tuple[Tensor, ...]
    features: Tensor


class DeformablePixelDecoder(nn.Module):
    """Deformable self-attention over the three coarsest maps, and an FPN step to finer ones.

    Args:
        channels: of the backbone's maps, finest first; more than three.
        width: channels of everything inside.
        mask_width: D, channels of the mask features.
        layers: rounds of attention.
        heads: of the attention.
        hidden: units of the feed-forward layers.
        points: locations that each head samples on each level.
    """

    levels = 3

    def __init__(
        self,
        channels: Sequence[int],
        width: int = 256,
        mask_width: int = 256,
        layers: int = 6,
        heads: int = 8,
        hidden: int = 1024,
        points: int = 4,
    ) -> None:
        super().__init__()
        coarse = [int(c) for c in reversed(channels[-self.levels :])]
        fine = [int(c) for c in reversed(channels[: -self.levels])]
        self.project = nn.ModuleList(_Projected(c, width, 1, bias=True) for c in coarse)
        self.level = nn.Parameter(torch.randn(self.levels, width))
        self.layers = nn.ModuleList(
            DeformableLayer(width, heads, self.levels, points, hidden) for _ in range(layers)
        )
        self.lateral = nn.ModuleList(_Projected(c, width, 1, bias=False) for c in fine)
        self.smooth = nn.ModuleList(_Projected(width, width, 3, bias=False) for _ in fine)
        self.mask = nn.Conv2d(width, mask_width, 1)
        nn.init.kaiming_uniform_(self.mask.weight, a=1)

    def forward(self, maps: Mapping[str, Tensor], padding: Padding) -> Pixels:
        """Maps of the backbone, finest first, each (B, channels, h, w)."""
        given = list(maps.values())
        coarse = given[: -self.levels - 1 : -1]  # coarsest first
        outputs = self._attend(
            [p(x, padding) for p, x in zip(self.project, coarse, strict=True)], padding
        )
        last = outputs[-1]
        for lateral, smooth, x in zip(
            self.lateral, self.smooth, given[-self.levels - 1 :: -1], strict=True
        ):
            size = (int(x.shape[-2]), int(x.shape[-1]))
            merged = lateral(x, padding) + upsample(last, size, padding)
            last = smooth(padding.clear(merged), padding).relu()
        return Pixels(tuple(outputs), self.mask(last))

    def _attend(self, maps: list[Tensor], padding: Padding) -> list[Tensor]:
        """The same maps after attention among all their cells."""
        shapes = [(int(m.shape[-2]), int(m.shape[-1])) for m in maps]
        device = maps[0].device
        x = torch.cat([m.flatten(2).transpose(1, 2) for m in maps], 1)  # (B, S, width)
        # The learnt vector of the level tells cells apart that lie at the same place of two levels.
        encodings = [
            sine_positions(x.shape[-1], *shape, padding, device) + level
            for shape, level in zip(shapes, self.level, strict=True)
        ]
        positions = torch.cat(encodings, 1)  # (B or 1, S, width)
        masks = [padding.valid(*shape, device) for shape in shapes]
        valid = (
            torch.cat([m.flatten(1) for m in masks if m is not None], 1)
            if padding.matters
            else None
        )
        grid = TokenGrid.of(shapes, device)
        for layer in self.layers:
            x = layer(x, positions, grid, valid)
        parts = x.split([h * w for h, w in shapes], 1)
        return [
            p.transpose(1, 2).unflatten(2, shape) for p, shape in zip(parts, shapes, strict=True)
        ]


class DeformableLayer(nn.Module):
    """Deformable attention and a feed-forward net, each with residual and norm after it."""

    def __init__(self, width: int, heads: int, levels: int, points: int, hidden: int) -> None:
        """See `DeformablePixelDecoder`."""
        super().__init__()
        self.attention = DeformableAttention(width, heads, levels, points)
        self.attention_norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, hidden)
        self.narrow = nn.Linear(hidden, width)
        self.norm = nn.LayerNorm(width)

    def forward(
        self, x: Tensor, positions: Tensor, grid: TokenGrid, valid: Tensor | None
    ) -> Tensor:
        """(B, S, width) -> (B, S, width); arguments as of `DeformableAttention`."""
        x = self.attention_norm(x + self.attention(x, positions, grid, valid))
        return self.norm(x + self.narrow(self.widen(x).relu()))


class FPNDecoder(nn.Module):
    """A feature pyramid instead of attention: for small images and small machines.

    Args:
        channels: of the backbone's maps, finest first; at least three.
        width: channels of the pyramid.
        mask_width: D, channels of the mask features, at the finest stride.
        levels: how many of the coarsest maps the queries attend to.
    """

    def __init__(
        self, channels: Sequence[int], width: int, mask_width: int, levels: int = 3
    ) -> None:
        super().__init__()
        self.levels = levels
        self.pyramid = FeaturePyramidNetwork(list(channels), width)
        self.mask = nn.Conv2d(width, mask_width, 1)

    def forward(self, maps: Mapping[str, Tensor], padding: Padding) -> Pixels:
        """Maps of the backbone, finest first, each (B, channels, h, w)."""
        with padding.hidden_from(self):
            pyramid = list(self.pyramid(OrderedDict(maps)).values())
        return Pixels(tuple(pyramid[: -self.levels - 1 : -1]), self.mask(pyramid[0]))


class _Projected(nn.Module):
    """A convolution and group normalisation, to `width` channels."""

    def __init__(self, channels: int, width: int, kernel: int, bias: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, kernel, padding=kernel // 2, bias=bias)
        self.norm = PaddedGroupNorm(32, width)
        # As in the authors' code: projections like Deformable DETR's, FPN steps like Detectron2's.
        if self.conv.bias is None:
            nn.init.kaiming_uniform_(self.conv.weight, a=1)
        else:
            nn.init.xavier_uniform_(self.conv.weight)
            nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor, padding: Padding) -> Tensor:
        return self.norm(self.conv(x), padding)
