"""Large photographs, scaled down once for a training and kept on disk.

A phone's photograph takes ten times as long to decode as to learn from. Each is scaled down at its
first use and kept as a PNG file with a checksum. The cache changes no number: a picture that is
read from it is the one that scaling gives, bit for bit. So it may be deleted at any time, shared by
any number of processes, and where it is damaged, full, or cannot be written, the photograph is read
again.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from wsislib.atomic import atomic_write
from wsislib.data.images import read_image

CACHE_BYTES = 4 * 2**30  # of all files of a cache; what goes beyond is scaled anew each time
_RULE = 1  # raised when, and only when, the same photograph gives other pixels
_DIGEST = 32  # bytes, of the checksum that follows the PNG


def scaled_size(height: int, width: int, side: int) -> tuple[int, int]:
    """(height, width) of a picture whose longest side is to be `side` pixels at most."""
    longest = max(height, width)
    if longest <= side:
        return height, width
    return max(1, int(height * side / longest + 0.5)), max(1, int(width * side / longest + 0.5))


class PictureCache:
    """Photographs of at most `side` pixels, kept in `folder`; both are made where they are missing.

    Args:
        folder: of the scaled pictures, of any sides.
        side: longest side of a picture in pixels. Smaller photographs are read as they are.
        limit: bytes that the folder may hold.
    """

    def __init__(self, folder: Path, side: int, limit: int = CACHE_BYTES) -> None:
        self.folder, self.side, self.limit = Path(folder), side, limit
        self._held: int | None = None  # bytes in the folder, once it was looked into
        self._writes = True

    def read(self, path: Path) -> npt.NDArray[np.uint8]:
        """Upright pixels (H, W, 3) of a photograph, scaled down; raises as `read_image`."""
        kept = self.file_of(path)
        found = _read_kept(kept)
        if found is not None:
            return found
        pixels = read_image(path)
        height, width = scaled_size(pixels.shape[0], pixels.shape[1], self.side)
        if (height, width) == pixels.shape[:2]:
            return pixels
        # Bilinear with antialiasing, as the models' own resizing.
        small = Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR)
        self._keep(kept, small)
        return np.asarray(small)

    def file_of(self, path: Path) -> Path:
        """Where a photograph's scaled copy is kept: another place when the file has changed."""
        about = path.stat() if path.exists() else None
        content = (about.st_size, about.st_mtime_ns) if about else ()
        key = hashlib.sha256(repr((_RULE, self.side, str(path.resolve()), content)).encode())
        return self.folder / f"{key.hexdigest()[:32]}.png"

    def _keep(self, kept: Path, small: Image.Image) -> None:
        if not self._writes:
            return
        buffer = io.BytesIO()
        small.save(buffer, "PNG", compress_level=1)
        packed = buffer.getvalue()
        try:
            if self._held is None or self._held + len(packed) > self.limit:
                self._held = sum(_bytes_of(file) for file in self.folder.glob("*.png"))
            if self._held + len(packed) > self.limit:
                self._stop(f"{self.folder}: full ({self.limit} bytes)")
                return
            atomic_write(kept, packed + hashlib.sha256(packed).digest(), flush=False)
            self._held += len(packed) + _DIGEST
        except OSError as error:
            self._stop(str(error))

    def _stop(self, reason: str) -> None:
        self._writes = False
        warnings.warn(
            f"{reason}. Training goes on; large photographs are scaled down anew in each step",
            stacklevel=3,
        )


def _bytes_of(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # deleted meanwhile
        return 0


def _read_kept(kept: Path) -> npt.NDArray[np.uint8] | None:
    """A kept picture; None where there is none or it is damaged."""
    try:
        content = kept.read_bytes()
    except OSError:
        return None
    packed, digest = content[:-_DIGEST], content[-_DIGEST:]
    if hashlib.sha256(packed).digest() != digest:
        return None
    with Image.open(io.BytesIO(packed)) as image:
        return np.asarray(image)
