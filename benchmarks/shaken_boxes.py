"""Proposals near true objects: an untrained detector proposes few, and its mask head idles."""

from __future__ import annotations

import torch
from torch import Tensor

ADDED = 256  # boxes of true objects among the proposals; 128 are taken
SHAKEN = 0.1  # by up to this part of their sides


def shaken(boxes: Tensor, count: int = ADDED) -> Tensor:
    """(count, 4) boxes near the true ones (N, 4) of an image."""
    boxes = boxes[torch.arange(count, device=boxes.device) % len(boxes)]
    sides = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    return boxes + (2 * torch.rand_like(boxes) - 1) * SHAKEN * sides
