"""COCO segmentations to masks and back, checked against the image first.

A run-length code of 30 bytes can ask for gigabytes, and coordinates of 1e8 crash pycocotools'
C code. So every number is checked before memory is taken or C code runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as mask_api

MAX_PIXELS = 89_000_000  # of one image; beyond about this size Pillow suspects an attack as well
MAX_VERTICES = 200_000  # of the polygons of one instance
MAX_INSTANCES = 2_000  # of one image
MAX_MASK_BYTES = 4 * 2**30  # of all masks of one image, one byte a pixel

_ENCODE_AGAIN = "encode the mask again at the image's size, [height, width]"
_POLYGONS = "write polygons as [[x0, y0, x1, y1, ...], ...]"


class SegmentationError(ValueError):
    """A segmentation that cannot be read: a short name of the fault, and how to correct it."""

    def __init__(self, code: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.code, self.remedy = code, remedy


def decode_segmentation(segmentation: Any, height: int, width: int) -> npt.NDArray[np.bool_]:
    """The mask of one instance, (height, width) bool, sizes in pixels.

    `segmentation` is one of COCO's three forms: a list of polygons, each [x0, y0, x1, y1, ...] in
    pixels (the instance is their union); `{"size": [H, W], "counts": [...]}`; or the same with
    `counts` compressed, as str or bytes. Raises SegmentationError where it is malformed, does not
    fit the image, or asks for more than the limits of this module.
    """
    # Runs are repeated here because pycocotools' decoder warns under numpy 2, and the checks have
    # read the text anyway.
    runs = _runs_of_text(checked_rle(segmentation, height, width)["counts"])
    columns = np.repeat(np.arange(runs.size) % 2 == 1, runs)  # (W * H,), column by column
    return columns.reshape(width, height).T


def encode_mask(mask: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """A (H, W) bool mask as compressed run-length code: `{"size": [H, W], "counts": str}`."""
    rle = mask_api.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode("ascii")}


def encode_window(
    mask: npt.NDArray[np.bool_], top: int, left: int, height: int, width: int
) -> dict[str, Any]:
    """The code of a (height, width) mask that is False outside a window, without making it whole.

    `mask` is (h, w) bool, its first pixel at row `top` and column `left`; the code is the one that
    `encode_mask` gives of the whole mask.
    """
    high = mask.shape[0]
    inner = mask_api.encode(np.asfortranarray(mask, dtype=np.uint8))
    ends = np.cumsum(_runs_of_text(inner["counts"]))  # places in the window, column by column
    starts, ends = ends[0::2][: ends.size // 2], ends[1::2]
    if high < height:  # a run that goes on in the next column is two in the whole mask
        parts = (ends - 1) // high - starts // high + 1
        column = np.repeat(starts // high - np.cumsum(parts) + parts, parts)
        column += np.arange(column.size)
        starts = np.maximum(np.repeat(starts, parts), column * high)
        ends = np.minimum(np.repeat(ends, parts), (column + 1) * high)
        shift = (left + column) * height + top - column * high
        starts, ends = starts + shift, ends + shift
    else:
        starts, ends = starts + left * height, ends + left * height
    bounds = np.stack([starts, ends], axis=1).ravel()
    runs = np.diff(np.concatenate([[0], bounds, [height * width]]))
    runs = runs[:-1] if runs[-1] == 0 else runs
    rle = mask_api.frPyObjects({"size": [height, width], "counts": runs.tolist()}, height, width)
    return {"size": [height, width], "counts": rle["counts"].decode("ascii")}


def read_at(
    rle: dict[str, Any], rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """(R, C) bool: a sound code at R rows and C columns, both ascending, the rest not decoded."""
    runs = _runs_of_text(rle_bytes(rle)["counts"])
    places = (columns[:, None] * rle["size"][0] + rows).ravel()  # (C * R,) column by column
    changes = np.searchsorted(places, np.cumsum(runs))  # the first place after each run
    inside = np.cumsum(np.bincount(changes, minlength=places.size + 1))[:-1] % 2 == 1
    return inside.reshape(columns.size, rows.size).T


def rle_bytes(rle: dict[str, Any]) -> dict[str, Any]:
    """A compressed code with its counts as bytes, which pycocotools' functions of several take."""
    counts = rle["counts"]
    return {**rle, "counts": counts.encode("ascii") if isinstance(counts, str) else counts}


def rle_area(rle: dict[str, Any]) -> int:
    """Pixels of a code that `checked_rle` or `encode_mask` returned."""
    return int(mask_api.area(rle))


def rle_box(rle: dict[str, Any]) -> tuple[float, float, float, float]:
    """Tight box (x, y, w, h) in pixels of a code that was checked; w = h = 0 where empty."""
    x, y, w, h = (float(value) for value in mask_api.toBbox(rle))
    return x, y, w, h


def checked_rle(segmentation: Any, height: int, width: int) -> dict[str, Any]:
    """A segmentation as of `decode_segmentation`, checked, as compressed run-length code.

    Returns `{"size": [H, W], "counts": bytes}`, safe for pycocotools; raises SegmentationError.
    """
    if not 0 < height * width <= MAX_PIXELS:
        message = f"an image of {width} x {height} pixels is outside 1..{MAX_PIXELS} pixels"
        remedy = "scale the image and its annotations down"
        raise SegmentationError("image-too-large", message, remedy)
    if isinstance(segmentation, dict):
        return _checked_code(segmentation, height, width)
    if isinstance(segmentation, list | tuple):
        return _checked_polygons(segmentation, height, width)
    kind = type(segmentation).__name__
    message = f"segmentation must be a list of polygons or an RLE object, is {kind}"
    remedy = f"{_POLYGONS} or RLE as {{size, counts}}"
    raise SegmentationError("segmentation-type", message, remedy)


