"""A JSON list that is too long for memory, read one record after another.

Not by ijson: it has no limit for a record, and a deeply nested file makes it take all memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

CHUNK = 2**20
MAX_RECORD = 2**26
"""Characters of one record."""

_SPACE = re.compile(r"[ \t\r\n]*")


def stream_records(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON list, one after another, however long the list.

    Raises:
        ValueError: the file cannot be read, is no JSON, holds NaN or infinity, or is no list of
            objects.
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
