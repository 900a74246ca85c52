"""Predictions drawn on a photograph, straight into pixels and at a size that a screen shows.

A photograph of 24 megapixels with hundreds of instances costs what its overlay costs: masks are
read from their run-length code at the overlay's pixels only, inside their boxes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import binary_erosion

from wsislib.data.rle import read_at, rle_area, rle_box
from wsislib.data.sample import Category
from wsislib.viz.lettering import letters, written
from wsislib.viz.palette import colour, rgb, text_colour

LONGEST = 1600  # side of an overlay in pixels
SHORTEST = 640  # a smaller photograph is enlarged to this, so that names can be read on it
ALPHA = 0.35  # opacity of masks
TEXT_ROOM = 3  # pixels around a name


def draw_photo(
    pixels: NDArray[np.uint8],
    results: Sequence[Mapping[str, Any]],
    categories: Sequence[Category],
    longest: int = LONGEST,
) -> Image.Image:
    """A photograph (H, W, 3) with COCO results of it: translucent masks, outlines, names, scores.

    `categories` are the model's, whose places give the colours. The longer side becomes `longest`
    pixels at most.
    """
    height, width = pixels.shape[:2]
    scale = min(longest / max(height, width), max(1.0, SHORTEST / max(height, width)))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    canvas = np.array(picture)
    place = {category.id: i for i, category in enumerate(categories)}
    line = max(1, round(max(size) / 800))
    # Large masks go below small ones.
    for result in sorted(results, key=lambda r: -rle_area(r["segmentation"])):
        tone = 255 * rgb(colour(place[result["category_id"]]))
        _draw_mask(canvas, result["segmentation"], tone, line)
    picture = Image.fromarray(canvas)
    _draw_names(picture, results, categories, scale, place)
    return picture


def legend(categories: Sequence[Category]) -> str:
    """What the numbers stand for that are drawn instead of names, one a line; empty for none."""
    numbered = [c for c in categories if written(c.name, c.id) == f"#{c.id}" != c.name]
    return "".join(f"#{category.id}\t{category.name}\n" for category in numbered)


def _draw_mask(
    canvas: NDArray[np.uint8], rle: dict[str, Any], tone: NDArray[np.float32], line: int
) -> None:
    """Tint the mask of a code and outline it, `line` pixels wide, in place."""
    (height, width), (high, wide) = rle["size"], canvas.shape[:2]
    x, y, w, h = rle_box(rle)
    top, bottom = int(y * high / height), min(high, int((y + h) * high / height) + 1)
    left, right = int(x * wide / width), min(wide, int((x + w) * wide / width) + 1)
    # The pixel of the photograph in which the centre of each pixel of the overlay lies.
    rows = (2 * np.arange(top, bottom) + 1) * height // (2 * high)
    columns = (2 * np.arange(left, right) + 1) * width // (2 * wide)
    mask = read_at(rle, rows, columns)
    if not mask.any():
        return
    window = canvas[top:bottom, left:right]
    edge = mask & ~binary_erosion(mask, iterations=line)
    window[mask] = ((1 - ALPHA) * window[mask] + ALPHA * tone).astype(np.uint8)
    window[edge] = tone.astype(np.uint8)


def _draw_names(
    picture: Image.Image,
    results: Sequence[Mapping[str, Any]],
    categories: Sequence[Category],
    scale: float,
    place: Mapping[int, int],
) -> None:
    """Name and score above or below each box, best first; none where others are already."""
    draw = ImageDraw.Draw(picture)
    font = letters(max(11, round(max(picture.size) / 90)))
    taken = np.zeros((0, 4))
    for result in sorted(results, key=lambda r: -r["score"]):
        category = categories[place[result["category_id"]]]
        words = f"{written(category.name, category.id)} {result['score']:.2f}"
        _, _, wide, high = draw.textbbox((0, 0), words, font=font)
        wide, high = wide + 2 * TEXT_ROOM, high + 2 * TEXT_ROOM
        x, y, _, h = (scale * side for side in result["bbox"])
        x = min(max(x, 0), max(picture.width - wide, 0))
        spots = [np.array([x, v, x + wide, v + high]) for v in (y - high, y + h)]
        spots = [s for s in spots if s[1] >= 0 and s[3] <= picture.height]
        spots = spots or [np.array([x, 0, x + wide, high])]
        spot = next((s for s in spots if not _touching(s, taken)), None)
        if spot is None:
            continue
        taken = np.concatenate([taken, spot[None]])
        tone = colour(place[category.id])
        draw.rectangle([*spot.tolist()], fill=tone)
        corner = (float(spot[0]) + TEXT_ROOM, float(spot[1]) + TEXT_ROOM)
        draw.text(corner, words, fill=text_colour(tone), font=font)


def _touching(spot: NDArray[np.float64], taken: NDArray[np.float64]) -> bool:
    overlap = (spot[:2] < taken[:, 2:]) & (taken[:, :2] < spot[2:])
    return bool(overlap.all(axis=1).any())
