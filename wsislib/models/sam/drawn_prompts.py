"""Prompts to train and to evaluate a SAM with, drawn from true masks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import box_iou

MOST_TRUTHS = 3  # as many as there are candidates


@dataclass(frozen=True)
class DrawnPrompts:
    """N prompts on one image, each with the masks that it may mean.

    Attributes:
        points: (N_p, 2) float32 xy, the first N_p prompts.
        boxes: (N_b, 4) float32 xyxy, the others; N = N_p + N_b.
        truths: (N, 3) int64, indices of masks; the first is the one that the prompt was drawn
            from. Where there are fewer than three the first is repeated.
        valid: (N, 3) bool, which of them are there.
    """

    points: Tensor
    boxes: Tensor
    truths: Tensor
    valid: Tensor

    def to(self, device: torch.device) -> DrawnPrompts:
        """The same prompts on `device`."""
        fields = (self.points, self.boxes, self.truths, self.valid)
        return DrawnPrompts(*(field.to(device) for field in fields))


@dataclass(frozen=True)
class PromptRule:
    """How prompts are drawn.

    Attributes:
        count: N prompts an image, half of them points (rounded up).
        jitter: standard deviation of a box's sides, as a share of the box.
        least_fit: a box may also mean a mask whose own box has at least this IoU with it.
    """

    count: int = 32
    jitter: float = 0.03
    least_fit: float = 0.75


def draw_prompts(
    masks: Tensor, boxes: Tensor, weight: Tensor, rule: PromptRule, generator: torch.Generator
) -> DrawnPrompts:
    """Draw masks by weight, then a random pixel or a jittered box of each.

    Args:
        masks: (M, H, W) bool, none empty; M at least 1.
        boxes: (M, 4) float32 xyxy, tight.
        weight: (M,) float above 0: how often a mask is drawn.
        rule: how many, and how.
        generator: a CPU generator, as masks are expected there.
    """
    drawn = torch.multinomial(weight, rule.count, replacement=True, generator=generator)
    half = (rule.count + 1) // 2
    flat = masks.flatten(1)
    pixels = random_pixels(flat[drawn[:half]], generator)
    hit = flat[:, pixels].T  # (half, M)
    fits = box_iou(boxes[drawn[half:]], boxes) >= rule.least_fit  # (N - half, M)
    truths, valid = _likeliest(torch.cat([hit, fits]), drawn, weight)
    width = masks.shape[2]
    points = torch.stack([pixels % width, pixels // width], dim=1).float() + 0.5  # pixel centres
    given = jitter_boxes(boxes[drawn[half:]], rule.jitter, masks.shape[1:], generator)
    return DrawnPrompts(points, given, truths, valid)


def random_pixels(flat: Tensor, generator: torch.Generator) -> Tensor:
    """(N,) int64: a random True place in each row of (N, S) bool."""
    return torch.multinomial(flat.float(), 1, generator=generator)[:, 0]


def jitter_boxes(
    boxes: Tensor, share: float, size: torch.Size | tuple[int, ...], generator: torch.Generator
) -> Tensor:
    """Move each side of (N, 4) boxes by a normal draw, `share` of the box wide.

    A box that would leave fewer than one pixel stays as it was; all stay inside the image of
    `size` (H, W).
    """
    sides = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    moved = boxes + share * sides * torch.randn(boxes.shape, generator=generator)
    limit = boxes.new_tensor([size[1], size[0]]).repeat(2)
    moved = torch.minimum(moved.clamp(min=0), limit)
    sound = ((moved[:, 2:] - moved[:, :2]) >= 1).all(dim=1, keepdim=True)
    return torch.where(sound, moved, boxes)


def _likeliest(meant: Tensor, drawn: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The drawn mask and the two heaviest others of those meant, (N, M) bool."""
    order = meant * weight  # (N, M)
    order.scatter_(1, drawn[:, None], torch.inf)
    top = order.topk(min(MOST_TRUTHS, order.shape[1]), dim=1)
    missing = MOST_TRUTHS - top.indices.shape[1]
    truths = torch.cat([top.indices, drawn[:, None].expand(-1, missing)], dim=1)
    valid = torch.cat([top.values > 0, meant.new_zeros(len(drawn), missing)], dim=1)
    return torch.where(valid, truths, drawn[:, None]), valid
