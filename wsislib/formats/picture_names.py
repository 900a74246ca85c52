"""Which file a name in an export means.

Tools write names with upload paths, drive letters, URL codes, hashes in front, other slashes,
another case or another normal form of umlauts. The rule: a file whose last part is the same, once
both are written in one form; of several, the one whose folders agree longest, from the end. Where
none is, the hash that Label Studio puts in front (`3f2a9c1b-`) is left off. Two files that fit
equally well are never chosen between.
"""

from __future__ import annotations

import difflib
import os
import re
import unicodedata
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from wsislib.data.images import IMAGE_SUFFIXES, picture_facts
from wsislib.formats.untrusted import is_plain_text

# Folders of VOC's mask pictures, and of what `wsis predict` draws: no pictures to label.
_NOT_PICTURES = (".", "Segmentation", "overlays")
_HASH = re.compile(r"^[0-9a-f]{6,12}-(?=.)")


class PictureFinder:
    """The pictures of a folder and its subfolders, without hidden ones, masks and overlays.

    Attributes:
        root: the folder, None where there is none to look in.
        names: of its pictures, relative to it, sorted.
    """

    def __init__(self, root: Path | None) -> None:
        self.root = root
        self.names = _names_in(root) if root is not None else []
        self._by_end: dict[str, list[str]] = {}
        self._by_stem: dict[str, list[str]] = {}
        self._without_hash: dict[str, list[str]] = {}
        for name in self.names:
            end = _form(name.rpartition("/")[2])
            self._by_end.setdefault(end, []).append(name)
            self._by_stem.setdefault(end.rpartition(".")[0], []).append(name)
            self._without_hash.setdefault(_HASH.sub("", end), []).append(name)

    def find(self, name: str) -> str:
        """The file that a name means, relative to the root; a ValueError says why there is none."""
        if name in self._by_end.get(_form(name.rpartition("/")[2]), ()):
            return name
        for path in dict.fromkeys((plain_path(name, False), plain_path(name))):
            end = _form(path.rpartition("/")[2])
            short = _HASH.sub("", end)
            for index, key in (
                (self._by_end, end),
                (self._by_stem, end),
                (self._by_end, short),
                (self._without_hash, short),
                (self._by_stem, short),
            ):
                if index.get(key):
                    return _nearest(name, path, index[key])
        near = difflib.get_close_matches(plain_path(name), self.names[:5000], n=1, cutoff=0.6)
        hint = f"; the nearest is {near[0]!r}" if near else ""
        raise ValueError(f"{name!r:.200}: no such picture in {self.root}{hint}")

    def size(self, name: str) -> tuple[int, int]:
        """Width and height of a found picture, upright; ValueError where it cannot be read."""
        assert self.root is not None
        facts = picture_facts(self.root / name)
        return facts.width, facts.height


def plain_path(name: str, decoded: bool = True) -> str:
    """A name as a relative path: without address, query, drive, `.` and `..`, slashes forward."""
    path = name
    if "://" in name or name.startswith("/data/"):
        try:
            parts = urlsplit(name)
            path = parse_qs(parts.query).get("d", [parts.path])[-1]
        except ValueError:  # an address that is none
            path = name.partition("?")[0]
    path = unquote(path) if decoded else path
    path = re.sub(r"^[A-Za-z]:", "", path.replace("\\", "/"))
    return "/".join(part for part in path.split("/") if part not in ("", ".", ".."))


def path_form(name: str) -> str:
    """A form in which two ways to write one path are equal."""
    return _form(plain_path(name))


def _names_in(root: Path) -> list[str]:
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(
            one for one in folders if not one.startswith(_NOT_PICTURES) and is_plain_text(one)
        )
        inner = Path(folder).relative_to(root)
        found += [
            (inner / file).as_posix()
            for file in files
            if not file.startswith(".")
            and is_plain_text(file)
            and Path(file).suffix.lower() in IMAGE_SUFFIXES
        ]
    return sorted(found)


def _form(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def _nearest(name: str, path: str, candidates: list[str]) -> str:
    """The candidate that shares most folders with a path, counted from the end."""

    def shared(candidate: str) -> int:
        pairs = zip(path.split("/")[-2::-1], candidate.split("/")[-2::-1], strict=False)
        count = 0
        for ours, theirs in pairs:
            if _form(ours) != _form(theirs):
                break
            count += 1
        return count

    best = max(map(shared, candidates))
    fitting = [one for one in candidates if shared(one) == best]
    if len(fitting) > 1:
        some = " or ".join(map(repr, fitting[:2]))
        raise ValueError(f"{name!r:.200}: may be {some}; give the folder that holds one of them")
    return fitting[0]
