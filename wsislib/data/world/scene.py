"""A scene: its pixels and everything that is true about them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsislib.data.world.objects import Layout, WorldObject
from wsislib.data.world.render import PART_BIT

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class ScenePart:
    """A visible part of an instance: its place in the scene's instances and its mask."""

    parent: int
    mask: Bools


@dataclass(frozen=True)
class Scene:
    """One drawn scene of K labelled instances.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        categories: (K,) int64 indices.
        id_map: (H, W) uint8: instance k is seen where the low seven bits are k + 1; the high
            bit is set on the pixels of its part.
        objects: the K instances' parameters.
        layout: everything that was drawn, instances without a label and clutter too.
    """

    image: NDArray[np.uint8]
    categories: NDArray[np.int64]
    id_map: NDArray[np.uint8]
    objects: tuple[WorldObject, ...]
    layout: Layout

    @property
    def masks(self) -> Bools:
        """(K, H, W) bool: visible pixels of each instance; no pixel belongs to two."""
        return masks_of(self.id_map, len(self.objects))

    @property
    def boxes(self) -> NDArray[np.float32]:
        """(K, 4) float32 xyxy in pixels: the tight boxes of the masks."""
        return tight_boxes(self.masks)

    @property
    def groups(self) -> NDArray[np.int64]:
        """(K,) int64: instances of one group overlap on purpose (a host and its rider)."""
        return np.array([thing.group for thing in self.objects], dtype=np.int64)

    @property
    def parts(self) -> tuple[ScenePart, ...]:
        """Visible parts of instances; the rest of the parent is seen too."""
        return parts_of(self.id_map, len(self.objects))

    @property
    def levels(self) -> tuple[Bools, NDArray[np.uint8], NDArray[np.int64]]:
        """Masks of parts, objects and groups, as `levels_of` says."""
        return levels_of(self.id_map, self.groups)


def masks_of(id_map: NDArray[np.uint8], count: int) -> Bools:
    """(count, H, W) bool masks of an id map."""
    numbers = np.arange(1, count + 1, dtype=np.uint8)[:, None, None]
    return (id_map & ~PART_BIT)[None] == numbers


def levels_of(
    id_map: NDArray[np.uint8], groups: NDArray[np.int64]
) -> tuple[Bools, NDArray[np.uint8], NDArray[np.int64]]:
    """Everything that a point prompt may mean, from parts to groups.

    Args:
        id_map: (H, W) uint8 of `Scene`.
        groups: (K,) int64 of `Scene`.

    Returns:
        masks (M, H, W) bool, level (M,) uint8 and owner (M,) int64. Level 0 is a part (owner:
        its instance; a part and the rest of its object are two), 1 an object (owner: itself),
        2 a group of two objects or more (owner: its first instance).
    """
    whole = masks_of(id_map, len(groups))
    found: list[tuple[Bools, int, int]] = []
    for part in parts_of(id_map, len(groups)):
        found.append((part.mask, 0, part.parent))
        rest = np.logical_and(whole[part.parent], ~part.mask)
        found.append((rest, 0, part.parent))
    found += [(np.asarray(mask), 1, owner) for owner, mask in enumerate(whole)]
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        if len(members) > 1:
            found.append((np.logical_or.reduce(whole[members]), 2, int(members[0])))
    masks = np.stack([f[0] for f in found]) if found else whole
    level = np.array([f[1] for f in found], dtype=np.uint8)
    return masks, level, np.array([f[2] for f in found], dtype=np.int64)


def parts_of(
    id_map: NDArray[np.uint8], count: int, least_share: float = 0.1
) -> tuple[ScenePart, ...]:
    """Parts that hold between `least_share` and 1 - `least_share` of their parent's pixels."""
    parts = []
    for parent in range(count):
        mask = np.equal(id_map, np.uint8(parent + 1) | PART_BIT)
        own = int(mask.sum())
        whole = own + int((id_map == parent + 1).sum())
        if least_share * whole <= own <= (1 - least_share) * whole and own > 0:
            parts.append(ScenePart(parent, mask))
    return tuple(parts)


def tight_boxes(masks: Bools) -> NDArray[np.float32]:
    """(K, 4) float32 xyxy of non-empty masks (K, H, W); x1 and y1 are last pixel + 1."""
    count, height, width = masks.shape
    if count == 0:
        return np.zeros((0, 4), dtype=np.float32)
    columns = np.logical_or.reduce(masks, axis=1)  # (K, W)
    rows = np.logical_or.reduce(masks, axis=2)  # (K, H)
    x0, y0 = columns.argmax(axis=1), rows.argmax(axis=1)
    x1 = width - columns[:, ::-1].argmax(axis=1)
    y1 = height - rows[:, ::-1].argmax(axis=1)
    return np.stack([x0, y0, x1, y1], axis=1).astype(np.float32)
