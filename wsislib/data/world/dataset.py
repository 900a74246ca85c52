"""Scenes of a world as a data set: drawn when first asked for, then kept as bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from wsislib.data.sample import Label, LabelKind, Sample
from wsislib.data.world.model import World
from wsislib.data.world.scene import ScenePart, levels_of, masks_of, parts_of, tight_boxes
from wsislib.data.world.spec import WORLD_VERSION, WorldSpec, check_size


class _Drawn(NamedTuple):
    """What is kept of a scene: everything a sample and a training target are made from."""

    image: NDArray[np.uint8]  # (H, W, 3)
    id_map: NDArray[np.uint8]  # (H, W)
    categories: NDArray[np.int64]  # (K,)
    groups: NDArray[np.int64]  # (K,)


class WorldDataset:
    """`count` scenes under one seed, fully labelled (kind MASK).

    Attributes:
        world: what they are scenes of.
        categories: the world's.
        image_ids: scene index + 1.
        indices: the scene indices, 0..count-1 or the chosen ones.
    """

    def __init__(
        self,
        spec: WorldSpec,
        *,
        seed: int,
        count: int,
        size: int | None = None,
        indices: Sequence[int] | None = None,
        cache: bool = True,
    ) -> None:
        """Describe the set; nothing is drawn yet.

        Args:
            spec: the world.
            seed: of the scenes; another seed gives other scenes of the same world.
            count: how many scenes, at least 1.
            size: side in pixels, the spec's where None.
            indices: scenes to keep, each once, in 0..count-1; all where None.
            cache: keep what was drawn: 37 kB a scene at 96 px.

        Raises:
            ValueError: count or seed is negative, or an index is out of range or twice there.
        """
        if count < 1 or seed < 0:
            raise ValueError(f"WorldDataset wants count >= 1 and seed >= 0, got {count} and {seed}")
        self.seed, self.count = seed, count
        self.size = spec.size if size is None else check_size(size)
        self.indices = tuple(range(count)) if indices is None else tuple(int(i) for i in indices)
        if any(not 0 <= i < count for i in self.indices):
            raise ValueError(f"WorldDataset: every index must lie in 0..{count - 1}")
        if len(set(self.indices)) != len(self.indices):
            raise ValueError("WorldDataset: an index is there twice")
        self.world = World(spec)
        self.categories = self.world.categories
        self.image_ids = tuple(i + 1 for i in self.indices)
        self._cache = cache
        self._kept: dict[int, _Drawn] = {}

    def __len__(self) -> int:
        return len(self.indices)

    def _draw(self, position: int) -> _Drawn:
        known = self._kept.get(position)
        if known is not None:
            return known
        scene = self.world.scene(self.seed, self.indices[position], self.size)
        drawn = _Drawn(scene.image, scene.id_map, scene.categories, scene.groups)
        if self._cache:
            self._kept[position] = drawn
        return drawn

    def image(self, position: int) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB."""
        return self._draw(position).image

    def masks(self, position: int) -> NDArray[np.bool_]:
        """(K, H, W) bool visible masks."""
        drawn = self._draw(position)
        return masks_of(drawn.id_map, len(drawn.categories))

    def parts(self, position: int) -> tuple[ScenePart, ...]:
        """The instances' visible parts (targets at the level below the object)."""
        drawn = self._draw(position)
        return parts_of(drawn.id_map, len(drawn.categories))

    def groups(self, position: int) -> NDArray[np.int64]:
        """(K,) int64, equal for a host and what it carries (the level above the object)."""
        return self._draw(position).groups

    def levels(
        self, position: int
    ) -> tuple[NDArray[np.bool_], NDArray[np.uint8], NDArray[np.int64]]:
        """Masks of parts, objects and groups, their level and owner, as `levels_of` says."""
        drawn = self._draw(position)
        return levels_of(drawn.id_map, drawn.groups)

    def __getitem__(self, position: int) -> Sample:
        if not -len(self) <= position < len(self):
            raise IndexError(f"scene {position} of {len(self)}")
        position %= len(self)
        drawn = self._draw(position)
        masks = masks_of(drawn.id_map, len(drawn.categories))
        pixels = torch.from_numpy(drawn.image).permute(2, 0, 1)
        label = Label(
            LabelKind.MASK,
            torch.from_numpy(drawn.categories.copy()),
            boxes=torch.from_numpy(tight_boxes(masks)),
            masks=torch.from_numpy(masks),
        )
        return Sample(pixels.float() / 255, self.image_ids[position], label)

    def fingerprint(self) -> str:
        """Hex digest of all that decides the scenes' bytes; draws nothing."""
        chosen = None if self.indices == tuple(range(self.count)) else self.indices
        world = {**self.world.spec.to_dict(), "size": self.size}
        facts = [WORLD_VERSION, world, self.seed, self.count, chosen]
        return sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def ground_truth(self) -> dict[str, Any]:
        """COCO dictionary with compressed RLE masks; draws what was not drawn yet."""
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for position, image_id in enumerate(self.image_ids):
            name = file_name(image_id)
            images.append(
                {"id": image_id, "file_name": name, "height": self.size, "width": self.size}
            )
            for entry in self._annotations(position, image_id):
                annotations.append({"id": len(annotations) + 1, **entry})
        categories = [{"id": c.id, "name": c.name} for c in self.categories]
        return {"images": images, "annotations": annotations, "categories": categories}

    def _annotations(self, position: int, image_id: int) -> list[dict[str, Any]]:
        categories, masks = self._draw(position).categories, self.masks(position)
        codes = coco_mask.encode(np.asfortranarray(masks.transpose(1, 2, 0).view(np.uint8)))
        boxes = tight_boxes(masks)
        boxes[:, 2:] -= boxes[:, :2]  # xyxy to xywh
        areas = masks.sum(axis=(1, 2))
        return [
            {
                "image_id": image_id,
                "category_id": self.categories[int(categories[k])].id,
                "segmentation": {**code, "counts": code["counts"].decode("ascii")},
                "area": float(areas[k]),
                "bbox": boxes[k].tolist(),
                "iscrowd": 0,
            }
            for k, code in enumerate(codes)
        ]


def file_name(image_id: int) -> str:
    """File name of a scene's picture in an exported folder."""
    return f"{image_id:06d}.png"
