"""Scenes that show something: two objects in one region, a part in an object in a group."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsislib.data.world import Scene, World

SIZE = 384  # scenes are shown larger than the models see them


def closest_pair(scene: Scene, min_iou: float) -> tuple[int, int] | None:
    """The two instances of one group whose boxes have the highest IoU, if above `min_iou`."""
    boxes = scene.boxes.astype(np.float64)
    best, pair = min_iou, None
    for i in range(len(boxes)):
        for j in range(i):
            low = np.maximum(boxes[i, :2], boxes[j, :2])
            high = np.minimum(boxes[i, 2:], boxes[j, 2:])
            both = float(np.prod(np.clip(high - low, 0, None)))
            areas = [float(np.prod(b[2:] - b[:2])) for b in (boxes[i], boxes[j])]
            overlap = both / (sum(areas) - both)
            seen = min(scene.masks[i].sum(), scene.masks[j].sum())
            if overlap > best and seen > 150 and scene.groups[i] == scene.groups[j]:
                best, pair = overlap, (j, i)
    return pair


def around(scene: Scene, first: int, second: int) -> tuple[slice, slice]:
    """A square around two instances, a little larger than both."""
    boxes, side = scene.boxes[[first, second]], scene.image.shape[0]
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    half = min(float(max(high - low)) * 0.58, side / 2)
    x, y = np.clip((low + high) / 2, half, side - half)
    return slice(int(y - half), int(y + half)), slice(int(x - half), int(x + half))


@dataclass(frozen=True)
class SharedRegion:
    """A box around two objects of one group, each of which fills most of it."""

    index: int  # of the scene
    pair: tuple[int, int]  # the two instances
    box: NDArray[np.float64]  # (4,) xyxy in pixels, around both
    filled: float  # share of `box` that the smaller one's own box takes, 0..1


def shared_regions(
    world: World, seed: int, count: int, members: Collection[int], min_iou: float = 0.3
) -> list[SharedRegion]:
    """The closest pair of each of the first `count` scenes under a seed, fullest region first.

    The two boxes have an IoU above `min_iou`; at least one object is of the categories `members`.
    """
    found = []
    for index in range(count):
        scene = world.scene(seed, index)
        pair = closest_pair(scene, min_iou)
        if pair is None or not set(scene.categories[list(pair)].tolist()) & set(members):
            continue
        boxes = scene.boxes[list(pair)].astype(np.float64)
        around_both = np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])
        own = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1).min()
        filled = float(own / np.prod(around_both[2:] - around_both[:2]))
        found.append(SharedRegion(index, pair, around_both, filled))
    return sorted(found, key=lambda region: -region.filled)


def nested(world: World, seed: int) -> tuple[Scene, list[NDArray[np.bool_]], tuple[int, int]]:
    """A scene with a part in an object in a group, its three masks, and a point in the part."""
    for index in range(1000):
        scene = world.scene(seed, index)
        masks, level, owner = scene.levels
        for part in np.flatnonzero(level == 0):
            size = [int(mask.sum()) for mask in (masks[part], scene.masks[owner[part]])]
            group = [masks[g] for g in np.flatnonzero(level == 2) if masks[g][masks[part]].all()]
            if group and size[0] > 120 and 0.3 * size[1] < size[0] < 0.7 * size[1]:
                return _at_show_size(world, seed, index, int(part))
    raise ValueError("1,000 scenes hold no part inside an object inside a group")


def _at_show_size(
    world: World, seed: int, index: int, part: int
) -> tuple[Scene, list[NDArray[np.bool_]], tuple[int, int]]:
    """What `nested` found, drawn larger; the point is the part's middle or a pixel of it."""
    scene = world.scene(seed, index, SIZE)
    masks, level, owner = scene.levels
    group = next(masks[g] for g in np.flatnonzero(level == 2) if masks[g][masks[part]].all())
    y, x = (int(np.median(axis)) for axis in np.nonzero(masks[part]))
    if not masks[part][y, x]:
        y, x = (int(axis[len(axis) // 2]) for axis in np.nonzero(masks[part]))
    return scene, [masks[part], scene.masks[owner[part]], group], (x, y)
