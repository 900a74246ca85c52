"""Many masks of one large image as runs of equal pixels, so that none needs to be whole.

Three candidates for each of 300 boxes on a photograph of 24 megapixels are 21 GB as pixels and a
few hundred kilobytes as runs. Masks are made from small crops, and read one at a time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.int64]
_LONGEST = 2**32 - 1  # of a stored run


@dataclass(frozen=True)
class MaskCrop:
    """A mask that is False outside a window: (h, w) bool, its first pixel at row `top`, `left`."""

    mask: npt.NDArray[np.bool_]
    top: int
    left: int


@dataclass(frozen=True)
class MaskRuns:
    """Masks of `shape` (..., H, W), row by row through all of them.

    Attributes:
        shape: of the masks.
        edges: (2 R,) where R runs of True begin and end, in rising order, as flat indices.
    """

    shape: tuple[int, ...]
    edges: Places

    @classmethod
    def of_masks(cls, masks: npt.NDArray[np.bool_]) -> MaskRuns:
        """Of masks (..., H, W) bool that are there as pixels."""
        flat = masks.reshape(-1)
        edges = np.flatnonzero(np.diff(flat, prepend=False, append=False))
        return cls(masks.shape, edges.astype(np.int64))

    @classmethod
    def empty(cls, height: int, width: int) -> MaskRuns:
        """One mask of H x W pixels without any, (1, H, W)."""
        return cls((1, height, width), np.zeros(0, dtype=np.int64))

    @classmethod
    def of_crop(cls, crop: MaskCrop, height: int, width: int) -> MaskRuns:
        """Of one mask of H x W pixels, (1, H, W), of which a crop is given."""
        steps = np.diff(np.pad(crop.mask, ((0, 0), (1, 1))).view(np.int8), axis=1)  # (h, w + 1)
        found = []
        for step in (1, -1):  # where the runs of a row begin and where they end
            row, column = np.nonzero(steps == step)
            found.append((crop.top + row) * width + crop.left + column)
        return cls((1, height, width), _joined(np.stack(found, axis=1).reshape(-1)))

    @classmethod
    def stack(cls, parts: Sequence[MaskRuns], shape: tuple[int, ...]) -> MaskRuns:
        """The masks of some parts after each other, as masks of `shape`."""
        starts = np.cumsum([0, *(math.prod(part.shape) for part in parts)], dtype=np.int64)
        assert starts[-1] == math.prod(shape)
        moved = [part.edges + start for part, start in zip(parts, starts[:-1], strict=True)]
        return cls(shape, _joined(np.concatenate([np.zeros(0, dtype=np.int64), *moved])))

    @classmethod
    def of_stored(cls, shape: tuple[int, ...], runs: npt.NDArray[np.uint32]) -> MaskRuns:
        """From `stored`; ValueError where the runs do not add up to the masks' pixels."""
        ends = np.cumsum(runs, dtype=np.int64)
        total = int(ends[-1]) if len(ends) else 0
        if min(shape, default=0) < 0 or total != math.prod(shape):
            raise ValueError(f"runs of {total} pixels for masks of shape {shape}")
        if (runs[1:] == 0).any():  # of a run that was cut in parts
            places, times = np.unique(ends, return_counts=True)
            ends = places[times % 2 == 1]
        return cls(shape, ends if len(ends) % 2 == 0 else ends[:-1])

    def stored(self) -> npt.NDArray[np.uint32]:
        """Lengths of runs, background first, each in 32 bits; longer ones are cut in parts."""
        total = math.prod(self.shape)
        ends = self.edges if len(self.edges) and self.edges[-1] == total else [*self.edges, total]
        runs = np.diff(np.asarray(ends, dtype=np.int64), prepend=0)
        for place in np.flatnonzero(runs > _LONGEST)[::-1]:
            parts = -(-int(runs[place]) // _LONGEST)
            pieces = [_LONGEST] * (parts - 1) + [int(runs[place]) - (parts - 1) * _LONGEST]
            between = [value for piece in pieces for value in (piece, 0)][:-1]
            runs = np.concatenate([runs[:place], between, runs[place + 1 :]])
        return runs.astype("<u4")

    def __len__(self) -> int:
        """How many masks there are, of all leading dimensions."""
        return math.prod(self.shape[:-2])

    def mask(self, index: int) -> npt.NDArray[np.bool_]:
        """(H, W) bool, the mask at a flat index of the leading dimensions."""
        pixels = self.shape[-2] * self.shape[-1]
        edges = self._of_mask(index)
        runs = np.diff(edges, prepend=0, append=pixels)
        return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(self.shape[-2:])

    def filled(self) -> npt.NDArray[np.bool_]:
        """Of each mask whether it has a pixel, in the shape of the leading dimensions."""
        some = [len(self._of_mask(index)) > 0 for index in range(len(self))]
        return np.array(some, dtype=bool).reshape(self.shape[:-2])

    def pixels(self) -> npt.NDArray[np.bool_]:
        """All masks, (..., H, W); they take as many bytes as they have pixels."""
        runs = np.diff(self.edges, prepend=0, append=math.prod(self.shape))
        return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(self.shape)

    def _of_mask(self, index: int) -> Places:
        """Edges of one mask, from its first pixel; always an even number."""
        pixels = self.shape[-2] * self.shape[-1]
        low, high = np.searchsorted(self.edges, [index * pixels, (index + 1) * pixels])
        edges = self.edges[low:high] - index * pixels
        if low % 2:  # one began before; it may end where this mask begins
            ends_here = len(edges) > 0 and edges[0] == 0
            edges = edges[1:] if ends_here else np.concatenate([[0], edges])
        return edges if len(edges) % 2 == 0 else np.concatenate([edges, [pixels]])


def _joined(edges: Places) -> Places:
    """Edges in which no run ends where the next one begins."""
    twice = edges[1:-1:2] == edges[2::2]
    keep = np.ones(len(edges), dtype=bool)
    keep[1:-1] = np.repeat(~twice, 2)
    return edges[keep]
