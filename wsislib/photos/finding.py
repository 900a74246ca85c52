"""Which files of a folder are photographs to predict on, and a reason for each that is not."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wsislib.data.images import IMAGE_SUFFIXES, links_allowed


@dataclass(frozen=True)
class Picture:
    """A photograph: where it lies, and its name in results, which no other one has."""

    path: Path
    name: str  # relative to the folder that was named, with "/" between folders


@dataclass
class Found:
    """Photographs in the order of their names, and what was passed by, by reason."""

    pictures: list[Picture] = field(default_factory=list)
    passed_by: dict[str, list[str]] = field(default_factory=dict)

    def pass_by(self, reason: str, name: str) -> None:
        """Note a file or folder that is not read."""
        self.passed_by.setdefault(reason, []).append(name)

    def summary(self) -> list[str]:
        """One line for each reason: how many, and the first three names."""
        return [
            f"passed by, {reason}: {len(names)} ({', '.join(names[:3])}"
            f"{', ...' if len(names) > 3 else ''})"
            for reason, names in self.passed_by.items()
        ]


def find_pictures(
    places: Sequence[Path], recursive: bool = False, out: Path | None = None
) -> Found:
    """The photographs among `places`, files or folders; `out`, the folder of results, is left out.

    Raises ValueError where a place does not exist or is neither, or no photograph is left.
    """
    found = Found()
    seen: set[str] = set()
    for place in places:
        if place.is_dir():
            entries = _walk(place, "", recursive, found, out, {_identity(place)})
        elif place.is_file():
            entries = iter([Picture(place, place.name)])
        else:
            there = os.path.lexists(place)
            raise ValueError(
                f"{place}: {'neither a file nor a folder' if there else 'no such file or folder'}"
            )
        for picture in entries:
            try:
                picture.name.encode()
            except UnicodeEncodeError:
                found.pass_by("names that are not text", ascii(picture.name))
                continue
            whole = os.path.abspath(picture.path)
            if whole in seen:
                found.pass_by("named twice", picture.name)
                continue
            seen.add(whole)
            found.pictures.append(picture)
    if not found.pictures:
        lines = "; ".join(found.summary()) or "the folder is empty"
        raise ValueError(
            f"{', '.join(map(str, places)) or 'no place'}: no photograph to read "
            f"({', '.join(sorted(IMAGE_SUFFIXES))}); {lines}"
        )
    found.pictures = _with_own_names(found.pictures, places)
    return found


def _walk(
    folder: Path, prefix: str, recursive: bool, found: Found, out: Path | None,
    inside: set[tuple[int, int]],
) -> Iterator[Picture]:  # fmt: skip
    """The photographs of a folder by name; `inside` are the folders that it lies in, and itself."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        name, path = prefix + entry.name, Path(entry.path)
        if entry.name.startswith("."):
            found.pass_by("hidden", name)
        elif entry.is_symlink() and not path.exists():
            found.pass_by("links that lead nowhere", name)
        elif entry.is_symlink() and not links_allowed():
            found.pass_by("links (read with --follow-links)", name)
        elif entry.is_dir():
            if out is not None and out.exists() and path.samefile(out):
                found.pass_by("the folder of the results", name)
            elif not recursive:
                found.pass_by("subfolders (read with --recursive)", name)
            elif not os.access(path, os.R_OK | os.X_OK):
                found.pass_by("folders that may not be read", name)
            elif _identity(path) in inside:
                found.pass_by("links that lead in a circle", name)
            else:
                deeper = inside | {_identity(path)}
                yield from _walk(path, f"{name}/", recursive, found, out, deeper)
        elif not stat.S_ISREG(entry.stat().st_mode):
            found.pass_by("neither files nor folders", name)
        elif path.suffix.lower() not in IMAGE_SUFFIXES:
            found.pass_by("other formats", name)
        else:
            yield Picture(path, name)


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _with_own_names(pictures: list[Picture], places: Sequence[Path]) -> list[Picture]:
    """The same, with longer names where files of several places share one."""
    shared = {name for name, count in Counter(p.name for p in pictures).items() if count > 1}
    if not shared:
        return pictures
    base = os.path.commonpath([os.path.abspath(p if p.is_dir() else p.parent) for p in places])
    return [
        Picture(p.path, Path(os.path.abspath(p.path)).relative_to(base).as_posix())
        if p.name in shared
        else p
        for p in pictures
    ]
