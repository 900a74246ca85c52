"""Masks from boxes by GrabCut: from a box and the image's colours, without learning.

Rother, Kolmogorov and Blake, "GrabCut", SIGGRAPH 2004, as OpenCV has it. Two baselines of Hu et
al., Learning to Segment Every Thing, table 2, come from it; they give no settings, so these were
chosen here, on scenes that no table is evaluated on. Scaling a scene of 96 px up before the cut
made masks worse and cost several times as much, so it is no setting.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

ITERATIONS = 5
"""Rounds of fitting colours and cutting; after the third hardly anything changes."""
MARGIN = 1.0
"""How far beyond the box GrabCut looks, in sides of the box."""

_GAUSSIANS = (1, 65)  # OpenCV's form of five Gaussians: weight, mean and covariance of each
_NO_BOX = (0, 0, 1, 1)  # the state says where the box is


def grabcut_mask(
    image: npt.NDArray[np.uint8],
    box: npt.ArrayLike,
    iterations: int = ITERATIONS,
    margin: float = MARGIN,
) -> npt.NDArray[np.bool_]:
    """The object in a box, cut out by the colours inside and around the box.

    The same arguments give the same mask; OpenCV's random numbers start from 0 each time.

    Args:
        image: (H, W, 3) uint8.
        box: (4,) xyxy in pixels. All outside is background. A pixel belongs to the box if its
            centre (at +0.5) lies inside; a box too thin for that has the pixel in its middle,
            and what leaves the image is cut off.
        iterations: at least 1.
        margin: how far beyond the box the background is seen, in sides of the box (above 0). A
            large number takes the whole image, which is slow where images are large.

    Returns:
        (H, W) bool, never empty, within the box. It is the box itself where GrabCut finds nothing
        or cannot start, as with a box that covers the image.

    Raises:
        ValueError: an argument is of another shape or type, not finite or out of range.
    """
    check_settings(iterations, margin)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise ValueError(f"image must be (H, W, 3) uint8, is {image.shape} {image.dtype}")
    x0, y0, x1, y1 = (float(value) for value in np.asarray(box))
    if not all(math.isfinite(value) for value in (x0, y0, x1, y1)):
        raise ValueError(f"box ({x0:g}, {y0:g}, {x1:g}, {y1:g}) is not finite")
    rows, columns = _inside(y0, y1, image.shape[0]), _inside(x0, x1, image.shape[1])
    seen_rows = _widened(rows, margin, image.shape[0])
    seen_columns = _widened(columns, margin, image.shape[1])
    mask = np.zeros(image.shape[:2], dtype=bool)
    mask[rows, columns] = True
    seen = mask[seen_rows, seen_columns]
    cut = _cut(image[seen_rows, seen_columns], seen, iterations)
    if cut.any():
        mask[seen_rows, seen_columns] = cut
    return mask


def check_settings(iterations: int, margin: float) -> None:
    """Raise a ValueError if either is out of range."""
    if iterations < 1 or not margin > 0:
        raise ValueError(
            f"GrabCut wants iterations >= 1 and margin > 0, got {iterations} and {margin:g}"
        )


def _cut(
    image: npt.NDArray[np.uint8], possible: npt.NDArray[np.bool_], iterations: int
) -> npt.NDArray[np.bool_]:
    """(H, W) bool, within `possible`; empty where OpenCV cannot start."""
    state = np.where(possible, cv2.GC_PR_FGD, cv2.GC_BGD).astype(np.uint8)
    background, foreground = np.zeros(_GAUSSIANS), np.zeros(_GAUSSIANS)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # processes share the work; threads of each would only be in the way
    cv2.setRNGSeed(0)
    try:
        cv2.grabCut(
            np.ascontiguousarray(image), state, _NO_BOX, background, foreground, iterations,
            cv2.GC_INIT_WITH_MASK,
        )  # fmt: skip
    except cv2.error:  # no background in sight, or too few pixels for its Gaussians
        return np.zeros(possible.shape, dtype=bool)
    finally:
        cv2.setNumThreads(threads)
    return state == cv2.GC_PR_FGD


def _inside(low: float, high: float, size: int) -> slice:
    """The pixels of a line of `size` whose centres lie in low..high; at least one."""
    first, past = math.ceil(low - 0.5), math.ceil(high - 0.5)
    if past <= first:
        first = math.floor((low + high) / 2)
    first = min(max(first, 0), size - 1)
    return slice(first, min(max(past, first + 1), size))


def _widened(held: slice, margin: float, size: int) -> slice:
    """`held` with the margin on both sides, within a line of `size` pixels."""
    far = math.ceil(min(margin * (held.stop - held.start), size))
    return slice(max(held.start - far, 0), min(held.stop + far, size))
