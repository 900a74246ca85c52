"""Predict on photographs one by one: a file that cannot be read costs itself and no other."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from wsislib.atomic import atomic_write
from wsislib.data.images import image_tensor, read_image
from wsislib.data.sample import Category, WindowModel
from wsislib.data.tiles import tiles_of
from wsislib.engine.predict import Result, predict_image
from wsislib.photos.finding import Picture
from wsislib.photos.prediction_files import LEGEND, OVERLAYS, PredictionFiles, overlay_names
from wsislib.photos.tiles import join_pieces
from wsislib.viz.photo_overlay import draw_photo, legend

JPEG_QUALITY = 90


@dataclass(frozen=True)
class Drawing:
    """How overlays are drawn, and on what the model looks."""

    score: float  # the lowest that is drawn
    longest: int  # side of an overlay in pixels
    tile: int | None  # side of a tile in pixels; None looks at whole photographs
    overlap: float  # of neighbouring tiles, share of their side


def predict_pictures(
    model: WindowModel,
    pictures: Sequence[Picture],
    records: Sequence[Mapping[str, Any]],
    files: PredictionFiles,
    drawing: Drawing,
    device: torch.device,
) -> dict[str, str]:
    """Predict on each picture, draw it, and write results as they come.

    `records` are the image records in results; where one has a size, the picture must have it.
    Whatever ends the run, what was found until then is written.

    Returns why pictures were left out, by name.
    """
    failed: dict[str, str] = {}
    names = overlay_names([picture.name for picture in pictures])
    if text := legend(files.categories):
        atomic_write(files.out / OVERLAYS / LEGEND, text)
    try:
        jobs = list(zip(pictures, records, names, strict=True))
        for picture, record, name in tqdm(jobs, unit="image", desc="predict", disable=None):
            try:
                pixels = read_image(picture.path)
                _require_size(pixels, record)
                found = _predict(
                    model, pixels, int(record["id"]), files.categories, drawing, device
                )
            except (ValueError, OSError, MemoryError, RuntimeError) as error:
                if isinstance(error, RuntimeError) and "memory" not in str(error):
                    raise  # PyTorch has no error of its own for memory of the processor
                reason = str(error).removeprefix(f"{picture.path}: ") or "not enough memory"
                failed[picture.name] = reason
                print(f"left out: {picture.name}: {reason}", file=sys.stderr)
                continue
            confident = [result for result in found if result["score"] >= drawing.score]
            overlay = draw_photo(pixels, confident, files.categories, drawing.longest)
            buffer = io.BytesIO()
            overlay.save(buffer, "JPEG", quality=JPEG_QUALITY)
            atomic_write(files.out / OVERLAYS / name, buffer.getvalue())
            height, width = pixels.shape[:2]
            files.add({**record, "width": width, "height": height}, found)
    except BaseException:
        files.write(complete=False)
        raise
    files.write(complete=True)
    return failed


def _require_size(pixels: NDArray[np.uint8], record: Mapping[str, Any]) -> None:
    """Raise ValueError where the picture is not of the size that its record declares."""
    height, width = pixels.shape[:2]
    declared = (record.get("width", width), record.get("height", height))
    if declared != (width, height):
        raise ValueError(
            f"has {width} x {height} pixels, its record in the annotation file says "
            f"{declared[0]} x {declared[1]}; is it the same picture?"
        )


def _predict(
    model: WindowModel, pixels: NDArray[np.uint8], image_id: int, categories: Sequence[Category],
    drawing: Drawing, device: torch.device,
) -> list[Result]:  # fmt: skip
    """COCO results of one picture (H, W, 3), best score first."""
    if drawing.tile is None:
        return predict_image(model, image_tensor(pixels).to(device), image_id, categories)
    height, width = pixels.shape[:2]
    tiles = tiles_of(height, width, drawing.tile, drawing.overlap)
    results = []
    for tile in tiles:
        part = image_tensor(pixels[tile.top : tile.bottom, tile.left : tile.right]).to(device)
        corner = (tile.top, tile.left)
        results.append(predict_image(model, part, image_id, categories, corner, (height, width)))
    return join_pieces(results, tiles)


def describe(out: Path, files: PredictionFiles, drawing: Drawing) -> list[str]:
    """What was found and where it lies, one line each."""
    drawn = sum(result["score"] >= drawing.score for result in files.results)
    return [
        f"{len(files.results)} instances in {len(files.records)} images, {drawn} of them with a "
        f"score of {drawing.score:g} or more",
        f"written: {out}/predictions.json (COCO with scores), results.json (COCO results) and "
        f"{OVERLAYS}/",
    ]
