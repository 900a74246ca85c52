"""Checks of image files: there, readable to the last byte, of the declared size."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from wsislib.data.images import (
    IMAGE_SUFFIXES,
    ImageFacts,
    ImageReadError,
    probe_image,
    resolve_image,
)
from wsislib.data.photographs.validate_report import Location, Problem
from wsislib.data.photographs.validate_structure import has_legal_size, record_location

Item = TypeVar("Item")
SWAPPING_ORIENTATIONS = (5, 6, 7, 8)  # of EXIF: they swap width and height


def in_threads(
    check: Callable[[Item], list[Problem]], items: Iterable[Item], total: int, progress: bool
) -> Iterator[Problem]:
    """Run a check over many files at once, in order, with a progress bar on stderr.

    Reading and decoding images mostly runs outside Python's lock, so threads help.
    """
    workers = min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(max_workers=workers) as pool:
        # `disable=None` shows the bar only where stderr is a terminal.
        hidden = None if progress else True
        checked = pool.map(check, items)
        for problems in tqdm(checked, total=total, desc="images", unit="image", disable=hidden):
            yield from problems


def check_image_file(image: dict[str, Any], annotation_file: Path, root: Path) -> list[Problem]:
    """Every problem of one image file; `image` is its record, well typed."""
    here = record_location(image, "images", annotation_file)
    try:
        path = resolve_image(root, image["file_name"])
    except ValueError as error:
        remedy = "write names relative to the image folder, or give the folder that holds them"
        return [here.error("path-outside", str(error), remedy)]
    here = Location(str(root / image["file_name"]), image["id"])
    facts = probe_or_problem(path, here, "put the file there, or give the right image folder")
    if isinstance(facts, Problem):
        return [facts]
    declared = (image["width"], image["height"])
    if not has_legal_size(image):
        return []  # reported by the structure's check
    if declared != (facts.width, facts.height):
        message = (
            f"has {facts.width} x {facts.height} pixels, the record says {declared[0]} x "
            f"{declared[1]}"
        )
        remedy = "correct width and height, and make sure that the annotations fit this image"
        if facts.orientation in SWAPPING_ORIENTATIONS and declared == (facts.height, facts.width):
            message += f" (its EXIF orientation {facts.orientation} turns it when it is shown)"
            remedy = "save the image turned, without its EXIF orientation"
        return [here.error("size-differs", message, remedy)]
    if facts.orientation != 1:
        message = f"EXIF orientation {facts.orientation} is not applied: stored pixels are used"
        remedy = "make sure that the annotations fit the stored pixels, or save the image turned"
        return [here.warning("exif-orientation", message, remedy)]
    return []


def probe_or_problem(path: Path, here: Location, remedy: str) -> ImageFacts | Problem:
    """What the image at `path` is, or why it cannot be read; `remedy` is for a missing one."""
    if not path.is_file():
        return here.error("image-missing", "no such file", remedy)
    try:
        return probe_image(path)
    except ImageReadError as error:
        message = str(error).removeprefix(f"{path}: ")
        return here.error("image-unreadable", message, "copy or export the image again")


def check_orphans(names: Iterable[str], root: Path) -> Iterator[Problem]:
    """One warning where the image folder holds files that no record names."""
    known = {os.path.normpath(name) for name in names}
    orphans = sorted(
        relative
        for folder, _, files in os.walk(root)
        for file in files
        if Path(file).suffix.lower() in IMAGE_SUFFIXES
        and (relative := os.path.normpath(os.path.relpath(Path(folder) / file, root))) not in known
    )
    if orphans:
        some = ", ".join(orphans[:3]) + (", ..." if len(orphans) > 3 else "")
        message = f"{len(orphans)} image files have no record: {some}"
        remedy = "no harm where another annotation file names them; else declare them"
        yield Location(str(root)).warning("orphan-image", message, remedy)
