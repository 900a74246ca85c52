"""The file that a name in an annotation file probably means, for a hint.

Rules, in their order: the same last part of the path after turning backslashes into slashes,
decoding %20 and the like, composing accents and ignoring case; a file whose name is the end of
the given one after a '-' or '_' (tools write such prefixes), or the other way round; the same
name with another ending; the nearest spelling with the same digits.
"""

from __future__ import annotations

import difflib
import os
import unicodedata
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

_SPELLINGS = 20  # names that are compared with every file, which takes long


class NearNames:
    """The image files of a folder, to be found by names that are nearly theirs."""

    def __init__(self, files: Iterable[str]) -> None:
        """`files` are relative to the folder."""
        self._whole: dict[str, str] = {}
        self._ends: dict[str, str | None] = {}
        self._stems: dict[str, str] = {}
        for file in sorted(files, reverse=True):  # the first in order wins
            base = _plain(file)
            self._whole[base] = self._stems[os.path.splitext(base)[0]] = file
            for end in _ends(base):
                self._ends[end] = None if end in self._ends else file  # of one file alone
        self._asked = 0

    def find(self, name: str) -> str | None:
        """The file that `name` probably means; None where nothing is near."""
        base = _plain(name)
        found = self._whole.get(base)
        found = found or next((self._whole[e] for e in _ends(base) if e in self._whole), None)
        found = found or self._ends.get(base) or self._stems.get(os.path.splitext(base)[0])
        if found is None and base not in self._ends and self._asked < _SPELLINGS:
            self._asked += 1
            alike = [one for one in self._whole if _digits(one) == _digits(base)]
            near = difflib.get_close_matches(base, alike, n=1, cutoff=0.85)
            found = self._whole[near[0]] if near else None
        return found


def _plain(name: str) -> str:
    last = unquote(name.replace("\\", "/")).rpartition("/")[2]
    return unicodedata.normalize("NFC", last).casefold()


def _digits(base: str) -> str:
    """Numbers tell images apart, so that no other number is a slip of the pen."""
    return "".join(filter(str.isdecimal, base))


def _ends(base: str) -> Iterator[str]:
    """What follows each '-' and '_' of a name."""
    for place, character in enumerate(base):
        if character in "-_" and 0 < place < len(base) - 1:
            yield base[place + 1 :].lstrip("-_")
