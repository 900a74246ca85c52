"""Scenes labelled at every level: parts, objects and groups, all class-agnostic.

What a segmenter that answers a point with three masks is trained on: the world says what a point
on a rim may mean (the rim, the object, the object with all that overlaps it).
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from wsislib.data.sample import Category, Sample
from wsislib.data.world.dataset import ground_truth_of, make_sample
from wsislib.data.world.model import World
from wsislib.data.world.spec import WORLD_VERSION, WorldSpec

PART, OBJECT, GROUP = 0, 1, 2
LEVEL_NAMES = ("part", "object", "group")


class LevelScenes:
    """Scenes of a world; the category of an entry is its level. Nothing is kept in memory."""

    def __init__(self, spec: WorldSpec, *, seed: int, count: int, minimum_pixels: int = 16) -> None:
        """`count` scenes of a world; masks below `minimum_pixels` visible pixels are left out."""
        assert count >= 1 and seed >= 0
        self.world = World(spec)
        self.seed, self.count, self.minimum_pixels = seed, count, minimum_pixels
        self.categories = tuple(Category(i + 1, name) for i, name in enumerate(LEVEL_NAMES))
        self.image_ids = tuple(range(1, count + 1))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < self.count:
            raise IndexError(f"scene {index} of {self.count}")
        scene = self.world.scene(self.seed, index)
        masks, level, _ = scene.levels
        large = masks.sum(axis=(1, 2)) >= self.minimum_pixels
        masks = np.ascontiguousarray(masks[large], dtype=np.bool_)
        return make_sample(scene.image, index + 1, level[large], masks)

    def fingerprint(self) -> str:
        """Hex digest of all that decides images and labels; draws nothing."""
        facts = [WORLD_VERSION, self.world.spec.to_dict(), self.seed, self.count]
        text = json.dumps([*facts, "levels", self.minimum_pixels], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def ground_truth(self) -> dict[str, Any]:
        """COCO dictionary with compressed RLE masks, one annotation for each level's mask."""
        return ground_truth_of(self, self.world.spec.size)
