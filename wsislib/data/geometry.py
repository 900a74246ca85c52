"""Masks, boxes and points: what one says of another. Empty input gives empty output.

Coordinates are continuous: pixel (column j, row i) covers j..j+1 and i..i+1, its centre lies at
(j + 0.5, i + 0.5). A tight box of columns 3 to 5 therefore is 3..6.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import masks_to_boxes


def pairwise_mask_iou(first: Tensor, second: Tensor) -> Tensor:
    """IoU of all pairs: (..., N, S) and (..., M, S) bool over S pixels -> (..., N, M) float32.

    0 where both are empty. Counts of pixels are exact up to 2 ** 24.
    """
    with torch.autocast(first.device.type, enabled=False):  # bfloat16 cannot count beyond 256
        one, other = first.float(), second.float()
        both = one @ other.transpose(-1, -2)
        either = one.sum(-1, keepdim=True) + other.sum(-1).unsqueeze(-2) - both
        return both / either.clamp(min=1)


def mask_boxes(masks: Tensor) -> Tensor:
    """Tight boxes of masks (N, H, W) bool, none empty: (N, 4) float32 xyxy in pixels."""
    boxes = masks_to_boxes(masks)  # indices of the first and the last pixel
    return boxes + boxes.new_tensor([0, 0, 1, 1])  # to the far edge of the last pixel


def filled_boxes(boxes: Tensor, height: int, width: int) -> Tensor:
    """(N, height, width) bool: pixels whose centres lie in boxes (N, 4) xyxy."""
    x = torch.arange(width, device=boxes.device) + 0.5
    y = torch.arange(height, device=boxes.device) + 0.5
    x0, y0, x1, y1 = boxes.unsqueeze(-1).unbind(1)  # (N, 1) each
    columns, rows = (x > x0) & (x < x1), (y > y0) & (y < y1)  # (N, width), (N, height)
    return rows.unsqueeze(2) & columns.unsqueeze(1)


def masks_at_points(masks: Tensor, points: Tensor) -> Tensor:
    """Masks (..., H, W) at points (P, 2) xy in pixels: (..., P); beyond the edge, at the edge."""
    x, y = _pixels(points, masks)
    return masks[..., y, x]


def masks_at_own_point(masks: Tensor, points: Tensor) -> Tensor:
    """Masks (N, ..., H, W), each entry at its point of (N, 2) xy in pixels: (N, ...)."""
    x, y = _pixels(points, masks)
    return masks[torch.arange(len(points), device=masks.device), ..., y, x]


def _pixels(points: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Column and row of the pixel that each point lies in."""
    x, y = points.long().unbind(1)  # truncation: the pixel at index j covers j..j+1
    return x.clamp(0, masks.shape[-1] - 1), y.clamp(0, masks.shape[-2] - 1)
