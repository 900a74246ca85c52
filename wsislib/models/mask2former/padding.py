"""Where the images of a padded batch end, and how a network is kept from seeing past them.

Images of different sizes are put into the upper left corners of one canvas. With the padding
hidden, every image is treated as it would be alone, whatever else is in the batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_READS_NEIGHBOURS = (nn.Conv2d, nn.MaxPool2d)


class Padding:
    """The sizes of B images on one canvas.

    Args:
        sizes: B pairs (height, width) in pixels of the canvas.
        canvas: its (height, width), a multiple of every stride that is asked for.
        hidden: whether padding is to be kept from the network; if not, it is image.
    """

    def __init__(
        self, sizes: Sequence[tuple[int, int]], canvas: tuple[int, int], hidden: bool = True
    ) -> None:
        self.sizes, self.canvas, self.hidden = tuple(sizes), canvas, hidden
        self.matters = hidden and any(size != canvas for size in self.sizes)
        self._masks: dict[tuple[int, int, torch.device], Tensor] = {}

    def cells(self, height: int, width: int) -> list[tuple[int, int]]:
        """How many rows and columns of a map of (height, width) each image covers.

        A cell counts where its first pixel does: the rule by which strided convolutions grow
        their maps, ceil(size / stride).
        """
        if not self.matters:
            return [(height, width)] * len(self.sizes)
        stride_y, stride_x = self.canvas[0] // height, self.canvas[1] // width
        return [(-(-h // stride_y), -(-w // stride_x)) for h, w in self.sizes]

    def valid(self, height: int, width: int, device: torch.device) -> Tensor | None:
        """(B, 1, height, width) bool, True on the images; None where there is nothing to hide."""
        if not self.matters:
            return None
        key = (height, width, device)
        if key not in self._masks:
            ends = torch.tensor(self.cells(height, width), device=device)
            rows = torch.arange(height, device=device) < ends[:, :1]  # (B, height)
            columns = torch.arange(width, device=device) < ends[:, 1:]  # (B, width)
            self._masks[key] = (rows[:, :, None] & columns[:, None, :]).unsqueeze(1)
        return self._masks[key]

    def clear(self, x: Tensor) -> Tensor:
        """(B, C, h, w) with zeros past the images."""
        valid = self.valid(int(x.shape[-2]), int(x.shape[-1]), x.device)
        return x if valid is None else x * valid

    def extents(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """What each image covers of the canvas and what losses may look at, each (B, 2) xy in 0..1.

        They are the same where padding is hidden; else losses may look at the whole canvas.
        """
        sizes = torch.tensor(self.sizes, dtype=torch.float32, device=device)
        covered = (sizes / torch.tensor(self.canvas, dtype=torch.float32, device=device)).flip(-1)
        return covered, covered if self.hidden else torch.ones_like(covered)

    @contextmanager
    def hidden_from(self, module: nn.Module) -> Iterator[None]:
        """Within, every layer of `module` that reads neighbours reads zeros past the images.

        That is what its own zero padding would give at the border of each image alone. Max pooling
        pads with minus infinity, so it must follow a ReLU, as it does in every ResNet. Other
        layers that mix cells (average pooling, squeeze-and-excitation, group norm) are not looked
        after; see `PaddedGroupNorm`.
        """
        if not self.matters:
            yield
            return

        def clear(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return (self.clear(inputs[0]), *inputs[1:])

        hooks = [
            layer.register_forward_pre_hook(clear)
            for layer in module.modules()
            if isinstance(layer, _READS_NEIGHBOURS) and layer.kernel_size not in (1, (1, 1))
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


class PaddedGroupNorm(nn.GroupNorm):
    """Group normalisation with the statistics of the images alone."""

    def forward(self, x: Tensor, padding: Padding | None = None) -> Tensor:
        """(B, C, h, w) -> the same shape; what lies past an image is left undefined."""
        size = (int(x.shape[-2]), int(x.shape[-1]))
        valid = None if padding is None else padding.valid(*size, x.device)
        if valid is None:
            return super().forward(x)
        grouped = x.float().unflatten(1, (self.num_groups, -1))  # (B, G, C / G, h, w)
        weight = valid.unsqueeze(1).float()  # (B, 1, 1, h, w)
        count = weight.sum((2, 3, 4), keepdim=True) * grouped.shape[2]
        mean = (grouped * weight).sum((2, 3, 4), keepdim=True) / count
        variance = ((grouped - mean).square() * weight).sum((2, 3, 4), keepdim=True) / count
        normal = ((grouped - mean) * (variance + self.eps).rsqrt()).flatten(1, 2)
        return (normal * self.weight[:, None, None] + self.bias[:, None, None]).to(x.dtype)


def upsample(x: Tensor, size: tuple[int, int], padding: Padding) -> Tensor:
    """Bilinear (B, C, h, w) -> (B, C, *size) that reads nothing past the images.

    At an image's end it repeats the last cell, as interpolation does at the border of a map.
    """

    def resize(y: Tensor) -> Tensor:
        return nn.functional.interpolate(y, size=size, mode="bilinear", align_corners=False)

    valid = padding.valid(int(x.shape[-2]), int(x.shape[-1]), x.device)
    if valid is None:
        return resize(x)
    share = resize(valid.to(x.dtype))  # how much of each value came from the image
    return resize(x * valid) / share.clamp(min=1e-6)
