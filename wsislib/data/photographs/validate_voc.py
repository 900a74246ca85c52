"""Checks of a VOC folder: lists, images, mask pictures and what they say together."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wsislib.data.photographs.validate_images import in_threads, probe_or_problem
from wsislib.data.photographs.validate_report import Location, Problem, Report
from wsislib.data.photographs.voc import VOC_NAMES, numbers_of
from wsislib.data.photographs.voc_folder import (
    VOID,
    files_of,
    find_split_file,
    find_voc_folder,
    read_index_picture,
    read_split,
)


def check_voc(root: Path, split: str, *, progress: bool = False) -> Report:
    """Check one split of a VOC folder; nothing is written, and no fault of the data raises.

    In the report `annotation_id` is an object's number in its mask picture.

    Args:
        root: see `wsislib.data.photographs.voc_folder` for the layouts.
        split: train, val, trainval or trainaug, or any list that is there.
        progress: show a bar on stderr, where that is a terminal.
    """
    root = Path(root)
    here, code, remedy = Location(str(root)), "no-voc-folder", "give the VOC2012 folder"
    try:
        folder = find_voc_folder(root)
        here, code = Location(str(folder)), "split-missing"
        remedy = "give a split that is there, or add its list"
        split_file = find_split_file(folder, split)
        here, code = Location(str(split_file)), "split-broken"
        remedy = "one image name a line, without folder and ending"
        names = read_split(split_file)
    except (OSError, ValueError) as error:
        return Report.of(str(root), [here.error(code, str(error), remedy)])
    ids = dict(zip(names, numbers_of(names), strict=True))
    problems = []
    for name in (name for name, times in Counter(names).items() if times > 1):
        message = f"lists '{name}' more than once"
        line = Location(str(split_file), ids[name])
        problems.append(line.error("duplicate-id", message, "delete the repeated line"))
    check = partial(_check_files, folder=folder, split=split)
    problems += in_threads(check, ids.items(), len(ids), progress)
    return Report.of(str(root), problems, images=len(names))


def _check_files(item: tuple[str, int], folder: Path, split: str) -> list[Problem]:
    """Every problem of one image and its two mask pictures."""
    name, image_id = item
    files = files_of(folder, name, split)
    here = Location(str(files.image), image_id)
    facts = probe_or_problem(files.image, here, "put the image there")
    size = None if isinstance(facts, Problem) else (facts.height, facts.width)
    problems = [facts] if isinstance(facts, Problem) else []
    locations = [Location(str(path), image_id) for path in (files.objects, files.classes)]
    objects, faults = _check_picture(files.objects, locations[0], size, split)
    classes, more = _check_picture(files.classes, locations[1], size, split)
    problems += [*faults, *more]
    if objects is not None and classes is not None and objects.shape == classes.shape:
        problems += _check_masks(objects, classes, *locations)
    return problems


def _check_picture(
    path: Path, here: Location, size: tuple[int, int] | None, split: str
) -> tuple[npt.NDArray[np.uint8] | None, list[Problem]]:
    """A mask picture where it can be read, and its problems."""
    if not path.is_file():
        aug = ", or into the folder of the same name without Aug" if split == "trainaug" else ""
        return None, [here.error("mask-missing", "no such file", f"put the mask there{aug}")]
    try:
        picture = read_index_picture(path)
    except ValueError as error:
        message = str(error).removeprefix(f"{path}: ")
        remedy = "copy the index PNG again, with its palette"
        return None, [here.error("mask-unreadable", message, remedy)]
    if size is None or picture.shape == size:
        return picture, []
    have = f"{picture.shape[1]} x {picture.shape[0]}"
    message = f"has {have} pixels, its image {size[1]} x {size[0]}"
    remedy = "save the mask at its image's size, without interpolation"
    return picture, [here.error("size-differs", message, remedy)]


def _check_masks(
    objects: npt.NDArray[np.uint8], classes: npt.NDArray[np.uint8], here: Location, other: Location
) -> list[Problem]:
    problems = []
    values = np.unique(classes).tolist()
    strange = [value for value in values if len(VOC_NAMES) < value < VOID]
    if strange:
        message = f"holds category {strange[0]}; categories are 1..{len(VOC_NAMES)}, 255 is void"
        remedy = "paint the object with its category's number"
        problems.append(other.error("unknown-category", message, remedy))
    numbers = np.unique(objects[(objects != 0) & (objects != VOID)]).tolist()
    if not numbers:
        message = "holds no object; it teaches that nothing is there"
        remedy = "leave it out if it was not looked at"
        problems.append(here.warning("image-unlabelled", message, remedy))
    for number in numbers:
        here = Location(here.file, here.image_id, number)
        votes = np.bincount(classes[objects == number], minlength=256)[1 : len(VOC_NAMES) + 1]
        if votes.max() == 0:
            message = f"object {number} lies on no pixel of a category"
            remedy = "paint the same pixels in the class picture"
            problems.append(here.error("kind-missing", message, remedy))
        elif np.count_nonzero(votes) > 1:
            names = ", ".join(VOC_NAMES[i] for i in np.flatnonzero(votes))
            message = f"object {number} lies on several categories ({names}); the largest counts"
            remedy = "paint one object with one category"
            problems.append(here.warning("category-mixed", message, remedy))
    return problems
