"""Visual Genome's own files, as compact arrays.

objects.json holds 3.8 million objects in one list of images. It is read record by record, so that
memory holds one image's JSON and, of every object, the 24 bytes that are used. Not by ijson: it has
no limit for a record, and a deeply nested file makes it take all memory.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from wsislib.data.photographs.coco_labels import numbers
from wsislib.data.rle import MAX_PIXELS

CHUNK = 2**20  # characters read at once
MAX_RECORD = 2**26  # characters of one record

_SPACE = re.compile(r"[ \t\r\n]*")
_PLACE = re.compile(r"(?:^|/)(VG_100K(?:_2)?/[^/\\]+)$")


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One record of image_data.json: sizes in pixels, `file_name` relative to the root.

    `coco_id` is the id of the same photograph in COCO, None where it is not in COCO.
    """

    image_id: int
    width: int
    height: int
    file_name: str
    coco_id: int | None


@dataclass(frozen=True)
class ObjectTable:
    """Every object that has one synset and a box in its image, N in all, ordered by image."""

    synsets: tuple[str, ...]  # S names, sorted
    counts: npt.NDArray[np.int64]  # (S,) how often each occurs, also among the objects left out
    starts: npt.NDArray[np.int64]  # (I + 1,); image i has the rows starts[i] to starts[i + 1]
    synset: npt.NDArray[np.int32]  # (N,) index into `synsets`
    boxes: npt.NDArray[np.float32]  # (N, 4) xyxy in pixels, inside the image and not empty
    dropped: Mapping[str, int]  # how many objects were left out, by reason


def read_images(path: Path) -> dict[int, ImageRecord]:
    """Records of image_data.json by image id, in the order of the file.

    A ValueError names the file, the image and what is wrong.
    """
    images: dict[int, ImageRecord] = {}
    for record in stream_records(path):
        image_id = _whole(record, "image_id", path, "a record")
        where = f"image {image_id}"
        if image_id in images:
            raise ValueError(f"{path}, {where}: stands in the file twice; remove one")
        width, height = (_whole(record, name, path, where) for name in ("width", "height"))
        if width * height > MAX_PIXELS:
            raise ValueError(
                f"{path}, {where}: {width} x {height} is more than {MAX_PIXELS} pixels; "
                "scale it down"
            )
        url = record.get("url")
        place = _PLACE.search(url) if isinstance(url, str) else None
        if place is None:
            raise ValueError(
                f"{path}, {where}: 'url' is {url!r:.80}, must end in VG_100K/<file> or "
                "VG_100K_2/<file>"
            )
        coco_id = None
        if record.get("coco_id", "") is not None:
            coco_id = _whole(record, "coco_id", path, where)
        images[image_id] = ImageRecord(image_id, width, height, place[1], coco_id)
    if not images:
        raise ValueError(f"{path}: holds no image; download image_data.json again")
    return images


def read_objects(path: Path, images: Mapping[int, ImageRecord]) -> ObjectTable:
    """Read objects.json; `images` without a record in it have no objects.

    A ValueError names the file, the image, the object and what is wrong.
    """
    order = {image_id: index for index, image_id in enumerate(images)}
    index_of: dict[str, int] = {}
    counts, chosen, image_of, flat = array("q"), array("i"), array("i"), array("d")
    dropped = {"no synset": 0, "several synsets": 0, "empty box": 0}
    seen: set[int] = set()
    for record in stream_records(path):
        image_id = _whole(record, "image_id", path, "a record")
        if image_id not in order or image_id in seen:
            fault = "stands in the file twice" if image_id in seen else "is not in image_data.json"
            raise ValueError(f"{path}, image {image_id}: {fault}; take both files of one release")
        seen.add(image_id)
        for synsets, box in _objects(record, image_id, path):
            for name in synsets:
                index = index_of.setdefault(name, len(index_of))
                if index == len(counts):
                    counts.append(0)
                counts[index] += 1
            if len(synsets) != 1:
                dropped["several synsets" if synsets else "no synset"] += 1
                continue
            chosen.append(index_of[synsets[0]])
            image_of.append(order[image_id])
            flat.extend(box)
    names = tuple(sorted(index_of))
    by_name = np.array([index_of[name] for name in names], dtype=np.int64)
    rank = np.empty(len(names), dtype=np.int32)
    rank[by_name] = np.arange(len(names), dtype=np.int32)
    owners = np.array(image_of, dtype=np.int32)
    boxes, filled = _clip(np.frombuffer(flat).reshape(-1, 4), owners, images)
    dropped["empty box"] = int((~filled).sum())
    rows = np.flatnonzero(filled)
    rows = rows[np.argsort(owners[rows], kind="stable")]
    return ObjectTable(
        synsets=names,
        counts=np.array(counts, dtype=np.int64)[by_name],
        starts=np.searchsorted(owners[rows], np.arange(len(images) + 1)).astype(np.int64),
        synset=rank[np.array(chosen, dtype=np.int64)[rows]],
        boxes=boxes[rows],
        dropped=dropped,
    )


