"""The photo SAM: the `segment_anything` package's own classes on a backbone from ImageNet.

Kirillov et al., "Segment Anything" (2023), section 3. Prompt encoder, mask decoder, two-way
transformer and the module around them are the package's. Deviations: the image encoder is an
EfficientNet-Lite0 whose levels are joined at stride 8, images are 192 px instead of 1,024, and the
width is 128 instead of 256; so it fits a laptop and 12 MB.
"""

from __future__ import annotations

import torch
from segment_anything.modeling import Sam
from segment_anything.modeling.common import LayerNorm2d
from torch import Tensor, nn
from torch.nn import functional as F

from wsislib.models.efficientnet_lite import LITE_MEAN, LITE_STD, efficientnet_lite
from wsislib.models.sam.small_sam import small_sam

PHOTO_SIDE = 192  # of the image, pixels
PHOTO_STRIDE = 8  # of the image embedding
PHOTO_WIDTH = 128  # D, of image embedding, prompt tokens and transformer


class PhotoImageEncoder(nn.Module):
    """EfficientNet-Lite0 with all of its levels brought to stride 8.

    The coarser levels come up as in a feature pyramid, the finer ones down by strided convolutions,
    which keep edges: the mask decoder sees this one map only.

    Attributes:
        img_size: side of the images it takes, pixels; the package's classes read it.
    """

    def __init__(self, width: int, side: int, fetch: bool) -> None:
        """Build an encoder of `side` px images into maps of `width` channels."""
        super().__init__()
        self.img_size = side
        self.body = efficientnet_lite("lite0", fetch=fetch)
        at_2, at_4, at_8, at_16, at_32 = self.body.channels
        self.from_2 = nn.Conv2d(at_2, width, PHOTO_STRIDE // 2, PHOTO_STRIDE // 2)
        self.from_4 = nn.Conv2d(at_4, width, PHOTO_STRIDE // 4, PHOTO_STRIDE // 4)
        self.from_8 = nn.Conv2d(at_8, width, 1)
        self.from_16 = nn.Conv2d(at_16, width, 1)
        self.from_32 = nn.Conv2d(at_32, width, 1)
        self.coarse = nn.Conv2d(width, width, 3, padding=1)
        self.norm = LayerNorm2d(width)
        self.mix = nn.Conv2d(width, width, 3, padding=1)
        self.out = LayerNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, side, side) normalised -> (B, width, side / 8, side / 8)."""
        at_2, at_4, at_8, at_16, at_32 = self.body(x).values()
        coarse = self.from_16(at_16) + _twice(self.from_32(at_32))
        coarse = coarse + self.coarse(F.gelu(coarse))
        total = self.from_2(at_2) + self.from_4(at_4) + self.from_8(at_8) + _twice(coarse)
        return self.out(total + self.mix(F.gelu(self.norm(total))))


def photo_sam(
    seed: int = 0, width: int = PHOTO_WIDTH, side: int = PHOTO_SIDE, fetch: bool = True
) -> Sam:
    """A photo SAM: its backbone from ImageNet, the rest random.

    Args:
        seed: of the random weights, and of the prompt encoder's random frequencies.
        width: D, of image embedding, prompt tokens and transformer.
        side: of the images, pixels; a multiple of 32.
        fetch: False leaves the backbone random, for a checkpoint to fill.

    Raises:
        ValueError: the package with the backbone's weights is not installed.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = PhotoImageEncoder(width, side, fetch)
        mean, std = ([255 * value for value in values] for values in (LITE_MEAN, LITE_STD))
        return small_sam(encoder, width, side, PHOTO_STRIDE, mean, std)


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
