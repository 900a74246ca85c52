"""Visual Genome with boxes of 3,000 categories, as in Learning to Segment Every Thing (2018).

    genome = VisualGenome(root, read_coco_ids(minival_json))
    train, val = genome.dataset("train"), genome.dataset("val")

`root` holds Visual Genome's own files: objects.json (release 1.2 or later), image_data.json and
the photographs in VG_100K and VG_100K_2. Its class list is `wsislib.data.visual_genome.classes`.
There are no masks: labels are of kind BOX, and so is the ground truth.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from wsislib.atomic import read_json
from wsislib.data.images import image_tensor, read_image, resolve_image
from wsislib.data.sample import Category, Label, LabelKind, Sample
from wsislib.data.visual_genome.classes import (
    CLASS_COUNT,
    COCO_NAMES,
    class_layout,
    coco_synsets,
    most_frequent,
    read_mappings,
)
from wsislib.data.visual_genome.files import ImageRecord, read_images, read_objects

Part = Literal["train", "val", "test"]
TEST_COUNT = 5000
_NEEDED = ("objects.json", "image_data.json", "VG_100K", "VG_100K_2")


class VisualGenome:
    """Visual Genome's annotations, read once for all three parts.

    val: the images whose `coco_id` is one of COCO's validation images. test: the last
    `test_count`, in the order of image_data.json, that are not in COCO. train: the rest.

    `categories` have synsets as names, the first `coco_count` are COCO's; `kept` and `dropped`
    say how many objects are in a label, and how many not, by reason.
    """

    def __init__(
        self,
        root: Path,
        coco_val_ids: Collection[int],
        *,
        class_count: int = CLASS_COUNT,
        mapping_file: Path | None = None,
        test_count: int = TEST_COUNT,
        coco_names: Sequence[str] = COCO_NAMES,
    ) -> None:
        """Read both JSON files; photographs are read when they are asked for.

        Args:
            root: the folder of Visual Genome.
            coco_val_ids: COCO image ids of the validation part (the paper: minival).
            class_count: how many of the most frequent synsets are categories.
            mapping_file: JSON object of COCO category to synset, before the built-in ones.
            test_count: images of the test part.
            coco_names: COCO's categories, in its order.

        A ValueError names the file, the entry, what is wrong and the way out.
        """
        self.root = Path(root)
        missing = [name for name in _NEEDED if not (self.root / name).exists()]
        if missing:
            raise ValueError(
                f"{self.root}: Visual Genome lacks {', '.join(missing)}; unpack it there"
            )
        images = read_images(self.root / "image_data.json")
        objects = read_objects(self.root / "objects.json", images)
        counts = dict(zip(objects.synsets, objects.counts.tolist(), strict=True))
        mappings = read_mappings(Path(mapping_file), counts, coco_names) if mapping_file else {}
        try:
            listed = most_frequent(counts, class_count)
            coco = coco_synsets(listed, coco_names, mappings)
        except ValueError as error:
            raise ValueError(f"{self.root / 'objects.json'}: {error}") from None
        layout = class_layout(listed, coco)
        self.categories = tuple(Category(i, name) for i, name in enumerate(layout, start=1))
        self.coco_count = len(coco)
        index_of = {name: index for index, name in enumerate(layout)}
        indices = np.array([index_of.get(name, -1) for name in objects.synsets], dtype=np.int32)
        category = indices[objects.synset]
        listed_rows = category >= 0
        self.kept = int(listed_rows.sum())
        self.dropped = {**objects.dropped, "rarer synset": len(listed_rows) - self.kept}
        before = np.concatenate([[0], np.cumsum(listed_rows)])  # listed rows before each row
        self._starts = before[objects.starts]
        self._category, self._boxes = category[listed_rows], objects.boxes[listed_rows]
        self._position = {image_id: index for index, image_id in enumerate(images)}
        self.parts = _parts(images, frozenset(coco_val_ids), test_count, self.root)

    def dataset(self, part: Part) -> VisualGenomeDataset:
        """The images of one part as a data set; raises ValueError where there is no such part."""
        if part not in self.parts:
            raise ValueError(f"Visual Genome has no part {part!r}; use {', '.join(self.parts)}")
        return VisualGenomeDataset(self, self.parts[part])

    def entries(self, image_id: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Category indices (K,) and boxes (K, 4) xyxy in pixels of one image."""
        index = self._position[image_id]
        rows = slice(self._starts[index], self._starts[index + 1])
        return self._category[rows], self._boxes[rows]


