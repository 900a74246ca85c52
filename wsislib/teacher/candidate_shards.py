"""A folder of packed candidates under keys, in shards that are written once and never changed.

A shard is: a line that names the form, the SHA-256 of all that follows, the number of entries, the
entries (key, length, CRC-32), and what they hold, one after the other. Its name follows from its
keys. So any number of processes may add shards at once, and two that made the same one agree.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from wsislib.atomic import atomic_write
from wsislib.teacher.candidate_codec import packed_instances

KEY_BYTES = 16
_FORM = b"wsis candidates 1\n"
_START = len(_FORM) + hashlib.sha256().digest_size
_COUNT = struct.Struct("<I")
_ENTRY = struct.Struct(f"<{KEY_BYTES}s2I")  # key, length, CRC-32


@dataclass(frozen=True)
class Place:
    """Where one entry lies: file, first byte, length, CRC-32, and how many instances it holds."""

    path: Path
    start: int
    length: int
    crc: int
    instances: int


class CandidateShards:
    """All sound shards of a folder; each is read through once, when it is first seen.

    Attributes:
        folder: where they lie.
        damaged: shards that are not what was written.
    """

    def __init__(self, folder: Path) -> None:
        """Read the shards that are there."""
        self.folder = folder
        self.damaged: list[Path] = []
        self._places: dict[bytes, Place] = {}
        self._seen: set[Path] = set()
        self.refresh()

    def refresh(self) -> None:
        """Read the shards that have come since."""
        for path in sorted(set(self.folder.glob("*.shard")) - self._seen):
            self._read(path)

    def __contains__(self, key: bytes) -> bool:
        return key in self._places

    def instances(self, key: bytes) -> int:
        """How many instances the entry of a key holds."""
        return self._places[key].instances

    def stored_bytes(self, key: bytes) -> int:
        """What an entry takes on disk."""
        return self._places[key].length + _ENTRY.size

    def __getitem__(self, key: bytes) -> bytes:
        """What was added under a key.

        Raises:
            KeyError: nothing was.
            ValueError: the shard was altered or deleted since it was read; names it.
        """
        place = self._places[key]
        try:
            with place.path.open("rb") as file:
                file.seek(place.start)
                packed = file.read(place.length)
        except FileNotFoundError:
            packed = b""
        if len(packed) != place.length or zlib.crc32(packed) != place.crc:
            raise ValueError(f"{place.path}: damaged or gone; `wsis teach` makes it again")
        return packed

    def add(self, entries: Mapping[bytes, bytes]) -> Path:
        """Write entries as one shard.

        Raises:
            OSError: the folder cannot be written; names the file and the way out.
        """
        index, bodies = [], []
        for key, packed in sorted(entries.items()):
            index.append(_ENTRY.pack(key, len(packed), zlib.crc32(packed)))
            bodies.append(packed)
        rest = b"".join([_COUNT.pack(len(index)), *index, *bodies])
        name = hashlib.sha256(b"".join(sorted(entries))).hexdigest()[: 2 * KEY_BYTES]
        path = self.folder / f"{name}.shard"
        atomic_write(path, _FORM + hashlib.sha256(rest).digest() + rest)
        self._read(path)
        return path

    def remove_damaged(self) -> list[Path]:
        """Delete damaged shards; returns their paths."""
        gone, self.damaged = self.damaged, []
        for path in gone:
            path.unlink(missing_ok=True)
            self._seen.discard(path)
        return gone

    def _read(self, path: Path) -> None:
        self._seen.add(path)
        try:
            self._places.update(_entries(path))
        except FileNotFoundError:  # another process has just removed it
            self._seen.discard(path)
        except ValueError:
            self.damaged.append(path)


def _entries(path: Path) -> Iterator[tuple[bytes, Place]]:
    """Keys and places of a sound shard; a ValueError where it is not sound."""
    content = path.read_bytes()
    rest = content[_START:]
    if content[:_START] != _FORM + hashlib.sha256(rest).digest():
        raise ValueError(f"{path}: damaged")
    (count,) = _COUNT.unpack_from(rest)
    start = _START + _COUNT.size + count * _ENTRY.size
    for number in range(count):
        key, length, crc = _ENTRY.unpack_from(rest, _COUNT.size + number * _ENTRY.size)
        instances = packed_instances(content[start : start + length])
        yield key, Place(path, start, length, crc, instances)
        start += length
