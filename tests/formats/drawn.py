"""Labels of every kind on drawn pictures, and what the tests of formats compare."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from wsislib.data.rle import decode_segmentation, encode_mask
from wsislib.formats.record import LabelledPicture, Labels, Region

WIDTH, HEIGHT = 60, 40
NAMES = ["square", "Ärger & <disc>"]


def ring_mask() -> np.ndarray:
    """A square with a hole, and a part that touches it by a corner."""
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[5:25, 10:30] = True
    mask[10:15, 14:20] = False
    mask[25:28, 30:33] = True
    return mask


def polygon(x: float, y: float, side: float) -> list[float]:
    return [x, y, x + side, y, x + side, y + side, x + 1.25, y + side - 0.5]


def labels(scores: bool = False) -> Labels:
    """Ring, two-part object, outline, box, point, tag; and a picture without any."""
    fields: list[dict[str, Any]] = [
        {"segmentation": encode_mask(ring_mask())},
        {"segmentation": [polygon(2, 3, 7.5), polygon(40, 20, 12)]},
        {"segmentation": [polygon(33.125, 4, 9)]},
        {"bbox": [1.5, 2, 20.25, 13]},
        {"point": [12.5, 30]},
        {},
    ]
    regions = [
        Region(NAMES[place % 2], one, 0.5 + place / 16 if scores else None)
        for place, one in enumerate(fields)
    ]
    if scores:
        regions.pop()  # a tag has no place for a score in some formats
    pictures = [
        LabelledPicture("sub/Übung 1.png", WIDTH, HEIGHT, regions),
        LabelledPicture("b.png", WIDTH, HEIGHT),
    ]
    return Labels(pictures, list(NAMES))


def write_pictures(root: Path, found: Labels | None = None) -> Path:
    for picture in (found or labels()).pictures:
        path = root / picture.name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.new("RGB", (picture.width or WIDTH, picture.height or HEIGHT), "grey")
        ImageDraw.Draw(image).rectangle([10, 5, 29, 24], fill="red")
        image.save(path)
    return root


def labelled(found: Labels) -> list[Region]:
    """The labels of the one picture that has any."""
    (regions,) = (picture.regions for picture in found.pictures if picture.regions)
    return regions


def plain(found: Labels) -> list[tuple[str, Any, float | None]]:
    """Category, shape and score of each label, masks as their pixels; tags last."""
    regions = []
    for region in labelled(found):
        value: Any = region.fields.get(region.kind)
        if region.kind == "segmentation" and isinstance(value, dict):
            value = decode_segmentation(value, HEIGHT, WIDTH).tobytes()
        regions.append((region.category, value, region.score))
    return sorted(regions, key=lambda one: one[1] is None)


def pixels(region: Region) -> np.ndarray:
    return decode_segmentation(region.fields["segmentation"], HEIGHT, WIDTH)
