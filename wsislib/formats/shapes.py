"""Shapes of labelling tools as fields of a COCO annotation, and masks as outlines."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from wsislib.data.rle import MAX_PIXELS, encode_mask

Mask = npt.NDArray[np.bool_]
Point = tuple[float, float]
DIGITS = 4  # of a pixel, where a format has coordinates relative to the picture's size
_ELLIPSE = 64  # vertices


def box_fields(x0: float, y0: float, x1: float, y1: float) -> dict[str, Any]:
    """A box by two opposite corners, in any order."""
    left, right, top, bottom = min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1)
    box = [round(side, 6) for side in (left, top, right - left, bottom - top)]
    if not (box[2] and box[3]):
        raise ValueError("a box without width or height")
    return {"bbox": box}


def ring_fields(points: Sequence[Point]) -> dict[str, Any]:
    """A polygon by its vertices."""
    if len(points) < 3:
        raise ValueError(f"a polygon of {len(points)} points")
    return {"segmentation": [[value for point in points for value in point]]}


def ellipse_ring(
    centre: Point, radius_x: float, radius_y: float, degrees: float = 0.0
) -> list[Point]:
    """Vertices of an ellipse, turned clockwise about its centre as pictures are seen."""
    if not (radius_x > 0 and radius_y > 0):
        raise ValueError("an ellipse without extent")
    turn = [2 * math.pi * k / _ELLIPSE for k in range(_ELLIPSE)]
    flat = [(centre[0] + radius_x * math.cos(t), centre[1] + radius_y * math.sin(t)) for t in turn]
    return [(round(x, 6), round(y, 6)) for x, y in turned(flat, centre, degrees)]


def turned(points: Iterable[Point], about: Point, degrees: float) -> list[Point]:
    """Points turned clockwise about one of them, y pointing down."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    moved = [(x - about[0], y - about[1]) for x, y in points]
    return [(about[0] + x * c - y * s, about[1] + x * s + y * c) for x, y in moved]


def upright_box(points: Sequence[Point]) -> dict[str, Any]:
    """The upright box around points."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return box_fields(min(xs), min(ys), max(xs), max(ys))


def mask_from_runs(runs: Sequence[int], width: int, height: int) -> Mask:
    """Row-major run lengths, the first of background, as a (height, width) mask."""
    require_area(width, height)
    lengths = np.array(runs, dtype=np.int64)
    if lengths.size == 0 or lengths.min() < 0 or int(lengths.sum()) != width * height:
        raise ValueError(f"run lengths do not fill its {width} x {height} pixels")
    return np.repeat(np.arange(lengths.size) % 2 == 1, lengths).reshape(height, width)


def runs_of_rows(mask: Mask) -> list[int]:
    """Row-major run lengths of a mask, the first of background (0 where it begins inside)."""
    flat = np.concatenate([[False], mask.ravel()])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(np.concatenate([[0], edges, [mask.size]])).astype(int).tolist()


def pasted_mask(crop: Mask, left: int, top: int, width: int, height: int) -> dict[str, Any]:
    """A mask of part of a picture of width x height pixels; what lies outside is cut off."""
    require_area(width, height)
    whole = np.zeros((height, width), dtype=bool, order="F")  # as its code runs
    x0, y0 = max(left, 0), max(top, 0)
    part = crop[y0 - top : max(height - top, 0), x0 - left : max(width - left, 0)]
    if part.size:
        whole[y0 : y0 + part.shape[0], x0 : x0 + part.shape[1]] = part
    if not whole.any():
        raise ValueError("a mask without a pixel in the picture")
    return {"segmentation": encode_mask(whole)}


def require_area(width: int, height: int) -> None:
    """Raise ValueError where a size is not one that is read."""
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        raise ValueError(f"{width} x {height} pixels are not within 1..{MAX_PIXELS}")


def mask_crop(mask: Mask) -> tuple[Mask, int, int]:
    """The tight part of a mask that is not empty, and its left and top."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, left = int(rows[0]), int(columns[0])
    return mask[top : rows[-1] + 1, left : columns[-1] + 1], left, top


def outline(mask: Mask, tolerance: float) -> tuple[list[list[float]], int]:
    """Outer rings of a mask along the edges of its pixels, and how many holes they do not tell of.

    With `tolerance` 0 the rings are exact: read again they cover the very pixels. Else vertices
    that lie within so many pixels of the ring without them are left out.
    """
    crop, left, top = mask_crop(mask)
    rings, holes = [], 0
    for ring in _edges(crop):
        corners: npt.NDArray[Any] = np.array(ring, dtype=np.int32)
        if _signed_area(corners) < 0:
            holes += 1
            continue
        if tolerance > 0:
            simple = cv2.approxPolyDP(corners, tolerance, closed=True)[:, 0]
            corners = simple if len(simple) > 2 else corners
        rings.append((corners + [left, top]).astype(float).ravel().tolist())
    return rings, holes


def bridged(rings: Sequence[Sequence[float]]) -> list[float]:
    """Several rings as one, joined by lines that are walked forth and back."""
    first, *others = rings
    found = [*first, *first[:2]] if others else list(first)
    for ring in others:
        found += [*ring, *ring[:2], *first[:2]]
    return found


def _signed_area(corners: npt.NDArray[Any]) -> float:
    """Positive for rings that `_edges` walks with the mask on their right."""
    x, y = corners[:, 0].astype(float), corners[:, 1].astype(float)
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))


def _edges(mask: Mask) -> list[list[tuple[int, int]]]:
    """Closed rings of corners along pixel edges, the mask on their right (y pointing down)."""
    padded = np.pad(mask, 1)
    ahead: dict[tuple[int, int], list[tuple[int, int]]] = {}
    inside = padded[1:-1, 1:-1]
    steps = (
        ((0, 0), (1, 0), padded[:-2, 1:-1]),  # top edge: start, end, neighbour that must be outside
        ((1, 0), (1, 1), padded[1:-1, 2:]),
        ((1, 1), (0, 1), padded[2:, 1:-1]),
        ((0, 1), (0, 0), padded[1:-1, :-2]),
    )
    for (sx, sy), (ex, ey), neighbour in steps:
        for y, x in np.argwhere(inside & ~neighbour).tolist():
            ahead.setdefault((x + sx, y + sy), []).append((x + ex, y + ey))
    rings = []
    while ahead:
        start = next(iter(ahead))
        ring, here, came = [start], start, (0, 0)
        while True:
            options = ahead[here]
            # Where two pixels touch by a corner, turn right: the parts stay apart.
            right = (here[0] - came[1], here[1] + came[0])
            after = right if len(options) > 1 and right in options else options[0]
            options.remove(after)
            if not options:
                del ahead[here]
            step = (after[0] - here[0], after[1] - here[1])
            if step == came:
                ring[-1] = after
            else:
                ring.append(after)
            here, came = after, step
            if here == start:
                break
        rings.append(ring[:-1])
    return rings
