"""A COCO file of large photographs as one of tiles, so that small objects stay large enough.

    OUT/images/meadow_0000_0768.jpg ...    (row and column of the tile's first pixel)
    OUT/annotations.json

Masks are cut at the borders of a tile, boxes are clipped, points go where they lie. An object of
which a tile holds too little to be recognised is left out of that tile: where tiles overlap,
another one holds more of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from wsislib.atomic import atomic_write
from wsislib.data.images import read_image, resolve_image
from wsislib.data.photographs.coco_labels import annotation_kind, box_of, numbers
from wsislib.data.photographs.validate_structure import read_sound_document
from wsislib.data.rle import checked_rle, encode_mask, read_at, rle_area
from wsislib.data.sample import LabelKind
from wsislib.data.tiles import PhotoTile, tiles_of

LEAST_SHARE = 0.2  # of an object's pixels that a tile must hold to be labelled with it
JPEG_QUALITY = 95
Progress = Callable[[Iterable[Any]], Iterable[Any]]


def tile_coco(
    annotations: Path,
    images: Path,
    out: Path,
    side: int,
    overlap: float,
    progress: Progress | None = None,
) -> tuple[int, int, int]:
    """Cut a sound COCO file into tiles of `side` pixels; `out` must be missing or empty.

    Image-level labels name no tile, so a file with tags is refused. Crowd regions are cut as masks
    are.

    Returns how many tiles and annotations there are, and how many pieces were too small.

    Raises:
        ValueError: `out` holds something, the file has tags, a file cannot be read, or as
            `tiles_of`.
    """
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"{out}: not empty; name a new folder with --out")
    document = read_sound_document(annotations)
    members: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in document["images"]}
    for annotation in document["annotations"]:
        if annotation_kind(annotation) == LabelKind.TAG:
            raise ValueError(
                f"{annotations}: annotation {annotation['id']} is an image-level label, which does "
                "not say in which tile its object is; give it a point, a box or a mask"
            )
        members[annotation["image_id"]].append(annotation)
    tiled: dict[str, Any] = {**document, "images": [], "annotations": []}
    small, names = 0, set[str]()
    records = document["images"]
    for record in progress(records) if progress else records:
        pixels = read_image(resolve_image(images, record["file_name"]))
        name = PurePosixPath(record["file_name"].replace("\\", "/"))
        height, width = pixels.shape[:2]
        for tile in tiles_of(height, width, side, overlap):
            image_id = len(tiled["images"]) + 1
            part = pixels[tile.top : tile.bottom, tile.left : tile.right]
            file_name = f"{name.stem}_{tile.top:04d}_{tile.left:04d}{_suffix(name)}"
            if file_name.casefold() in names:  # of another folder's photograph
                file_name = f"{record['id']}_{file_name}"
            names.add(file_name.casefold())
            _save(part, out / "images" / file_name)
            size = {"width": part.shape[1], "height": part.shape[0]}
            tiled["images"].append({"id": image_id, "file_name": file_name, **size})
            for annotation in members[record["id"]]:
                piece = _piece(annotation, tile, height, width)
                small += piece is None
                if piece:
                    number = len(tiled["annotations"]) + 1
                    tiled["annotations"].append({**piece, "id": number, "image_id": image_id})
    atomic_write(out / "annotations.json", json.dumps(tiled))
    return len(tiled["images"]), len(tiled["annotations"]), small


def _piece(
    annotation: Mapping[str, Any], tile: PhotoTile, height: int, width: int
) -> dict[str, Any] | None:
    """What of an annotation lies in a tile: its fields there, {} for nothing, None for too little.

    Fields that hold other coordinates than `bbox`, `segmentation` and `point` are left out.
    """
    kind = annotation_kind(annotation)
    kept = {key: annotation[key] for key in ("category_id", "iscrowd") if key in annotation}
    if kind == LabelKind.POINT:
        x, y = numbers(annotation["point"], "point", 2)
        inside = tile.left <= x < tile.right and tile.top <= y < tile.bottom
        return {**kept, "point": [x - tile.left, y - tile.top]} if inside else {}
    x0, y0, x1, y1 = box_of(annotation, height, width)
    left, top = max(x0, tile.left), max(y0, tile.top)
    right, bottom = min(x1, tile.right), min(y1, tile.bottom)
    if right <= left or bottom <= top:
        return {}
    kept["bbox"] = [left - tile.left, top - tile.top, right - left, bottom - top]
    if kind == LabelKind.BOX:
        share = (right - left) * (bottom - top) / ((x1 - x0) * (y1 - y0))
        return kept if share >= LEAST_SHARE else None
    whole = checked_rle(annotation["segmentation"], height, width)
    rows, columns = np.arange(tile.top, tile.bottom), np.arange(tile.left, tile.right)
    mask = read_at(whole, rows, columns)
    area = int(mask.sum())
    if area < LEAST_SHARE * rle_area(whole) or area == 0:
        return None if area else {}
    return {**kept, "bbox": _tight(mask), "area": area, "segmentation": encode_mask(mask)}


def _tight(mask: npt.NDArray[np.bool_]) -> list[float]:
    """[x, y, w, h] around a mask (H, W) that is not empty."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    corner = [float(columns[0]), float(rows[0])]
    return [*corner, float(np.ptp(columns) + 1), float(np.ptp(rows) + 1)]


def _suffix(name: PurePosixPath) -> str:
    """JPEG stays JPEG; all else is kept without loss."""
    return ".jpg" if name.suffix.lower() in (".jpg", ".jpeg") else ".png"


def _save(pixels: npt.NDArray[np.uint8], path: Path) -> None:
    buffer = BytesIO()
    form = "JPEG" if path.suffix == ".jpg" else "PNG"
    Image.fromarray(pixels).save(buffer, form, quality=JPEG_QUALITY)
    atomic_write(path, buffer.getvalue(), flush=False)
