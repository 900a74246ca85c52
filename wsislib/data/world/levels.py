"""Scenes labelled at every level: parts, objects and groups, all class-agnostic.

What a segmenter that answers a point with three masks is trained on: the world says what a point
on a rim may mean (the rim, the object, the object with all that overlaps it).
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import torch

from wsislib.data.rle import encode_mask
from wsislib.data.sample import Category, Label, LabelKind, Sample
from wsislib.data.world.dataset import file_name
from wsislib.data.world.model import World
from wsislib.data.world.scene import tight_boxes
from wsislib.data.world.spec import WORLD_VERSION, WorldSpec

PART, OBJECT, GROUP = 0, 1, 2
LEVEL_NAMES = ("part", "object", "group")


class LevelScenes:
    """Scenes of a world; the category of an entry is its level. Nothing is kept in memory.

    Attributes:
        world: what they are scenes of.
        categories: part, object and group.
        image_ids: scene index + 1.
    """

    def __init__(self, spec: WorldSpec, *, seed: int, count: int, minimum_pixels: int = 16) -> None:
        """Describe the set.

        Args:
            spec: the world.
            seed: of the scenes.
            count: how many.
            minimum_pixels: masks with fewer visible pixels are left out.
        """
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
        masks = np.ascontiguousarray(masks, dtype=np.bool_)
        kept = masks.sum(axis=(1, 2)) >= self.minimum_pixels
        masks, level = masks[kept], level[kept]
        label = Label(
            LabelKind.MASK,
            torch.from_numpy(level.astype(np.int64)),
            boxes=torch.from_numpy(tight_boxes(masks)),
            masks=torch.from_numpy(masks),
        )
        pixels = torch.from_numpy(scene.image).permute(2, 0, 1)
        return Sample(pixels.float() / 255, index + 1, label)

    def fingerprint(self) -> str:
        """Hex digest of all that decides images and labels; draws nothing."""
        facts = [WORLD_VERSION, self.world.spec.to_dict(), self.seed, self.count]
        text = json.dumps([*facts, "levels", self.minimum_pixels], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def ground_truth(self) -> dict[str, Any]:
        """COCO dictionary with compressed RLE masks, one annotation for each level's mask."""
        side = self.world.spec.size
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for index, image_id in enumerate(self.image_ids):
            images.append(
                {"id": image_id, "file_name": file_name(image_id), "height": side, "width": side}
            )
            label = self[index].label
            assert label.boxes is not None and label.masks is not None
            for level, box, mask in zip(label.categories, label.boxes, label.masks, strict=True):
                x0, y0, x1, y1 = box.tolist()
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": image_id,
                        "category_id": int(level) + 1,
                        "segmentation": encode_mask(mask.numpy()),
                        "area": float(mask.sum()),
                        "bbox": [x0, y0, x1 - x0, y1 - y0],
                        "iscrowd": 0,
                    }
                )
        categories = [{"id": c.id, "name": c.name} for c in self.categories]
        return {"images": images, "annotations": annotations, "categories": categories}
