"""Images of any size on one canvas: normalised, resized where asked, padded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from wsislib.models.mask2former.padding import Padding

Resize = Literal["never", "predicting", "always"]


@dataclass(frozen=True)
class ImageBatch:
    """A batch of B images on one canvas.

    Attributes:
        pixels: (B, 3, H, W) float32, normalised, 0 past the images.
        padding: where each image ends.
        originals: B pairs (height, width) of the images as given.
    """

    pixels: Tensor
    padding: Padding
    originals: tuple[tuple[int, int], ...]


class Preprocess(nn.Module):
    """Normalises, resizes and pads.

    Args:
        mean: of red, green, blue, in 0..1.
        std: likewise.
        divisor: the canvas is a multiple of it: the coarsest stride of the network.
        side: shortest side wanted and longest side allowed, pixels; as torchvision's detectors.
        resize: when images are brought to `side`. "predicting" leaves training images at the size
            that large-scale jitter gave them.
        hide_padding: see `Padding`.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        divisor: int,
        side: tuple[int, int] = (800, 1333),
        resize: Resize = "never",
        hide_padding: bool = True,
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)
        self.divisor, self.side, self.resize = divisor, side, resize
        self.hide_padding = hide_padding

    def forward(self, images: Sequence[Tensor], training: bool) -> ImageBatch:
        """B images, each (3, h, w) float32 in 0..1, as one batch."""
        originals = tuple((int(i.shape[-2]), int(i.shape[-1])) for i in images)
        if self.resize == "always" or (self.resize == "predicting" and not training):
            images = [self._resized(image) for image in images]
        sizes = [(int(i.shape[-2]), int(i.shape[-1])) for i in images]
        height = self._rounded(max(h for h, _ in sizes))
        width = self._rounded(max(w for _, w in sizes))
        pixels = images[0].new_zeros(len(images), 3, height, width)
        pixels = pixels.contiguous(memory_format=torch.channels_last)  # convolutions prefer it
        for canvas, image, (h, w) in zip(pixels, images, sizes, strict=True):
            # After normalising, so that padding is 0 = the mean colour, not black.
            canvas[:, :h, :w] = (image - self.mean) / self.std
        return ImageBatch(pixels, Padding(sizes, (height, width), self.hide_padding), originals)

    def _rounded(self, side: int) -> int:
        return -(-side // self.divisor) * self.divisor

    def _resized(self, image: Tensor) -> Tensor:
        """(3, h, w) at the wanted shortest side, or less where the longest would be too long."""
        size = (int(image.shape[-2]), int(image.shape[-1]))
        scale = min(self.side[0] / min(size), self.side[1] / max(size))
        new = tuple(max(1, round(s * scale)) for s in size)
        if new == size:
            return image
        return nn.functional.interpolate(
            image[None], size=new, mode="bilinear", align_corners=False
        )[0]
