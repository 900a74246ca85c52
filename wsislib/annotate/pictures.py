"""Images as a labelling page shows them: read by the library's one function, sent as JPEG."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsislib.data.images import read_image

SHOWN_SIDE = 1600  # pixels; a larger picture is sent scaled down, its coordinates are not
THUMBNAIL_SIDE = 96  # pixels
_KEPT = 3  # pictures in memory: the one that is shown, and those beside it
_KEPT_THUMBNAILS = 5000  # of some 3 kB

_Key = tuple[str, int, int]


@dataclass(frozen=True)
class ShownPicture:
    """An image as it is read, and what a browser shows of it."""

    pixels: NDArray[np.uint8]  # (H, W, 3), upright, as every other command reads it
    jpeg: bytes  # of the same pixels, at most `SHOWN_SIDE` a side


class Pictures:
    """Pictures by name, on demand; those that will be wanted next are read beforehand."""

    def __init__(self, path_of: Callable[[str], Path]) -> None:
        """`path_of` gives the file of a name, or raises ValueError."""
        self._path_of = path_of
        self._pictures: OrderedDict[_Key, Future[ShownPicture]] = OrderedDict()
        self._thumbnails: OrderedDict[_Key, bytes] = OrderedDict()
        self._lock, self._one_thumbnail = Lock(), Lock()
        self._reader: ThreadPoolExecutor | None = None

    def picture(self, name: str) -> ShownPicture:
        """The picture of a name; raises ValueError or OSError where it cannot be read."""
        key, path = self._key(name)
        with self._lock:
            known = self._pictures.get(key)
            if known is not None:
                self._pictures.move_to_end(key)
        if known is not None:
            return known.result()
        done: Future[ShownPicture] = Future()
        done.set_result(_read(path))
        self._keep(key, done)
        return done.result()

    def prefetch(self, name: str) -> None:
        """Begin to read a picture in the background; errors show when it is asked for."""
        try:
            key, path = self._key(name)
        except (ValueError, OSError):
            return
        with self._lock:
            if key in self._pictures:
                return
            self._reader = self._reader or ThreadPoolExecutor(1, "next picture")
        self._keep(key, self._reader.submit(_read, path))

    def thumbnail(self, name: str) -> bytes:
        """A small JPEG; raises as `picture`. One is made at a time, so that memory is bounded."""
        key, path = self._key(name)
        with self._one_thumbnail:
            if key not in self._thumbnails:
                self._thumbnails[key] = _jpeg(read_image(path), THUMBNAIL_SIDE)
                if len(self._thumbnails) > _KEPT_THUMBNAILS:
                    self._thumbnails.popitem(last=False)
            return self._thumbnails[key]

    def _key(self, name: str) -> tuple[_Key, Path]:
        """Of the file as it is now: an exchanged one is read anew."""
        path = self._path_of(name)
        try:
            facts = path.stat()
        except OSError:
            return (name, 0, 0), path  # reading it says what is wrong
        return (name, facts.st_mtime_ns, facts.st_size), path

    def _keep(self, key: _Key, picture: Future[ShownPicture]) -> None:
        with self._lock:
            self._pictures[key] = picture
            while len(self._pictures) > _KEPT:
                self._pictures.popitem(last=False)


def _read(path: Path) -> ShownPicture:
    pixels = read_image(path)
    return ShownPicture(pixels, _jpeg(pixels, SHOWN_SIDE))


def _jpeg(pixels: NDArray[np.uint8], side: int) -> bytes:
    image = Image.fromarray(pixels)
    image.thumbnail((side, side))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=92)
    return stream.getvalue()
