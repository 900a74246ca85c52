"""The targets of a batch's queries: the instances of all images, concatenated."""

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

    With true masks K is 1, with a teacher's candidates more; the matcher then takes the one
    nearest to each prediction.

    Attributes:
        image_ids: B ids, for messages.
        counts: B numbers of instances, N in all.
        categories: (N,) int64, 0..C-1.
        masks: B tensors (N_b, K, H_b, W_b) bool, at the size of each image as given.
        allowed: (N, K) bool, False on candidates that are not to be chosen; every instance has
            at least one. None allows all.
        background_known: (B,) bool, False on images that hold instances at unknown places: there,
            queries without an instance are not told "no object". None is all True.
    """

    image_ids: tuple[int, ...]
    counts: tuple[int, ...]
    categories: Tensor
    masks: tuple[Tensor, ...]
    allowed: Tensor | None = None
    background_known: Tensor | None = None

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
        """(N,) int64, the index of each instance among those of its image."""
        slots = [torch.arange(count) for count in self.counts]
        return torch.cat(slots).to(self.categories.device)

    def read(self, points: Tensor) -> Tensor:
        """Masks (N, K, P) in 0..1 at points (N, P, 2), xy in 0..1 of each instance's image."""
        sizes = {masks.shape[2:] for masks in self.masks}
        if len(sizes) == 1 and sum(masks.numel() for masks in self.masks) <= _AT_ONCE:
            return read_points(torch.cat(self.masks).float(), points)
        values = [
            read_points(masks.float(), own)
            for masks, own in zip(self.masks, points.split(self.counts), strict=True)
        ]
        return torch.cat(values)


def mask_targets(batch: Sequence[Sample]) -> Targets:
    """Targets of images whose every instance carries its mask.

    Raises:
        ValueError: names the image, and the entry that has no mask.
    """
    return Targets(
        image_ids=tuple(sample.image_id for sample in batch),
        counts=tuple(len(sample.label) for sample in batch),
        categories=torch.cat([sample.label.categories for sample in batch]),
        masks=tuple(_all_masks(sample) for sample in batch),
    )


def _all_masks(sample: Sample) -> Tensor:
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
