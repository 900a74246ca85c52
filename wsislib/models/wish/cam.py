"""Class activation maps (WISH's CAM branch): one 1x1 convolution on a map of the backbone.

Learnt from the tags of all images, as a label of any kind implies the tags (equations 18 and 19 of
the public summary).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wsislib.data.sample import Sample
from wsislib.models.mask2former.padding import Padding


@dataclass(frozen=True)
class Cams:
    """Activation maps (B, C, h, w), logits, of B images on one canvas, and where the images end."""

    maps: Tensor
    padding: Padding

    @property
    def size(self) -> tuple[int, int]:
        """(h, w)."""
        return int(self.maps.shape[-2]), int(self.maps.shape[-1])

    @property
    def valid(self) -> Tensor | None:
        """(B, 1, h, w) bool, False past the images; None where there is nothing to hide."""
        return self.padding.valid(*self.size, self.maps.device)

    def of_image(self, index: int) -> Tensor:
        """(C, h', w') of one image, without what lies past it and without gradient."""
        rows, columns = self.padding.cells(*self.size)[index]
        return self.maps[index, :, :rows, :columns].detach().float()

    def places(self, index: int, cells: Tensor, size: tuple[int, int]) -> Tensor:
        """(P, 2) float32 xy of the centres of cells (P, 2), row and column, in image `index`.

        In pixels of the image as given, of `size` (H, W); on the canvas it may have another. The
        centre of a cell that the image's end cuts is put on the last pixel.
        """
        share = cells.flip(-1).float() + 0.5  # xy of cell centres
        share = share / share.new_tensor([self.size[1], self.size[0]])  # of the canvas
        canvas, inner = self.padding.canvas, self.padding.sizes[index]
        scale = [canvas[1] * size[1] / inner[1], canvas[0] * size[0] / inner[0]]
        last = share.new_tensor([size[1] - 0.5, size[0] - 0.5])
        return torch.minimum(share * share.new_tensor(scale), last)


class CamHead(nn.Module):
    """A 1x1 convolution without bias on the backbone's map number `level`; -1 is the coarsest."""

    def __init__(self, channels: int, category_count: int, level: int = -1) -> None:
        super().__init__()
        # No bias: peaks are cells above 0, and a bias would move that line.
        self.classify = nn.Conv2d(channels, category_count, 1, bias=False)
        self.level = level

    def forward(self, maps: Mapping[str, Tensor], padding: Padding) -> Cams:
        """The backbone's maps, finest first -> activation maps."""
        return Cams(self.classify(list(maps.values())[self.level]), padding)


def tag_table(batch: Sequence[Sample], category_count: int) -> Tensor:
    """(B, C) bool: which categories each image's label names, whatever its kind."""
    device = batch[0].image.device
    tags = torch.zeros(len(batch), category_count, dtype=torch.bool, device=device)
    for row, sample in zip(tags, batch, strict=True):
        row[sample.label.categories] = True
    return tags
