"""Photographs from disk: safe names, every colour mode to RGB, and a folder as a data set."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from wsislib.data.rle import MAX_PIXELS
from wsislib.data.sample import Category, Label, LabelKind, Sample

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})

# EXIF's tag of the camera's orientation; 1 is upright, 5 to 8 swap width and height.
_ORIENTATION = 0x0112


class ImageReadError(ValueError):
    """A file that is no readable photograph; the message names the file."""


@dataclass(frozen=True)
class ImageFacts:
    """Stored size of a photograph in pixels and its EXIF orientation 1..8."""

    width: int
    height: int
    orientation: int


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
    """Pixels of a photograph as they are stored, (H, W, 3) uint8 RGB.

    EXIF orientation is not applied: the sizes and coordinates of COCO and VOC annotations refer
    to the stored pixels. Grey, palette and CMYK become RGB, alpha is dropped, 16-bit grey keeps
    its upper 8 bits. Raises ImageReadError where the file is missing, no image, truncated, too
    large, or in a mode without a plain meaning as RGB.
    """
    return _read(path)[0]


def probe_image(path: Path) -> ImageFacts:
    """Size and orientation of a photograph, read completely; raises as `read_image`."""
    array, orientation = _read(path)
    return ImageFacts(width=array.shape[1], height=array.shape[0], orientation=orientation)


def image_tensor(array: npt.NDArray[np.uint8]) -> Tensor:
    """(H, W, 3) uint8 to (3, H, W) float32 in 0..1."""
    chw = np.ascontiguousarray(array.transpose(2, 0, 1))  # (3, H, W)
    return torch.from_numpy(chw).to(torch.float32) / 255


def _read(path: Path) -> tuple[npt.NDArray[np.uint8], int]:
    try:
        with Image.open(path) as image:
            return _pixels(image, path), _orientation(image)
    except FileNotFoundError:
        raise ImageReadError(f"{path}: no such image") from None
    except UnidentifiedImageError:
        raise ImageReadError(f"{path}: not an image that can be read") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageReadError(f"{path}: more than {MAX_PIXELS} pixels; scale it down") from None
    except ImageReadError:
        raise
    except Exception as error:  # Pillow's decoders raise many kinds on damaged files
        raise ImageReadError(f"{path}: cannot be read ({error})") from None


def _pixels(image: Image.Image, path: Path) -> npt.NDArray[np.uint8]:
    if image.width * image.height > MAX_PIXELS:
        raise ImageReadError(
            f"{path}: {image.width} x {image.height} is more than {MAX_PIXELS} pixels; "
            "scale it down"
        )
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow would clip to white
        deep = np.asarray(image)
        if deep.min() < 0 or deep.max() > 0xFFFF:
            raise ImageReadError(f"{path}: grey values beyond 16 bits; save it as 8-bit RGB")
        grey = (deep.astype(np.uint16) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode == "F":
        raise ImageReadError(f"{path}: floating-point pixels; save it as 8-bit RGB")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # Pillow warns where the alpha is dropped in one step
    return np.asarray(image.convert("RGB"))


def _orientation(image: Image.Image) -> int:
    value = image.getexif().get(_ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


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


class ImageFolder:
    """Unlabelled image files as a data set; every label is an empty TAG label.

    `categories` are those of the model, `ids` the image id per file (1, 2, ... if not given).
    """

    def __init__(
        self,
        files: Sequence[Path],
        categories: tuple[Category, ...],
        ids: Sequence[int] | None = None,
    ) -> None:
        self.files = tuple(files)
        self.categories = categories
        self.image_ids = tuple(ids) if ids is not None else tuple(range(1, len(files) + 1))
        if len(self.image_ids) != len(self.files):
            raise ValueError(f"{len(self.image_ids)} ids for {len(self.files)} files")

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Sample:
        """The image at `index`; raises ImageReadError naming a file that cannot be read."""
        image = image_tensor(read_image(self.files[index]))
        nothing = Label(LabelKind.TAG, torch.zeros(0, dtype=torch.int64))
        return Sample(image, self.image_ids[index], nothing)

    def records(self) -> list[dict]:
        """COCO image records without sizes: id and file name."""
        pairs = zip(self.image_ids, self.files, strict=True)
        return [{"id": id, "file_name": file.name} for id, file in pairs]

    def ground_truth(self) -> dict:
        """COCO dictionary without annotations."""
        categories = [{"id": c.id, "name": c.name} for c in self.categories]
        return {"images": self.records(), "annotations": [], "categories": categories}

    def fingerprint(self) -> str:
        """Digest of ids and file contents."""
        digest = hashlib.sha256()
        for id, file in zip(self.image_ids, self.files, strict=True):
            digest.update(f"{id}\0{file.name}\0".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        return digest.hexdigest()