def _checked_polygons(parts: Sequence[Any], height: int, width: int) -> dict[str, Any]:
    remedy = "draw the polygon again, or delete the annotation"
    if not parts:
        raise SegmentationError("polygon-degenerate", "segmentation has no polygon", remedy)
    if all(isinstance(part, int | float) for part in parts):
        message = "segmentation is one flat list of numbers, must be a list of polygons"
        raise SegmentationError("segmentation-type", message, "wrap it: [[x0, y0, x1, y1, ...]]")
    for index, part in enumerate(parts):
        if not isinstance(part, list | tuple):
            message = f"polygon {index} must be a list of numbers, is {type(part).__name__}"
            raise SegmentationError("segmentation-type", message, _POLYGONS)
        if len(part) % 2 or len(part) < 6:
            needs = "it needs x and y of at least 3 points"
            message = f"polygon {index} has {len(part)} numbers; {needs}"
            raise SegmentationError("polygon-degenerate", message, remedy)
        _check_coordinates(index, part, height, width)
    vertices = sum(len(part) for part in parts) // 2
    if vertices > MAX_VERTICES:
        message = f"{vertices} vertices in one instance, at most {MAX_VERTICES} are read"
        remedy = "simplify the polygon, or store the mask as RLE"
        raise SegmentationError("polygon-too-large", message, remedy)
    polygons = [[float(value) for value in part] for part in parts]
    return mask_api.merge(mask_api.frPyObjects(polygons, height, width))


def _check_coordinates(index: int, part: Sequence[Any], height: int, width: int) -> None:
    margin = max(height, width)
    for place, value in enumerate(part):
        if isinstance(value, bool) or not isinstance(value, int | float):
            message = f"polygon {index} holds {value!r} where a number must be"
            raise SegmentationError("segmentation-type", message, "write coordinates as numbers")
        limit = height if place % 2 else width
        if -margin <= value <= limit + margin:
            continue
        code, fault = "not-finite", "is not finite"
        if isinstance(value, int) or math.isfinite(value):
            code, fault = "polygon-coordinates", f"lies far outside {width} x {height} pixels"
        message = f"polygon {index}: {'y' if place % 2 else 'x'} = {_short(value)} {fault}"
        raise SegmentationError(code, message, "give coordinates in pixels of this image")


def _checked_code(code: dict[Any, Any], height: int, width: int) -> dict[str, Any]:
    size, counts = code.get("size"), code.get("counts")
    if not isinstance(size, list | tuple) or [_whole(side) for side in size] != [height, width]:
        message = f"RLE size {_short(size)} is not the image's [{height}, {width}]"
        raise SegmentationError("rle-size", message, _ENCODE_AGAIN)
    if isinstance(counts, str):
        counts = counts.encode("utf-8", "replace")
    if isinstance(counts, bytes):
        runs = _runs_of_text(counts)
    elif isinstance(counts, list | tuple):
        runs = _runs_of_list(counts)
        counts = None
    else:
        raise _counts_error(f"RLE counts must be text or a list, is {type(counts).__name__}")
    if runs.size and int(runs.min()) < 0:
        raise _counts_error("RLE has a run of negative length")
    total, pixels = int(runs.sum()), height * width
    if total != pixels:
        raise _counts_error(f"RLE runs sum to {total}, the image has {pixels} pixels")
    if counts is None:
        code = {"size": [height, width], "counts": runs.tolist()}
        return mask_api.frPyObjects(code, height, width)
    return {"size": [height, width], "counts": counts}


def _runs_of_list(counts: Sequence[Any]) -> npt.NDArray[np.int64]:
    for value in counts:
        whole = _whole(value)
        if whole is None or abs(whole) > MAX_PIXELS:
            raise _counts_error(f"RLE counts hold {_short(value)}, no whole number of pixels")
    return np.array([int(value) for value in counts], dtype=np.int64)


def _runs_of_text(text: bytes) -> npt.NDArray[np.int64]:
    """Run lengths of COCO's compressed text, without allocating anything of the image's size.

    The text holds one number after another, five bits a character, least first, offset by 48;
    bit 0x20 says that the number goes on, bit 0x10 of its last character is the sign. From the
    fourth run on, a number is the difference to the run two before it.
    """
    digits = np.frombuffer(text, dtype=np.uint8).astype(np.int64) - 48
    if digits.size == 0:
        return np.zeros(0, dtype=np.int64)
    if digits.min() < 0 or digits.max() > 63 or digits[-1] & 0x20:
        raise _counts_error("RLE counts are not COCO's compressed text")
    ends = np.flatnonzero((digits & 0x20) == 0)  # (N,) last character of each number
    starts = np.concatenate([[0], ends[:-1] + 1])
    if int((ends - starts).max()) > 6:
        raise _counts_error("RLE counts hold a number beyond 31 bits")
    place = np.arange(digits.size) - np.repeat(starts, ends - starts + 1)
    values = np.add.reduceat((digits & 0x1F) << (5 * place), starts)
    negative = (digits[ends] & 0x10) != 0
    values = values - (negative.astype(np.int64) << (5 * (ends - starts + 1)))
    if int(np.abs(values).max()) > MAX_PIXELS:
        raise _counts_error("RLE counts hold a run beyond any image")
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def _counts_error(message: str) -> SegmentationError:
    return SegmentationError("rle-counts", message, _ENCODE_AGAIN)


def _whole(value: Any) -> int | None:
    """`value` as an int where it is a whole number, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, int):
        return value
    return int(value) if math.isfinite(value) and value == int(value) else None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
