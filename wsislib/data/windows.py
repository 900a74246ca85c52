"""Square windows of photographs: what a SAM is trained on, and how it looks closer at a box.

A window may reach past the photograph; there it is filled with the colour that normalises to 0, as
SAM's own padding is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from wsislib.data.sample import Sample
from wsislib.data.transforms import random_flip, tight_boxes

LEAST_PIXELS = 16  # of a mask in a window; a smaller one is not an object to learn


@dataclass(frozen=True)
class SquareWindow:
    """A square of `size` x `size` pixels of an image, its corner at column `left` and row `top`."""

    left: int
    top: int
    size: int

    def cut(self, maps: Tensor, fill: Tensor | float) -> Tensor:
        """(C, H, W) -> (C, size, size), `fill` where the window leaves the image."""
        height, width = maps.shape[-2:]
        x0, y0 = max(self.left, 0), max(self.top, 0)
        x1, y1 = min(self.left + self.size, width), min(self.top + self.size, height)
        canvas = maps.new_zeros(maps.shape[0], self.size, self.size) + fill
        if x0 < x1 and y0 < y1:
            inside = maps[:, y0:y1, x0:x1]
            canvas[:, y0 - self.top : y1 - self.top, x0 - self.left : x1 - self.left] = inside
        return canvas

    def paste(self, maps: Tensor, size: Sequence[int], fill: float) -> Tensor:
        """(C, size, size) -> (C, H, W) of an image of `size` (H, W), `fill` past the window."""
        height, width = size
        canvas = maps.new_full((maps.shape[0], height, width), fill)
        x0, y0 = max(self.left, 0), max(self.top, 0)
        x1, y1 = min(self.left + self.size, width), min(self.top + self.size, height)
        if x0 < x1 and y0 < y1:
            inside = maps[:, y0 - self.top : y1 - self.top, x0 - self.left : x1 - self.left]
            canvas[:, y0:y1, x0:x1] = inside
        return canvas


def box_window(box: Tensor, context: float) -> SquareWindow:
    """The window around a box (4,) xyxy: `context` times its longer side, centred."""
    x0, y0, x1, y1 = box.tolist()
    size = max(8, math.ceil(context * max(x1 - x0, y1 - y0)))
    return SquareWindow(round((x0 + x1 - size) / 2), round((y0 + y1 - size) / 2), size)


def scaled(image: Tensor, side: int) -> Tensor:
    """(3, h, w) -> (3, side, side), bilinear with antialiasing."""
    if image.shape[-2:] == (side, side):
        return image
    resized = F.interpolate(
        image[None], (side, side), mode="bilinear", align_corners=False, antialias=True
    )
    return resized[0].clamp(0, 1)


@dataclass(frozen=True)
class ViewRule:
    """How training windows are drawn.

    Attributes:
        side: of the window as the model sees it, pixels.
        close: share of windows around one object; the others hold the whole photograph or a part.
        context: a close window is so many times the object's longer side, from and to.
        shift: how far the object is off its centre at most, as a share of the free margin.
        scale: the longer side of the photograph in other windows, in windows, from and to.
        colour: largest change of brightness, contrast and saturation, as a share.
        fill: (3,) what lies past the photograph, in 0..1.
    """

    side: int
    fill: tuple[float, float, float]
    close: float = 0.5
    context: tuple[float, float] = (1.1, 2.5)
    shift: float = 0.8
    scale: tuple[float, float] = (0.6, 1.6)
    colour: float = 0.3

    def __call__(self, sample: Sample, generator: torch.Generator) -> Sample:
        """A random window of `sample` whose label has masks; entries that vanish are left out."""
        draws = torch.rand(8, generator=generator).tolist()
        close = draws[0] < self.close and len(sample.label) > 0
        window = self._close(sample, draws) if close else self._wide(sample, draws)
        moved = self._view(sample, window)
        moved = replace(moved, image=_recoloured(moved.image, self.colour, draws[5:8]))
        return random_flip(moved, generator)

    def _close(self, sample: Sample, draws: list[float]) -> SquareWindow:
        boxes = sample.label.boxes
        assert boxes is not None
        sides = (boxes[:, 2:] - boxes[:, :2]).amax(1)
        # Larger objects more often: small ones have few pixels to learn an outline from.
        share = (sides / sides.sum()).cumsum(0)
        entry = min(int((share < draws[1]).sum()), len(boxes) - 1)
        low, high = self.context
        around = box_window(boxes[entry], low * (high / low) ** draws[2])
        free = self.shift * (around.size - float(sides[entry])) / 2
        dx, dy = (round(free * (2 * draw - 1)) for draw in draws[3:5])
        return SquareWindow(around.left + dx, around.top + dy, around.size)

    def _wide(self, sample: Sample, draws: list[float]) -> SquareWindow:
        height, width = sample.image.shape[-2:]
        low, high = self.scale
        size = max(16, round(max(height, width) / (low * (high / low) ** draws[2])))
        # Like the teacher's own frame where all fits: the photograph in the upper left corner.
        left = int(draws[3] * max(0, width - size + 1))
        top = int(draws[4] * max(0, height - size + 1))
        return SquareWindow(left, top, size)

    def _view(self, sample: Sample, window: SquareWindow) -> Sample:
        label = sample.label
        assert label.masks is not None
        fill = sample.image.new_tensor(self.fill)[:, None, None]
        image = scaled(window.cut(sample.image, fill), self.side)
        centres = ((2 * torch.arange(self.side) + 1) * window.size) // (2 * self.side)
        masks = window.cut(label.masks, False)[:, centres][:, :, centres]
        keep = masks.flatten(1).sum(1) >= LEAST_PIXELS
        masks = masks[keep]
        kept = replace(label[keep], masks=masks, boxes=tight_boxes(masks))
        return replace(sample, image=image, label=kept)


def _recoloured(image: Tensor, most: float, draws: list[float]) -> Tensor:
    """Brightness, contrast and saturation each times 1 +- `most`."""
    brightness, contrast, saturation = (1 + most * (2 * draw - 1) for draw in draws)
    grey = image.mean(0, keepdim=True)
    image = grey + saturation * (image - grey)
    mean = image.mean()
    return (brightness * (mean + contrast * (image - mean))).clamp(0, 1)