def _objects(
    record: dict[str, Any], image_id: int, path: Path
) -> Iterator[tuple[list[str], list[float]]]:
    """Synsets and [x, y, w, h] of each object of an image."""
    members, seen = record.get("objects"), set()
    if not isinstance(members, list):
        raise ValueError(f"{path}, image {image_id}: 'objects' is no list")
    for place, member in enumerate(members):
        where = f"image {image_id}, entry {place}"
        if not isinstance(member, dict):
            raise ValueError(f"{path}, {where}: is no object")
        object_id = _whole(member, "object_id", path, where)
        where = f"image {image_id}, object {object_id}"
        if object_id in seen:
            raise ValueError(f"{path}, {where}: stands in its image twice; remove one")
        seen.add(object_id)
        synsets = member.get("synsets")
        if not isinstance(synsets, list) or not all(isinstance(s, str) and s for s in synsets):
            raise ValueError(
                f"{path}, {where}: 'synsets' is {synsets!r:.60}, must be a list of names; take "
                "objects.json of release 1.2 or later"
            )
        try:
            box = numbers([member.get(name) for name in ("x", "y", "w", "h")], "x, y, w, h", 4)
        except ValueError as error:
            raise ValueError(f"{path}, {where}: {error}") from None
        yield synsets, box


def _clip(
    xywh: npt.NDArray[np.float64],
    owners: npt.NDArray[np.int32],
    images: Mapping[int, ImageRecord],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Boxes (N, 4) xyxy inside their images, and which of them are not empty."""
    sizes = np.array([(i.width, i.height) for i in images.values()], dtype=np.float64)[owners]
    low = np.maximum(xywh[:, :2], 0)
    high = np.minimum(xywh[:, :2] + xywh[:, 2:], sizes)
    boxes = np.concatenate([low, high], axis=1).astype(np.float32)
    filled: npt.NDArray[np.bool_] = np.logical_and.reduce(boxes[:, :2] < boxes[:, 2:], axis=1)
    return boxes, filled


def _whole(record: dict[str, Any], name: str, path: Path, where: str) -> int:
    """A whole number of 1 or more."""
    value = record.get(name)
    if type(value) is not int or not 0 < value < 2**62:
        raise ValueError(
            f"{path}, {where}: '{name}' is {value!r:.60}, must be a whole number from 1"
        )
    return value


def stream_records(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON list, one after another, however long the list.

    Raises ValueError where it cannot be read, is no such list, or holds NaN or infinity.
    """
    count = 0
    try:
        with path.open(encoding="utf-8") as stream:
            for record in _records(_Window(stream)):
                yield record
                count += 1
    except OSError as error:
        raise ValueError(
            f"{path}: cannot be read: {error.strerror or error}; give the path of a file"
        ) from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}, after {count} records: {error}; download it again") from None


def _records(window: _Window) -> Iterator[dict[str, Any]]:
    if window.peek() != "[":
        raise ValueError("is not JSON, or no list of records")
    window.at += 1
    if window.peek() == "]":
        window.at += 1
    else:
        following = ","
        while following == ",":
            if window.peek() != "{":
                raise ValueError("holds something that is no record in its list")
            yield window.record()
            following = window.peek()
            window.at += 1
        if following != "]":
            raise ValueError("is not JSON, or is cut short")
    if window.peek():
        raise ValueError("goes on after its list")


class _Window:
    """A moving part of a text file."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.text, self.at = stream, "", 0
        self.decoder = json.JSONDecoder(parse_constant=_refuse)

    def grow(self) -> bool:
        """Read at least as much again as is left; False at the end or past a record's limit."""
        left = len(self.text) - self.at
        more = self.stream.read(max(CHUNK, left)) if left <= MAX_RECORD else ""
        self.text, self.at = self.text[self.at :] + more, 0
        return bool(more)

    def peek(self) -> str:
        """The next character that is no space, "" at the end."""
        while True:
            space = _SPACE.match(self.text, self.at)
            self.at = space.end() if space else self.at
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.grow():
                return ""

    def record(self) -> dict[str, Any]:
        while True:
            try:
                value, self.at = self.decoder.raw_decode(self.text, self.at)
                return value
            except json.JSONDecodeError:
                if not self.grow():
                    raise ValueError("is not JSON, or is cut short") from None


def _refuse(name: str) -> float:
    raise ValueError(f"holds {name}, which is no number")
