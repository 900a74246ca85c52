"""Overlapping tiles of a large photograph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools import mask as mask_api

from wsislib.data.rle import rle_bytes


@dataclass(frozen=True)
class PhotoTile:
    """Rows top..bottom-1 and columns left..right-1 of a photograph, in pixels."""

    top: int
    left: int
    bottom: int
    right: int

    def common(self, other: PhotoTile) -> PhotoTile:
        """What both see; its far side may lie before its near one."""
        return PhotoTile(
            max(self.top, other.top), max(self.left, other.left),
            min(self.bottom, other.bottom), min(self.right, other.right),
        )  # fmt: skip

    def cut(self, rle: dict[str, Any]) -> dict[str, Any]:
        """What a code holds inside the tile."""
        height, width = rle["size"]
        box = [[self.left, self.top, self.right - self.left, self.bottom - self.top]]
        (window,) = mask_api.frPyObjects(np.array(box, dtype=np.float64), height, width)
        return mask_api.merge([rle_bytes(rle), window], intersect=True)


def tiles_of(height: int, width: int, side: int, overlap: float) -> list[PhotoTile]:
    """Tiles of at most `side` pixels whose neighbours share `overlap` of it at least, row by row.

    Raises ValueError where `side` is below 32 or `overlap` not within 0.05..0.9: without an
    overlap nothing says which pieces belong together.
    """
    if side < 32 or not 0.05 <= overlap <= 0.9:
        raise ValueError(
            f"--tile {side} --overlap {overlap:g}: a tile has 32 pixels or more, and the overlap "
            "is a share of it from 0.05 to 0.9"
        )

    def starts(length: int) -> list[int]:
        rest = max(length - side, 0)
        count = 1 + int(np.ceil(rest / max(1, int(side * (1 - overlap)))))
        return [round(i * rest / max(count - 1, 1)) for i in range(count)]

    return [
        PhotoTile(top, left, min(top + side, height), min(left + side, width))
        for top in starts(height)
        for left in starts(width)
    ]
