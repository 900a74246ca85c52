"""Label Studio's brush code: an RGBA picture, row by row, as runs of bits.

32 bits: how many values; 5 bits: bits of a value, less 1; four times 4 bits: the bits of a run's
length by its class, less 1. Then runs: 1 bit (1: one value repeated; 0: so many values in full),
2 bits for the class of the length, the length less 1, the value or values. A pixel is painted where
its last channel is above 0. (Label Studio's documentation, "Brush labels"; the code is rle-pack's
of the package thi.ng.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wsislib.formats.shapes import Mask, require_area, runs_of_rows

_CLASSES = (3, 4, 8, 16)  # bits of a run's length
_LONGEST = 2**16


def decode_brush(code: Any, width: int, height: int) -> Mask:
    """A brush as a (height, width) mask; ValueError where it is not one of that size."""
    require_area(width, height)
    try:
        bits = _Bits(bytes(code))
    except (TypeError, ValueError, MemoryError):
        raise ValueError("a brush that is no list of bytes") from None
    count, size = bits.read(32), bits.read(5) + 1
    if count != 4 * width * height:
        raise ValueError(f"a brush of {count} values, must be 4 x {width} x {height}")
    classes = [bits.read(4) + 1 for _ in range(4)]
    painted = np.zeros(count, dtype=bool)
    at = 0
    while at < count:
        repeated = bits.read(1)
        end = at + 1 + bits.read(classes[bits.read(2)])
        if end > count:
            raise ValueError("a brush with a run beyond the picture")
        if repeated:
            painted[at:end] = bits.read(size) > 0
        else:
            painted[at:end] = [bits.read(size) > 0 for _ in range(end - at)]
        at = end
    return painted[3::4].reshape(height, width)


def encode_brush(mask: Mask) -> list[int]:
    """The brush code of a mask, painted pixels 255 in all channels."""
    text = [f"{4 * mask.size:032b}", f"{8 - 1:05b}", *(f"{size - 1:04b}" for size in _CLASSES)]
    for place, pixels in enumerate(runs_of_rows(mask)):
        value, left = 255 * (place % 2), 4 * pixels
        while left:
            run = min(left, _LONGEST)
            index = next(i for i, size in enumerate(_CLASSES) if run <= 2**size)
            text.append(f"1{index:02b}{run - 1:0{_CLASSES[index]}b}{value:08b}")
            left -= run
    bits = "".join(text)
    bits += "0" * (-len(bits) % 8)
    return list(int(bits, 2).to_bytes(len(bits) // 8, "big"))


class _Bits:
    """A stream of bits, highest first."""

    def __init__(self, data: Sequence[int]) -> None:
        self._data, self._at = bytes(data), 0

    def read(self, count: int) -> int:
        end = self._at + count
        if end > 8 * len(self._data):
            raise ValueError("a brush that ends too early")
        chunk = self._data[self._at // 8 : (end + 7) // 8]
        self._at = end
        return (int.from_bytes(chunk, "big") >> (-end % 8)) & ((1 << count) - 1)
