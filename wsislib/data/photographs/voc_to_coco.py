"""A VOC 2012 folder as a small COCO folder: scaled photographs, masks as RLE, a split of our own.

    OUT/images/2007_000032.jpg ...
    OUT/train.json  OUT/val.json

A photograph is for validation if the MD5 of its file name, read as a number, is divisible by 5.
That is a fifth of them, and the same ones whichever others are converted; VOC's own lists have no
say in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsislib.atomic import atomic_write, read_json, write_json
from wsislib.data.photographs.voc import VocDataset
from wsislib.data.rle import encode_mask, rle_box
from wsislib.data.sample import Category, Sample

JPEG_QUALITY = 85
MIN_AREA = 16  # pixels of the scaled mask; a smaller instance is left out
VAL_OF = 5  # one photograph of this many is for validation
MARKER = "voc.json"  # what the folder was made from
Progress = Callable[[Iterable[int]], Iterable[int]]


def convert_voc(
    dataset: VocDataset, folder: Path, longest: int = 224, progress: Progress | None = None
) -> tuple[int, int]:
    """Write `dataset` into `folder`; how many photographs are for training and for validation.

    Photographs longer than `longest` pixels are scaled down to it. Every file is written
    atomically and the JSON files last, so an interrupted call is resumed by the next one.
    `progress` wraps the loop over positions, for example `tqdm`.

    Raises:
        ValueError: `longest` below 32, a file of VOC that cannot be read, or a folder that holds
            anything but this conversion.
    """
    if longest < 32:
        raise ValueError(f"longest is {longest}; give 32 pixels or more, such as 224")
    folder = Path(folder)
    _claim_folder(dataset, folder, longest)
    documents: dict[str, dict[str, Any]] = {
        side: {
            "images": [],
            "annotations": [],
            "categories": [{"id": c.id, "name": c.name} for c in dataset.categories],
        }
        for side in ("train", "val")
    }
    positions: Iterable[int] = range(len(dataset))
    for position in progress(positions) if progress else positions:
        name, sample = f"{dataset.names[position]}.jpg", dataset[position]
        image = scaled_photograph(sample, longest)
        target = folder / "images" / name
        if not target.exists():
            buffer = BytesIO()
            image.save(buffer, format="JPEG", quality=JPEG_QUALITY)
            atomic_write(target, buffer.getvalue())
        document = documents["val" if is_val(name) else "train"]
        record = {"id": sample.image_id, "file_name": name}
        document["images"].append({**record, "width": image.width, "height": image.height})
        for annotation in scaled_instances(sample, dataset.categories, image.size):
            annotation["id"] = len(document["annotations"]) + 1
            document["annotations"].append(annotation)
    for side, document in documents.items():
        write_json(folder / f"{side}.json", document)
    return len(documents["train"]["images"]), len(documents["val"]["images"])


def is_val(file_name: str) -> bool:
    """Whether a photograph is for validation."""
    digest = hashlib.md5(file_name.encode(), usedforsecurity=False).hexdigest()
    return int(digest, 16) % VAL_OF == 0


def scaled_photograph(sample: Sample, longest: int) -> Image.Image:
    """The sample's image, its long side `longest` pixels at most."""
    pixels = (sample.image * 255).round().byte().permute(1, 2, 0).numpy()  # (H, W, 3)
    image = Image.fromarray(np.ascontiguousarray(pixels))
    share = longest / max(image.size)
    if share >= 1:
        return image
    width, height = (max(1, round(side * share)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def scaled_instances(
    sample: Sample, categories: tuple[Category, ...], size: tuple[int, int]
) -> list[dict[str, Any]]:
    """COCO annotations (without `id`) of the sample's masks at `size` = (width, height) pixels.

    A pixel belongs to the instance that covers more than half of it, so masks that did not overlap
    do not overlap now.
    """
    label, found = sample.label, []
    assert label.masks is not None  # VOC has every mask
    for category, mask in zip(label.categories.tolist(), label.masks.numpy(), strict=True):
        small = _scaled_mask(mask, size)
        area = int(small.sum())
        if area < MIN_AREA:
            continue
        rle = encode_mask(small)
        found.append(
            {
                "image_id": sample.image_id,
                "category_id": categories[category].id,
                "iscrowd": 0,
                "area": area,
                "bbox": list(rle_box(rle)),
                "segmentation": rle,
            }
        )
    return found


def _scaled_mask(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    if size == mask.shape[::-1]:
        return mask
    covered = Image.fromarray(mask.astype(np.float32)).resize(size, Image.Resampling.BOX)
    return np.asarray(covered) > 0.5


def _claim_folder(dataset: VocDataset, folder: Path, longest: int) -> None:
    """Mark the folder as this conversion, or raise ValueError."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; name a folder to write the photographs to")
    marker = folder / MARKER
    names = hashlib.sha256("\n".join(dataset.names).encode()).hexdigest()
    facts = {"split": dataset.split, "photographs": len(dataset), "names": names}
    facts |= {"longest": longest, "jpeg_quality": JPEG_QUALITY}
    if marker.exists():
        if read_json(marker) != facts:
            raise ValueError(
                f"{folder} holds other photographs, or other sizes (see {marker}); choose another "
                "folder or empty it"
            )
        return
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty and has no {MARKER}; choose an empty folder")
    (folder / "images").mkdir(parents=True, exist_ok=True)
    write_json(marker, facts)
