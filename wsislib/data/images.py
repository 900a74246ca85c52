"""Photographs from disk: safe names, and every kind of picture to upright RGB.

**Orientation.** Every command and page reads a photograph upright: as the camera's EXIF orientation
says that it is to be shown, and as phones, browsers and most labelling tools show it. Sizes and
coordinates of labels refer to the upright picture. Labels that were drawn on the stored pixels are
found by `wsis data check` and turned by `wsis data turn`. For depth, transparency and pages see
`pixels.py`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from wsislib.data.pixels import PixelsError, is_deep, require_single_page, rgb_pixels
from wsislib.data.rle import MAX_PIXELS
from wsislib.data.turns import swaps_sides, turn_pixels, upright_size

MOST_ASPECT = 50  # longer side over shorter
IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})

_ORIENTATION = 0x0112
_PNG_TAGS = frozenset({"exif", "Raw profile type exif", "XML:com.adobe.xmp"})  # of Pillow's info


class ImageReadError(ValueError):
    """A file that is no readable photograph; the message names the file."""


@dataclass(frozen=True)
class ImageFacts:
    """Upright size of a photograph in pixels, and how its file holds it."""

    width: int
    height: int
    orientation: int  # EXIF's, 1..8; 1 is upright
    deep: bool = False  # more than 8 bits a channel

    @property
    def stored(self) -> tuple[int, int]:
        """(width, height) of the stored pixels."""
        return upright_size(self.width, self.height, self.orientation)

    @property
    def size_tells(self) -> bool:
        """Whether stored and upright sizes differ, so that labels show on which they were drawn."""
        return swaps_sides(self.orientation) and self.width != self.height


def links_allowed() -> bool:
    """Whether links may lead out of an image folder: `--follow-links`, or WSIS_FOLLOW_LINKS=1."""
    return os.environ.get("WSIS_FOLLOW_LINKS") == "1"


def resolve_image(root: Path, file_name: object) -> Path:
    """The path of an image, for an untrusted `file_name` relative to the folder `root`.

    Raises ValueError where it is no text, or leads out of `root`: by `..` or an absolute path, or
    by a link unless links are allowed.
    """
    if not isinstance(file_name, str) or not file_name:
        raise ValueError(f"file_name must be text, is {file_name!r}")
    if "\0" in file_name:
        raise ValueError(f"file_name {file_name!r} holds a zero byte")
    base = root.resolve()
    try:
        path = (base / file_name).resolve()
    except (OSError, RuntimeError) as error:
        raise ValueError(f"file_name {file_name!r} cannot be resolved: {error}") from None
    named = Path(os.path.normpath(base / file_name))  # where it would be, were there no links
    if not named.is_relative_to(base) or path == base:
        raise ValueError(f"file_name {file_name!r} leads out of the image folder {root}")
    if not path.is_relative_to(base) and not links_allowed():
        raise ValueError(
            f"file_name {file_name!r} leads out of the image folder {root} by a link; give "
            "--follow-links where the links are your own"
        )
    return path


def read_image(path: Path) -> npt.NDArray[np.uint8]:
    """Upright pixels of a photograph, (H, W, 3) uint8 RGB.

    EXIF orientation is applied; deep pictures are stretched to 8 bits, transparency is dropped (see
    `pixels.py`). Raises ImageReadError where the file is missing, no image, truncated, too large,
    of several pages, or in a mode without a plain meaning as RGB.
    """
    with _opened(path) as image:
        require_single_page(path, image)
        turn, pixels = orientation_of(image), rgb_pixels(image, path)
        # Pillow and OpenCV turn TIFF files themselves while they decode them.
        turn = 1 if image.format == "TIFF" else turn
        return np.ascontiguousarray(turn_pixels(pixels, turn))


def probe_image(path: Path) -> ImageFacts:
    """Size and orientation of a photograph, read completely; raises as `read_image`."""
    read_image(path)
    return picture_facts(path)


def picture_facts(path: Path) -> ImageFacts:
    """Size and orientation of a photograph from the head of its file; raises as `read_image`."""
    with _opened(path) as image:
        tags = getattr(image, "tag_v2", None)
        width, height = image.size if tags is None else (tags[256], tags[257])
        turn, deep = orientation_of(image), is_deep(image)
    return ImageFacts(*upright_size(width, height, turn), turn, deep)


def reading_notes(files: Sequence[Path]) -> list[str]:
    """One line for each way in which some pictures are read as other than their stored pixels."""
    facts = [picture_facts(file) for file in files]
    turns = Counter(fact.orientation for fact in facts if fact.orientation != 1)
    deep, count = sum(fact.deep for fact in facts), len(facts)
    notes = []
    if turns:
        kinds = ", ".join(f"orientation {turn}: {times}" for turn, times in sorted(turns.items()))
        notes.append(
            f"{turns.total()} of {count} pictures carry a turn of their camera (EXIF {kinds}); all "
            "pictures are read upright"
        )
    if deep:
        notes.append(
            f"{deep} of {count} pictures have more than 8 bits a channel; each is stretched from "
            "its darkest to its brightest thousandth"
        )
    return notes


def image_tensor(array: npt.NDArray[np.uint8]) -> Tensor:
    """(H, W, 3) uint8 to (3, H, W) float32 in 0..1."""
    chw = np.ascontiguousarray(array.transpose(2, 0, 1))  # (3, H, W)
    return torch.from_numpy(chw).to(torch.float32).div_(255)


def orientation_of(image: Image.Image) -> int:
    """EXIF's orientation of an opened image, 1..8; 1 where there is none or it is damaged."""
    if image.format == "PNG" and _PNG_TAGS.isdisjoint(image.info):
        return 1  # without a look behind the pixels, for which Pillow would decode them
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # a damaged tag does not damage the picture, which everybody else shows
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """An image file, opened; whatever goes wrong within becomes an ImageReadError."""
    try:
        # From an open file: of a path Pillow may map the pixels of a turned TIFF, wrongly.
        with open(path, "rb") as file, Image.open(file) as image:
            if image.width * image.height > MAX_PIXELS:
                raise PixelsError(
                    f"{image.width} x {image.height} is more than {MAX_PIXELS} pixels; scale it "
                    "down"
                )
            if max(image.size) > MOST_ASPECT * min(image.size):
                raise PixelsError(
                    f"{image.width} x {image.height} is more than {MOST_ASPECT} times as long as "
                    "wide, which no model can scale to its size; crop it"
                )
            yield image
    except FileNotFoundError:
        raise ImageReadError(f"{path}: no such image") from None
    except UnidentifiedImageError:
        raise ImageReadError(f"{path}: not an image that can be read") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageReadError(f"{path}: more than {MAX_PIXELS} pixels; scale it down") from None
    except PixelsError as error:
        raise ImageReadError(f"{path}: {error}") from None
    except Exception as error:  # Pillow's decoders raise many kinds on damaged files
        raise ImageReadError(f"{path}: cannot be read ({error})") from None


def find_images(places: Sequence[Path]) -> list[Path]:
    """Image files among `places`, folders searched one level deep, in the order of their names.

    Raises ValueError where a place does not exist, a folder holds no image, or nothing is left.
    """
    files: list[Path] = []
    for place in places:
        if not place.is_file() and not place.is_dir():
            raise ValueError(f"{place}: no such file or folder")
        found = [place]
        if place.is_dir():
            found = sorted(f for f in place.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES)
        if not found:
            suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
            raise ValueError(f"{place}: holds no image (looked for {suffixes})")
        files += found
    if not files:
        raise ValueError("no image was named; give image files or folders of them")
    return list(dict.fromkeys(files))
