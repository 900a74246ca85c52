"""Backbones with a feature pyramid: a small one for the lab, torchvision's ResNets for the paper.

Every backbone maps (B, 3, H, W) to an ordered dict of maps "0", "1", ..., finest first, each half
the size of the one before. Mask R-CNN takes one with a pyramid: all maps of `out_channels`
channels, and `strides`, how much coarser than the image each map is. Mask2Former takes one without
(`SmallResNet`, the `body` of `resnet_fpn`); its builder gives the maps' channels to the pixel
decoder and the coarsest stride to `Preprocess`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal
from urllib.error import URLError

import torch
from torch import Tensor, nn
from torchvision.models import ResNet50_Weights, ResNet101_Weights, resnet50, resnet101
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.ops import FeaturePyramidNetwork, FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

ResNetName = Literal["resnet50", "resnet101"]
# Of red, green and blue in 0..1; torchvision's published weights expect them.
IMAGENET_MEAN, IMAGENET_STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a skip connection (He et al. 2016, figure 2)."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        """Map `channels` to `width` channels at 1 / `stride` of the size."""
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)  # the norm has a bias
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.skip: nn.Module = nn.Identity()
        if stride != 1 or channels != width:
            conv = nn.Conv2d(channels, width, 1, stride, bias=False)
            self.skip = nn.Sequential(conv, nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, width, H / stride, W / stride)."""
        y = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(y)) + self.skip(x))


class SmallResNet(nn.Module):
    """A small ResNet that starts at stride 2 instead of 4, for small images and objects.

    Objects in the lab's scenes are 10 to 50 px wide; a stem of stride 4 would leave their masks
    no detail.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        """Build one residual stage per width, at strides 2, 4, 8, ..."""
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], 3, 2, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()
        )
        channels = (widths[0], *widths[:-1])
        self.stages = nn.ModuleList(
            ResidualBlock(i, o, 1 if level == 0 else 2)
            for level, (i, o) in enumerate(zip(channels, widths, strict=True))
        )

    def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:
        """(B, 3, H, W) -> maps "0", "1", ... of `widths` channels at strides 2, 4, ..."""
        maps: OrderedDict[str, Tensor] = OrderedDict()
        x = self.stem(x)  # (B, widths[0], H/2, W/2)
        for level, stage in enumerate(self.stages):
            x = stage(x)  # (B, widths[level], H / 2 ** (level + 1), ...)
            maps[str(level)] = x
        return maps


class SmallFPN(nn.Module):
    """`SmallResNet` under torchvision's feature pyramid."""

    def __init__(self, widths: Sequence[int], out_channels: int) -> None:
        """Build a pyramid of `out_channels` channels with one level per width."""
        super().__init__()
        self.out_channels = out_channels
        self.strides = tuple(2 ** (level + 1) for level in range(len(widths)))
        self.body = SmallResNet(widths)
        self.fpn = FeaturePyramidNetwork(list(widths), out_channels)

    def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:
        """(B, 3, H, W) -> maps "0", "1", ..., each (B, out_channels, H / s, W / s)."""
        return self.fpn(self.body(x))


class ResNetFPN(BackboneWithFPN):
    """torchvision's ResNet-FPN with its strides written down: 4, 8, 16, 32 and a pooled 64."""

    strides = (4, 8, 16, 32, 64)


def resnet_fpn(name: ResNetName, pretrained: bool, fetch: bool = True) -> ResNetFPN:
    """ResNet-50 or -101 with FPN, as the published Mask R-CNN uses it.

    Pretrained: ImageNet weights, batch norm frozen, stem and first stage frozen (Detectron's
    `FREEZE_AT: 2`). From scratch: batch norm learns and nothing is frozen, because frozen
    statistics of random weights would train nothing. `fetch=False` builds the pretrained form
    without its weights, for a checkpoint to fill.

    Raises:
        ValueError: pretrained weights are asked for and can be neither found nor fetched.
    """
    build, weights = {
        "resnet50": (resnet50, ResNet50_Weights.IMAGENET1K_V1),
        "resnet101": (resnet101, ResNet101_Weights.IMAGENET1K_V1),
    }[name]
    norm = FrozenBatchNorm2d if pretrained else nn.BatchNorm2d
    try:
        body = build(weights=weights if pretrained and fetch else None, norm_layer=norm)
    except (URLError, OSError) as error:
        raise ValueError(
            f"pretrained weights of {name} are not in torch's cache and could not be fetched "
            f"from {weights.url} ({error}). Put that file into "
            f"{torch.hub.get_dir()}/checkpoints, or train from scratch by saying so "
            "(pretrained=False; `wsis train --from-scratch`)."
        ) from error
    if pretrained:
        for part in (body.conv1, body.layer1):
            part.requires_grad_(False)
    layers = {f"layer{i}": str(i - 1) for i in (1, 2, 3, 4)}
    return ResNetFPN(body, layers, [256, 512, 1024, 2048], 256, LastLevelMaxPool())
