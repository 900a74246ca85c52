"""Masks as outlines that a page can draw."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from wsislib.data.rle import decode_segmentation

Outline = list[list[float]]
"""Closed rings, each [x0, y0, x1, y1, ...] in pixels."""


def outline_of(mask: NDArray[np.bool_]) -> Outline:
    """Rings around the parts of a (H, W) bool mask and around its holes, on pixel borders."""
    # Twice as large, so that a ring can run along the border of a pixel and not through its centre.
    large = mask.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    rings, _ = cv2.findContours(large, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return [((ring.reshape(-1).astype(float) + 0.5) / 2).tolist() for ring in rings]


def outline_of_segmentation(segmentation: Any, height: int, width: int) -> Outline:
    """Rings of a COCO segmentation; polygons are rings already.

    Raises:
        SegmentationError: the segmentation is malformed or does not fit the image.
    """
    if isinstance(segmentation, list):
        return [[float(number) for number in ring] for ring in segmentation]
    return outline_of(decode_segmentation(segmentation, height, width))