class VisualGenomeDataset:
    """Some images of Visual Genome, with boxes of all categories.

    Sizes and coordinates refer to upright pictures (`wsislib.data.images`).
    """

    def __init__(self, genome: VisualGenome, records: Sequence[ImageRecord]) -> None:
        """Show `records` of `genome`."""
        self.genome, self.records = genome, tuple(records)
        self.categories = genome.categories
        self.image_ids = tuple(record.image_id for record in self.records)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Sample:
        """The sample at `index`, of kind BOX; raises ValueError naming an unreadable image."""
        record = self.records[index]
        try:
            array = read_image(resolve_image(self.genome.root, record.file_name))
            if array.shape[:2] != (record.height, record.width):
                raise ValueError(
                    f"{record.file_name} has {array.shape[1]} x {array.shape[0]} pixels, "
                    f"image_data.json says {record.width} x {record.height}; download it again"
                )
        except ValueError as error:
            raise ValueError(f"Visual Genome, image {record.image_id}: {error}") from None
        category, boxes = self.genome.entries(record.image_id)
        categories = torch.from_numpy(category.astype(np.int64))
        label = Label(LabelKind.BOX, categories, boxes=torch.from_numpy(boxes.copy()))
        return Sample(image_tensor(array), record.image_id, label)

    def ground_truth(self) -> dict[str, Any]:
        """COCO dictionary with boxes only, to be evaluated with `iou_type="bbox"`."""
        images = [
            {"id": r.image_id, "file_name": r.file_name, "width": r.width, "height": r.height}
            for r in self.records
        ]
        annotations: list[dict[str, Any]] = []
        for record in self.records:
            category, boxes = self.genome.entries(record.image_id)
            for index, (x0, y0, x1, y1) in zip(category.tolist(), boxes.tolist(), strict=True):
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": record.image_id,
                        "category_id": self.categories[index].id,
                        "iscrowd": 0,
                        "area": (x1 - x0) * (y1 - y0),
                        "bbox": [x0, y0, x1 - x0, y1 - y0],
                    }
                )
        categories = [{"id": c.id, "name": c.name} for c in self.categories]
        return {"images": images, "annotations": annotations, "categories": categories}

    def fingerprint(self) -> str:
        """Hex digest of categories, images (their bytes) and boxes."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        digest.update(json.dumps([(c.id, c.name) for c in self.categories]).encode())
        for record in self.records:
            category, boxes = self.genome.entries(record.image_id)
            size = [record.image_id, record.width, record.height, len(category)]
            digest.update(json.dumps(size).encode())
            digest.update(category.astype("<i4").tobytes() + boxes.astype("<f4").tobytes())
            path = resolve_image(self.genome.root, record.file_name)
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()


def read_coco_ids(path: Path) -> frozenset[int]:
    """Image ids of a COCO JSON file or of a JSON list of ids; raises ValueError if neither."""
    try:
        content = read_json(Path(path))
        if isinstance(content, dict):
            content = [record["id"] for record in content["images"]]
        ids = frozenset(content)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (KeyError, TypeError):
        ids = frozenset()
    if not ids or not all(type(image_id) is int for image_id in ids):
        raise ValueError(f"{path}: must be a COCO JSON file with 'images', or a list of image ids")
    return ids


def _parts(
    images: dict[int, ImageRecord], coco_val_ids: frozenset[int], test_count: int, root: Path
) -> dict[str, tuple[ImageRecord, ...]]:
    """train, val and test; each image is in one of them."""
    outside = [image_id for image_id, record in images.items() if record.coco_id is None]
    if not 0 <= test_count <= len(outside):
        raise ValueError(
            f"{root / 'image_data.json'}: {len(outside)} images are not in COCO, the test part "
            f"wants {test_count}; ask for 0 to {len(outside)}"
        )
    test = frozenset(outside[len(outside) - test_count :])
    parts: dict[str, list[ImageRecord]] = {"train": [], "val": [], "test": []}
    for image_id, record in images.items():
        part = "test" if image_id in test else "train"
        parts["val" if record.coco_id in coco_val_ids else part].append(record)
    if not parts["val"]:
        raise ValueError(
            f"{root / 'image_data.json'}: no image has a 'coco_id' among the {len(coco_val_ids)} "
            "ids of the validation part; give the image ids of COCO's minival or val2017"
        )
    return {name: tuple(members) for name, members in parts.items()}
