"""A world as a folder in COCO format: `images/*.png` and, written last, `annotations.json`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from wsislib.atomic import atomic_write, read_json, write_json
from wsislib.data.world.dataset import WorldDataset, file_name
from wsislib.data.world.spec import WORLD_VERSION

ANNOTATIONS = "annotations.json"
IMAGES = "images"
MARKER = "world.json"

Progress = Callable[[Iterable[int]], Iterable[int]]


def export_coco(dataset: WorldDataset, folder: Path, progress: Progress | None = None) -> Path:
    """Write the scenes; an interrupted call is resumed by the next one with the same scenes.

    Every file is written atomically and `annotations.json` last, so a folder that has it is
    complete. `world.json` names the world and its fingerprint.

    Args:
        dataset: the scenes.
        folder: made if missing; must be empty or a folder of these same scenes.
        progress: wraps the loop over positions, for example `tqdm`.

    Returns:
        The annotation file.

    Raises:
        ValueError: the folder holds something else.
        OSError: the disk is full or the folder cannot be written to.
    """
    folder = Path(folder)
    _claim(dataset, folder)
    pictures = folder / IMAGES
    pictures.mkdir(exist_ok=True)
    positions: Iterable[int] = range(len(dataset))
    for position in progress(positions) if progress else positions:
        target = pictures / file_name(dataset.image_ids[position])
        if not target.exists():
            atomic_write(target, _png(dataset, position))
    annotations = folder / ANNOTATIONS
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


def _png(dataset: WorldDataset, position: int) -> bytes:
    buffer = BytesIO()
    Image.fromarray(dataset.image(position)).save(buffer, format="PNG", compress_level=3)
    return buffer.getvalue()
