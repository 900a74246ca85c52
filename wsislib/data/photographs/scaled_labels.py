"""COCO annotations of a photograph that is scaled down before anything sees it.

Coordinates are scaled and drawn at the new size; a mask given as pixels keeps, for each new pixel,
the value at its centre, as in `wsislib.data.transforms.resize_to`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from wsislib.data.rle import decode_segmentation, encode_mask

Size = tuple[int, int]  # (height, width)


def scale_annotation(annotation: Mapping[str, Any], old: Size, new: Size) -> dict[str, Any]:
    """An annotation of a picture of `old` (H, W) pixels for the same picture of `new` pixels.

    What is malformed stays, for the reader to refuse; SegmentationError for a malformed mask.
    """
    factors = (new[1] / old[1], new[0] / old[0])  # of x and y
    scaled = dict(annotation)
    for name in ("bbox", "point"):
        scaled[name] = _scaled(annotation.get(name), factors)
    shape = annotation.get("segmentation")
    if isinstance(shape, dict):
        rows, columns = (_centres(*pair) for pair in zip(old, new, strict=True))
        mask = decode_segmentation(shape, *old)
        scaled["segmentation"] = encode_mask(mask[rows][:, columns])
    elif isinstance(shape, list):
        scaled["segmentation"] = [_scaled(part, factors) for part in shape]
    return scaled


def _scaled(flat: Any, factors: tuple[float, float]) -> Any:
    """x, y, x, y, ... scaled where they are numbers."""
    if not isinstance(flat, list | tuple) or not all(isinstance(v, int | float) for v in flat):
        return flat
    return [value * factors[place % 2] for place, value in enumerate(flat)]


def _centres(old: int, new: int) -> npt.NDArray[np.int64]:
    return (2 * np.arange(new) + 1) * old // (2 * new)
