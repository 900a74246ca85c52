"""Sine and cosine embeddings of the positions of a map's cells (DETR, section A.4; not learnt)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wsislib.models.mask2former.padding import Padding

_TEMPERATURE = 10000.0
_EPSILON = 1e-6  # DETR's; part of the published embedding


def sine_positions(
    channels: int, height: int, width: int, padding: Padding, device: torch.device
) -> Tensor:
    """Embeddings (B or 1, height * width, channels) float32 of the cells of a map.

    Each image's own map runs from 0 to 2 pi on both axes; where all images cover the whole map
    there is one for all. `channels` is a multiple of 4: the first half is of y, the second of x.
    """
    cells = padding.cells(height, width) if padding.matters else [(height, width)]
    ends = torch.tensor(cells, device=device)  # (B or 1, 2)
    y = _waves(height, ends[:, :1], channels // 2)  # (B, height, channels / 2)
    x = _waves(width, ends[:, 1:], channels // 2)  # (B, width, channels / 2)
    y = y[:, :, None].expand(-1, -1, width, -1)
    x = x[:, None].expand(-1, height, -1, -1)
    return torch.cat([y, x], -1).flatten(1, 2)


def _waves(cells: int, ends: Tensor, channels: int) -> Tensor:
    """(B, cells, channels): sine and cosine in turn, of wavelengths that grow geometrically."""
    # From 1, not from a half, as in DETR's code: trained weights depend on it.
    index = torch.arange(1, cells + 1, device=ends.device, dtype=torch.float32)
    angle = index / (ends + _EPSILON) * (2 * math.pi)  # (B, cells)
    step = torch.arange(channels // 2, device=ends.device, dtype=torch.float32) * 2 / channels
    phase = angle[..., None] / _TEMPERATURE**step  # (B, cells, channels / 2)
    return torch.stack([phase.sin(), phase.cos()], -1).flatten(-2)
