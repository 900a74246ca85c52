"""A scene: its pixels and their ground truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from wsislib.data.transforms import tight_boxes
from wsislib.data.world.layout import Layout, WorldObject
from wsislib.data.world.render import PART_BIT

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class ScenePart:
    """A visible part of an instance: its place in the scene's instances and its mask."""

    parent: int
    mask: Bools


@dataclass(frozen=True)
class Scene:
    """One drawn scene of K labelled instances."""

    image: NDArray[np.uint8]  # (H, W, 3) RGB
    categories: NDArray[np.int64]  # (K,) indices
    # (H, W): instance k is seen where the low seven bits are k + 1; the high bit is set on the
    # pixels of its part.
    id_map: NDArray[np.uint8]
    objects: tuple[WorldObject, ...]  # the K instances' parameters
    layout: Layout  # everything that was drawn, instances without a label and clutter too

    @property
    def masks(self) -> Bools:
        """(K, H, W) bool: visible pixels of each instance; no pixel belongs to two."""
        return masks_of(self.id_map, len(self.objects))

    @property
    def boxes(self) -> NDArray[np.float32]:
        """(K, 4) float32 xyxy in pixels: the tight boxes of the masks."""
        return tight_boxes(torch.from_numpy(self.masks)).numpy()

    @property
    def groups(self) -> NDArray[np.int64]:
        """(K,) int64: instances of one group overlap on purpose (a host and its rider)."""
        return np.array([thing.group for thing in self.objects], dtype=np.int64)

    @property
    def parts(self) -> tuple[ScenePart, ...]:
        """Visible parts of instances that hold 10 to 90 % of the instance's visible pixels."""
        parts = []
        for parent in range(len(self.objects)):
            mask = np.equal(self.id_map, np.uint8(parent + 1) | PART_BIT)
            area = int(mask.sum())
            whole = area + int((self.id_map == parent + 1).sum())
            if 0.1 * whole <= area <= (1 - 0.1) * whole and area > 0:
                parts.append(ScenePart(parent, mask))
        return tuple(parts)

    @property
    def levels(self) -> tuple[Bools, NDArray[np.uint8], NDArray[np.int64]]:
        """Everything that a point prompt may mean: masks of parts, objects and groups.

        Masks (M, H, W) bool, level (M,) uint8 and owner (M,) int64. Level 0 is a part (owner: its
        instance; a part and the rest of its object are two), 1 an object (owner: itself), 2 a
        group of two objects or more (owner: its first instance).
        """
        whole, groups = self.masks, self.groups
        rows: list[tuple[Bools, int, int]] = []
        for part in self.parts:
            rest = np.logical_and(whole[part.parent], ~part.mask)
            rows += [(part.mask, 0, part.parent), (rest, 0, part.parent)]
        rows += [(np.asarray(mask), 1, owner) for owner, mask in enumerate(whole)]
        for group in np.unique(groups):
            members = np.flatnonzero(groups == group)
            if len(members) > 1:
                rows.append((np.logical_or.reduce(whole[members]), 2, int(members[0])))
        masks = np.stack([mask for mask, _, _ in rows]) if rows else whole
        level = np.array([level for _, level, _ in rows], dtype=np.uint8)
        return masks, level, np.array([owner for _, _, owner in rows], dtype=np.int64)


def masks_of(id_map: NDArray[np.uint8], count: int) -> Bools:
    """(count, H, W) bool masks of an id map."""
    numbers = np.arange(1, count + 1, dtype=np.uint8)[:, None, None]
    return (id_map & ~PART_BIT)[None] == numbers
