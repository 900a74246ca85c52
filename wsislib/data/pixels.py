"""From what an image file holds to 8-bit RGB, by one rule for each kind of file.

| the file holds | it is read as |
|---|---|
| grey, palette, CMYK, YCbCr, Lab of 8 bits or fewer | Pillow's conversion to RGB |
| 10, 12, 16 or 32 bits a channel, or floats; grey or colour | stretched, see `stretch` |
| transparency | the colours, as if all were opaque; see below |
| several pages | the first page; a TIFF whose second is as large is refused |

Where all pixels are of one colour and only their transparency draws something, it is laid on white
(a light colour on black). First pages are those of animations, and of files with a preview or a
phone's second picture.

The darkest thousandth of a deep picture's values becomes black and the brightest white, all
channels together, whatever depth the file states: 12-bit values in 16-bit files, cameras that use
a tenth of their range, and floats of any unit all come out visible. A picture is stretched by its
own values alone, so it looks the same in training and later, whatever lies beside it; brightness
cannot be compared between such pictures.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

_TAIL = 0.1  # per cent of values that become black, and as many that become white
_SAMPLE = 4_000_000  # values at most that the ends of the range are taken from
_WHITE_IS_ZERO = 0  # of TIFF's tag 262


class PixelsError(ValueError):
    """An image whose pixels have no plain meaning as RGB; says how to mend it."""


def is_deep(image: Image.Image) -> bool:
    """Whether an opened image has more than 8 bits a channel; nothing is decoded."""
    packed = (str(tile[3]) for tile in getattr(image, "tile", ()))
    return image.mode[0] in "IF" or any(";16" in form for form in packed)


def require_single_page(path: Path, image: Image.Image) -> None:
    """Raise PixelsError where a TIFF file has a second page as large as the first."""
    if image.format != "TIFF":
        return
    with Image.open(path) as other:
        try:
            other.seek(1)
        except EOFError:
            return
        if other.width * other.height >= image.width * image.height:
            raise PixelsError(
                f"holds {getattr(other, 'n_frames', 2)} pages of {image.width} x {image.height} "
                "pixels; save the page that is meant, or each of them, as a file of its own"
            )


def rgb_pixels(image: Image.Image, path: Path) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8 of an opened image; TIFF comes out upright, all others as stored.

    Raises PixelsError where the pixels have no plain meaning.
    """
    if is_deep(image):
        return _deep_pixels(image, path)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        return _without_alpha(np.asarray(image.convert("RGBA")))
    return np.asarray(image.convert("RGB"))


def stretch(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Values (H, W) or (H, W, C) of any range to bytes: see the module's text.

    What is not finite becomes black; a picture of one value becomes grey.
    """
    pixels = values.reshape(values.shape[0] * values.shape[1], -1)  # (H * W, channels)
    sample = pixels[:: values.size // _SAMPLE + 1].astype(np.float64)
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        return np.zeros(values.shape, dtype=np.uint8)
    low, high = np.percentile(sample, (_TAIL, 100 - _TAIL))
    if low == high:
        low, high = sample.min(), sample.max()
    if low == high:
        return np.full(values.shape, 128, dtype=np.uint8)
    if values.dtype == np.uint16:  # by a table, which is fast
        return _scaled(np.arange(0x10000), low, high)[values]
    return _scaled(values, low, high)


def _scaled(values: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.uint8]:
    part = (values.astype(np.float64) - low) / (high - low)
    bytes_ = np.nan_to_num(part, nan=0.0, posinf=0.0, neginf=0.0).clip(0, 1) * 255 + 0.5
    return bytes_.astype(np.uint8)


def _deep_pixels(image: Image.Image, path: Path) -> npt.NDArray[np.uint8]:
    """Of a grey image as Pillow reads it; of colours, which Pillow cuts to 8 bits, by OpenCV."""
    if image.mode[0] in "IF":
        grey = stretch(np.asarray(image))
        if getattr(image, "tag_v2", {}).get(262) == _WHITE_IS_ZERO:
            grey = 255 - grey
        return np.repeat(grey[:, :, None], 3, axis=2)
    values = deep_colours(path) if image.mode != "CMYK" else None
    if values is None:
        raise PixelsError(f"{image.mode} of 16 bits a channel; save it as RGB")
    return stretch(values[:, :, 2::-1])  # blue comes first


def deep_colours(path: Path) -> npt.NDArray[np.uint16] | None:
    """(H, W, 3 or 4) of a 16-bit file, blue first, as OpenCV reads it; None where it cannot."""
    content = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    values = cv2.imdecode(content, flags)
    if values is None or values.dtype != np.uint16:
        return None
    deep = values.astype(np.uint16, copy=False)
    return deep if deep.ndim == 3 else np.repeat(deep[:, :, None], 3, axis=2)


def _without_alpha(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """(H, W, 4) to (H, W, 3); see the module's table."""
    colours, alpha = pixels[..., :3], pixels[..., 3:]
    if (colours != colours[0, 0]).any() or (alpha == alpha[0, 0]).all():
        return np.ascontiguousarray(colours)
    ground = 255 if colours[0, 0].mean() < 128 else 0
    share = alpha.astype(np.uint16)
    mixed = (colours.astype(np.uint16) * share + ground * (255 - share) + 127) // 255
    return mixed.astype(np.uint8)
