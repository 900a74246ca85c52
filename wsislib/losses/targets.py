"""What a batch's queries are to find: the instances of all images, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from wsislib.data.sample import Sample
from wsislib.losses.points import read_points

_AT_ONCE = 2**24  # pixels of masks that are made float32 together


@dataclass(frozen=True)
class Targets:
    """N instances of B images, each with K masks that it may have.

    With true masks K is 1. A teacher that offers several masks an instance gives more; the
    matcher then takes the one nearest to each prediction.

    Attributes:
        image_ids: B ids, for messages.
        counts: B numbers of instances, N in all.
        categories: (N,) int64, 0..C-1.
        masks: B tensors (N_b, K, H_b, W_b) bool, at the size of each image as given.
        allowed: (N, K) bool, False on candidates that are not to be chosen; every instance has
            one at least. None allows all.
        searched: (B,) bool, False on images that hold instances which nobody has placed: queries
            that answer for none are not told that there is no object. None is all True.
    """

    image_ids: tuple[int, ...]
    counts: tuple[int, ...]
    categories: Tensor
    masks: tuple[Tensor, ...]
    allowed: Tensor | None = None
    searched: Tensor | None = None

    def __len__(self) -> int:
        return sum(self.counts)

    @property
    def candidates(self) -> int:
        """K."""
        return int(self.masks[0].shape[1])

    @cached_property
    def image(self) -> Tensor:
        """(N,) int64, which image of the batch each instance is in."""
        counts = torch.tensor(self.counts, device=self.categories.device)
        return torch.arange(len(counts), device=counts.device).repeat_interleave(counts)

    @cached_property
    def slot(self) -> Tensor:
        """(N,) int64, the place of each instance among those of its image."""
        places = [torch.arange(count) for count in self.counts]
        return torch.cat(places).to(self.categories.device)

    def read(self, points: Tensor) -> Tensor:
        """Each instance's masks at points of its own.

        Args:
            points: (N, P, 2) float32 xy in 0..1 of the instance's image.

        Returns:
            (N, K, P) float32 in 0..1.
        """
        sizes = {masks.shape[2:] for masks in self.masks}
        if len(sizes) == 1 and sum(masks.numel() for masks in self.masks) <= _AT_ONCE:
            return read_points(torch.cat(self.masks).float(), points)
        read = [
            read_points(masks.float(), place)
            for masks, place in zip(self.masks, points.split(self.counts), strict=True)
        ]
        return torch.cat(read)


def mask_targets(batch: Sequence[Sample]) -> Targets:
    """Targets of images whose every instance carries its mask.

    Raises:
        ValueError: names the image, and the entry that has no mask.
    """
    return Targets(
        image_ids=tuple(sample.image_id for sample in batch),
        counts=tuple(len(sample.label) for sample in batch),
        categories=torch.cat([sample.label.categories for sample in batch]),
        masks=tuple(_own_masks(sample) for sample in batch),
    )


def _own_masks(sample: Sample) -> Tensor:
    """(N_b, 1, H_b, W_b) bool."""
    label = sample.label
    if label.masks is not None and bool(label.has_mask.all()):
        return label.masks.unsqueeze(1)
    if len(label) == 0:
        return torch.zeros(0, 1, 1, 1, dtype=torch.bool, device=label.categories.device)
    lacking = int((~label.has_mask).int().argmax())
    raise ValueError(
        f"image {sample.image_id}: Mask2Former learns from masks, but entry {lacking} of its label "
        f"(of kind {label.kind.name}) has none. Give masks for every entry, or train a model that "
        "takes such labels."
    )
