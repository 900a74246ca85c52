"""Scenes of a world as a data set, drawn when first asked for, and as a folder in COCO format."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from wsislib.atomic import atomic_write, read_json, write_json
from wsislib.data.rle import encode_mask
from wsislib.data.sample import Dataset, Label, LabelKind, Sample
from wsislib.data.transforms import tight_boxes
from wsislib.data.world.model import World
from wsislib.data.world.scene import masks_of
from wsislib.data.world.spec import WORLD_VERSION, WorldSpec, check_size

IMAGES = "images"
MARKER = "world.json"

Progress = Callable[[Iterable[int]], Iterable[int]]


class _Drawn(NamedTuple):
    """What is cached of a scene."""

    image: NDArray[np.uint8]  # (H, W, 3)
    id_map: NDArray[np.uint8]  # (H, W)
    categories: NDArray[np.int64]  # (K,)


class WorldDataset:
    """`count` scenes of a world under one seed, fully labelled (kind MASK).

    An image id is the scene's index + 1; `indices` are 0..count-1 or the chosen ones.
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
            count: how many scenes, at least 1; a ValueError where it is less.
            size: side in pixels, the spec's where None.
            indices: of the scenes, each once, in 0..count-1, else a ValueError; all where None.
            cache: keep what was drawn: 37 kB a scene at 96 px.
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
        self._drawn: dict[int, _Drawn] = {}

    def __len__(self) -> int:
        return len(self.indices)

    def _draw(self, position: int) -> _Drawn:
        if position in self._drawn:
            return self._drawn[position]
        scene = self.world.scene(self.seed, self.indices[position], self.size)
        drawn = _Drawn(scene.image, scene.id_map, scene.categories)
        if self._cache:
            self._drawn[position] = drawn
        return drawn

    def image(self, position: int) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB."""
        return self._draw(position).image

    def __getitem__(self, position: int) -> Sample:
        if not -len(self) <= position < len(self):
            raise IndexError(f"scene {position} of {len(self)}")
        position %= len(self)
        image, id_map, categories = self._draw(position)
        masks = masks_of(id_map, len(categories))
        return make_sample(image, self.image_ids[position], categories, masks)

    def fingerprint(self) -> str:
        """Hex digest of all that decides the scenes' bytes; draws nothing."""
        chosen = None if self.indices == tuple(range(self.count)) else self.indices
        world = {**self.world.spec.to_dict(), "size": self.size}
        facts = [WORLD_VERSION, world, self.seed, self.count, chosen]
        return sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def ground_truth(self) -> dict[str, Any]:
        """COCO dictionary with compressed RLE masks; draws what was not drawn yet."""
        return ground_truth_of(self, self.size)


def make_sample(
    image: NDArray[np.uint8], image_id: int, categories: NDArray[Any], masks: NDArray[np.bool_]
) -> Sample:
    """A fully labelled sample of a drawn image (H, W, 3) with masks (K, H, W)."""
    tensor, indices = torch.from_numpy(masks), torch.from_numpy(categories.astype(np.int64))
    label = Label(LabelKind.MASK, indices, boxes=tight_boxes(tensor), masks=tensor)
    return Sample(torch.from_numpy(image).permute(2, 0, 1).float() / 255, image_id, label)


def ground_truth_of(dataset: Dataset, side: int) -> dict[str, Any]:
    """COCO dictionary of a data set whose images are drawn, `side` pixels wide and high."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for index, image_id in enumerate(dataset.image_ids):
        name = file_name(image_id)
        images.append({"id": image_id, "file_name": name, "height": side, "width": side})
        label = dataset[index].label
        assert label.boxes is not None and label.masks is not None
        for category, box, mask in zip(label.categories, label.boxes, label.masks, strict=True):
            x0, y0, x1, y1 = box.tolist()
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": dataset.categories[int(category)].id,
                    "segmentation": encode_mask(mask.numpy()),
                    "area": float(mask.sum()),
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "iscrowd": 0,
                }
            )
    categories = [{"id": c.id, "name": c.name} for c in dataset.categories]
    return {"images": images, "annotations": annotations, "categories": categories}


def file_name(image_id: int) -> str:
    """File name of a scene's picture in an exported folder."""
    return f"{image_id:06d}.png"


def export_coco(dataset: WorldDataset, folder: Path, progress: Progress | None = None) -> Path:
    """Write the scenes as `images/*.png` and `annotations.json`, whose path is returned.

    Every file is written atomically and `annotations.json` last, so a folder that has it is
    complete, and an interrupted call is resumed by the next one with the same scenes.
    `world.json` names the world and its fingerprint. `progress` wraps the loop over positions,
    for example `tqdm`. Raises ValueError where `folder` holds anything but these same scenes.
    """
    folder = Path(folder)
    _claim(dataset, folder)
    (folder / IMAGES).mkdir(exist_ok=True)
    positions: Iterable[int] = range(len(dataset))
    for position in progress(positions) if progress else positions:
        target = folder / IMAGES / file_name(dataset.image_ids[position])
        if not target.exists():
            buffer = BytesIO()
            Image.fromarray(dataset.image(position)).save(buffer, format="PNG", compress_level=3)
            atomic_write(target, buffer.getvalue())
    annotations = folder / "annotations.json"
    if not annotations.exists():
        write_json(annotations, dataset.ground_truth())
    return annotations


def _claim(dataset: WorldDataset, folder: Path) -> None:
    """Mark the folder as one of these scenes, or raise ValueError."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; name a folder to write the world to")
    marker = folder / MARKER
    facts: dict[str, Any] = {
        "fingerprint": dataset.fingerprint(),
        "world_version": WORLD_VERSION,
        "spec": dataset.world.spec.to_dict(),
        "seed": dataset.seed,
        "count": dataset.count,
        "size": dataset.size,
        "scenes": len(dataset),
    }
    if marker.exists():
        there = read_json(marker)
        if not isinstance(there, dict) or there.get("fingerprint") != facts["fingerprint"]:
            raise ValueError(
                f"{folder} holds other scenes (see {marker}); choose another folder or empty it"
            )
        return
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty and has no {MARKER}; choose an empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    write_json(marker, facts)
