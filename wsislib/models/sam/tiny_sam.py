"""The tiny SAM: the `segment_anything` package's own classes, small enough to ship with the book.

Kirillov et al., "Segment Anything" (2023), section 3: an image encoder, a prompt encoder and a
mask decoder with three candidates and a predicted IoU for each. Prompt encoder, mask decoder,
two-way transformer and the module around them are the package's; only their widths are ours.
Deviations: the image encoder is convolutional (a ViT of this size learnt far more slowly), images
are 96 px instead of 1,024, and the embedding has stride 8 instead of 16, because the lab's objects
are 10 to 50 px wide.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from segment_anything.modeling import Sam
from segment_anything.modeling.common import LayerNorm2d
from torch import Tensor, nn
from torch.nn import functional as F

from wsislib.models.backbone import SmallResNet
from wsislib.models.sam.small_sam import small_sam

SIDE = 96  # of the image, pixels
STRIDE = 8  # of the image embedding
WIDTHS = (32, 64, 96, 128)  # of the backbone's stages, at strides 2, 4, 8 and 16


class TinyImageEncoder(nn.Module):
    """`SmallResNet` with all of its levels brought to stride 8.

    The finer levels come down by strided convolutions, which keep edges: the mask decoder sees
    this one map only.

    Attributes:
        img_size: side of the images it takes, pixels; the package's classes read it.
    """

    def __init__(self, width: int, side: int = SIDE, widths: Sequence[int] = WIDTHS) -> None:
        """Build an encoder of `side` px images into maps of `width` channels."""
        super().__init__()
        self.img_size = side
        self.body = SmallResNet(widths)
        fine, middle, level, coarse = widths
        self.from_fine = nn.Conv2d(fine, width, STRIDE // 2, STRIDE // 2)
        self.from_middle = nn.Conv2d(middle, width, STRIDE // 4, STRIDE // 4)
        self.from_level = nn.Conv2d(level, width, 1)
        self.from_coarse = nn.Conv2d(coarse, width, 1)
        self.norm = LayerNorm2d(width)
        self.mix = nn.Conv2d(width, width, 3, padding=1)
        self.out = LayerNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, side, side) normalised -> (B, width, side / 8, side / 8)."""
        fine, middle, level, coarse = self.body(x).values()  # strides 2, 4, 8, 16
        total = self.from_fine(fine) + self.from_middle(middle) + self.from_level(level)
        total = total + F.interpolate(self.from_coarse(coarse), scale_factor=2.0)  # nearest
        return self.out(total + self.mix(F.gelu(self.norm(total))))


def tiny_sam(
    seed: int = 0, width: int = 64, side: int = SIDE, widths: Sequence[int] = WIDTHS
) -> Sam:
    """A small SAM with random weights.

    Args:
        seed: of the weights, and of the prompt encoder's random frequencies.
        width: D, of image embedding, prompt tokens and transformer.
        side: of the images, pixels; a multiple of 16.
        widths: of the backbone's four stages.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return small_sam(TinyImageEncoder(width, side, widths), width, side, STRIDE)
