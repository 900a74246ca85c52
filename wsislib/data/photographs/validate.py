"""Check a whole data set before anything trains, and report every problem at once.

The JSON file's skeleton and its annotations are checked in `validate_structure` and
`validate_labels`; here are the image files, VOC's mask pictures, and both checks as a whole.

A copy of a COCO file without the annotations that cannot be used is an explicit step. Even COCO
2017 needs it: two instances of its training set (918 in image 200365, and one in image 550395)
have boxes of height 0 and masks without a pixel. Other libraries silently drop such instances
while they load; here `wsis data check --mend` lists them and writes the copy.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from wsislib.atomic import atomic_write
from wsislib.data.images import (
    IMAGE_SUFFIXES,
    ImageFacts,
    ImageReadError,
    probe_image,
    resolve_image,
)
from wsislib.data.photographs.near_names import NearNames
from wsislib.data.photographs.turned_labels import UPRIGHT
from wsislib.data.photographs.validate_labels import check_image_labels
from wsislib.data.photographs.validate_meaning import check_meaning
from wsislib.data.photographs.validate_report import (
    Location,
    Problem,
    Report,
    Severity,
    require_trainable,
)
from wsislib.data.photographs.validate_structure import (
    CONVERT,
    check_structure,
    has_legal_size,
    read_document,
    record_location,
    whole_records,
)
from wsislib.data.photographs.voc import (
    VOC_NAMES,
    VOID,
    files_of,
    find_split_file,
    find_voc_folder,
    numbers_of,
    read_index_picture,
    read_split,
)
from wsislib.data.sample import LabelKind

__all__ = ["Problem", "Report", "Severity", "check_coco", "check_voc", "require_trainable"]

Item = TypeVar("Item")
# Errors that are gone when their annotation is.
REPAIRABLE = frozenset({
    "box-empty", "box-outside", "kind-missing", "mask-empty", "not-finite", "point-outside",
    "polygon-coordinates", "polygon-degenerate", "polygon-too-large", "rle-counts", "rle-size",
    "segmentation-type",
})  # fmt: skip


def check_coco(
    annotation_file: Path,
    image_root: Path,
    kind: LabelKind = LabelKind.MASK,
    *,
    least: LabelKind | None = None,
    allow_empty: bool = False,
    progress: bool = False,
) -> Report:
    """Check a COCO-format data set: the JSON file, every annotation, every image file.

    Nothing is written, no fault of the data raises, and no file is trusted: masks are never
    allocated at sizes that the file claims, names that lead out of `image_root` are not opened.

    Args:
        annotation_file: COCO JSON.
        image_root: the folder that `file_name` is relative to.
        kind: the most expensive kind that will be read, as for `CocoDataset`.
        least: the kind that every annotation must have; None means a box, or `kind` where that
            is cheaper. Models that learn from points or tags need another here.
        allow_empty: whether a file without any annotation is meant so.
        progress: show a bar on stderr, where that is a terminal.
    """
    path, root = Path(annotation_file), Path(image_root)
    document, problems = read_document(path)
    if document is None:
        return Report.of(str(path), problems)
    least = min(kind, LabelKind.BOX) if least is None else least
    problems = list(check_structure(document, path))
    images = whole_records(document, "images")
    annotations: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in images}
    for annotation in whole_records(document, "annotations"):
        annotations.get(annotation["image_id"], []).append(annotation)
    # The structure's check reports repeated ids and impossible sizes.
    first = {image["id"]: image for image in reversed(images)}
    sized = [image for image in images if first[image["id"]] is image and has_legal_size(image)]
    declared = [document.get(name) for name in ("images", "annotations")]
    counts = [len(records) if isinstance(records, list) else 0 for records in declared]
    if isinstance(declared[1], list):
        problems += check_meaning(annotations, counts[1], path, allow_empty)
    if counts[1] or allow_empty:  # else one problem says it of all images
        for image in tqdm(sized, desc="labels", unit="image", disable=None if progress else True):
            problems += check_image_labels(annotations[image["id"]], image, path, kind, least)
    if root.is_dir():
        files = _image_files(root)
        check = partial(_check_image_file, annotation_file=path, root=root, near=NearNames(files))
        problems += _in_threads(check, images, len(images), progress)
        problems += _check_orphans((image["file_name"] for image in images), files, root)
    else:
        remedy = "give the folder that holds the images (--images)"
        problems.append(Location(str(root)).error("no-image-folder", "is no folder", remedy))
    return Report.of(str(path), problems, *counts)


def check_voc(root: Path, split: str, *, progress: bool = False) -> Report:
    """Check one split of a VOC folder; nothing is written, and no fault of the data raises.

    `root` and `split` are as for `VocDataset`, `progress` as for `check_coco`. In the report
    `annotation_id` is an object's number in its mask picture.
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
    check = partial(_check_voc_image, folder=folder, split=split)
    problems += _in_threads(check, ids.items(), len(ids), progress)
    return Report.of(str(root), problems, images=len(names))


def repairable(report: Report) -> list[Problem]:
    """The errors that leaving out their annotation mends."""
    return [p for p in report.errors if p.code in REPAIRABLE and p.annotation_id is not None]


def write_repaired(annotation_file: Path, report: Report, target: Path) -> int:
    """Write a copy of a COCO file without the annotations whose errors are repairable.

    Returns how many annotations `target` lacks; where that is 0 nothing is written. Raises
    ValueError where `target` exists.
    """
    if target.exists():
        raise ValueError(f"{target} exists already; name a new file for the mended copy")
    faulty = {(problem.image_id, problem.annotation_id) for problem in repairable(report)}
    document, _ = read_document(annotation_file)
    if not faulty or document is None:
        return 0

    def is_faulty(record: Any) -> bool:
        if not isinstance(record, dict):
            return False
        here = record_location(record, "annotations", annotation_file)
        return (here.image_id, here.annotation_id) in faulty

    usable = [record for record in document["annotations"] if not is_faulty(record)]
    atomic_write(target, json.dumps({**document, "annotations": usable}))
    return len(document["annotations"]) - len(usable)


def _in_threads(
    check: Callable[[Item], list[Problem]], items: Iterable[Item], total: int, progress: bool
) -> Iterator[Problem]:
    """Run a check over many files at once, in order, with a progress bar on stderr.

    Reading and decoding images mostly runs outside Python's lock, so threads help.
    """
    hidden = None if progress else True  # None shows the bar only where stderr is a terminal
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        checked = pool.map(check, items)
        for problems in tqdm(checked, total=total, desc="images", unit="image", disable=hidden):
            yield from problems


def _check_image_file(
    image: dict[str, Any], annotation_file: Path, root: Path, near: NearNames
) -> list[Problem]:
    """Every problem of one image file; `image` is its record, well typed."""
    here = record_location(image, "images", annotation_file)
    try:
        path = resolve_image(root, image["file_name"])
    except ValueError as error:
        remedy = "write names relative to the image folder; --follow-links reads links of your own"
        return [here.error("path-outside", str(error), remedy)]
    here = Location(str(root / image["file_name"]), image["id"])
    remedy = "put the file there, or give the right image folder (--images)"
    facts = _probe_or_problem(path, here, remedy)
    if isinstance(facts, Problem) and facts.code == "image-missing":
        meant = near.find(image["file_name"])
        return [facts if meant is None else _near(facts, meant)]
    if isinstance(facts, Problem):
        return [facts]
    declared = (image["width"], image["height"])
    if not has_legal_size(image):
        return []  # reported by the structure's check
    turned = f"turns it when it is shown (EXIF orientation {facts.orientation})"
    remedy = f"`wsis data turn {annotation_file} --out TURNED.json` turns the labels"
    if declared == facts.stored and facts.size_tells:
        message = (
            f"is {facts.width} x {facts.height} pixels upright, the record says {declared[0]} x "
            f"{declared[1]}: its labels were drawn on the stored pixels, but its file {turned} and "
            "pictures are read upright"
        )
        return [here.error("labels-not-upright", message, remedy)]
    if declared != (facts.width, facts.height):
        message = (
            f"has {facts.width} x {facts.height} pixels, the record says {declared[0]} x "
            f"{declared[1]}"
        )
        remedy = "correct width and height, and make sure that the annotations fit this image"
        return [here.error("size-differs", message, remedy)]
    if facts.orientation != 1 and not facts.size_tells and not image.get(UPRIGHT):
        message = (
            f"its file {turned}; it is read upright. Were its labels drawn so? Sizes cannot tell"
        )
        turn = f"`wsis data turn {annotation_file} --out TURNED.json --unsure turn`"
        remedy = f"look at one; if not, {turn} does it; if so, the same with keep records that"
        return [here.warning("exif-orientation", message, remedy)]
    return []


def _probe_or_problem(path: Path, here: Location, remedy: str) -> ImageFacts | Problem:
    """What the image at `path` is, or why it cannot be read; `remedy` is for a missing one."""
    try:
        there = path.is_file()
    except OSError:  # a name that no file can have
        there = False
    if not there:
        return here.error("image-missing", "no such file", remedy)
    try:
        return probe_image(path)
    except ImageReadError as error:
        message = str(error).removeprefix(f"{path}: ")
        return here.error("image-unreadable", message, "copy or export the image again")


def _near(missing: Problem, meant: str) -> Problem:
    """A file that is not there, with the one that may be meant."""
    message = f"{missing.message}; is '{meant}' meant, which is in the image folder?"
    return replace(missing, message=message, remedy=f"correct 'file_name', or {CONVERT}")


def _image_files(root: Path) -> list[str]:
    """Paths of the images in a folder and its subfolders, relative to it."""
    return [
        os.path.normpath(os.path.relpath(Path(folder) / file, root))
        for folder, _, files in os.walk(root)
        for file in files
        if Path(file).suffix.lower() in IMAGE_SUFFIXES
    ]


def _check_orphans(names: Iterable[str], files: list[str], root: Path) -> Iterator[Problem]:
    """One warning where the image folder holds files that no record names."""
    known = {os.path.normpath(name) for name in names}
    orphans = sorted(set(files) - known)
    if orphans:
        some = ", ".join(orphans[:3]) + (", ..." if len(orphans) > 3 else "")
        message = f"{len(orphans)} image files have no record: {some}"
        remedy = "no harm where another annotation file names them; else declare them"
        yield Location(str(root)).warning("orphan-image", message, remedy)


def _check_voc_image(item: tuple[str, int], folder: Path, split: str) -> list[Problem]:
    """Every problem of one image and its two mask pictures."""
    name, image_id = item
    files = files_of(folder, name, split)
    here = Location(str(files.image), image_id)
    facts = _probe_or_problem(files.image, here, "put the image there")
    size = None if isinstance(facts, Problem) else (facts.height, facts.width)
    problems = [facts] if isinstance(facts, Problem) else []
    locations = [Location(str(path), image_id) for path in (files.objects, files.classes)]
    objects, faults = _check_voc_picture(files.objects, locations[0], size, split)
    classes, more = _check_voc_picture(files.classes, locations[1], size, split)
    problems += [*faults, *more]
    if objects is not None and classes is not None and objects.shape == classes.shape:
        problems += _check_voc_masks(objects, classes, *locations)
    return problems


def _check_voc_picture(
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


def _check_voc_masks(
    objects: npt.NDArray[np.uint8], classes: npt.NDArray[np.uint8], here: Location, other: Location
) -> list[Problem]:
    problems = []
    strange = classes[(classes > len(VOC_NAMES)) & (classes < VOID)]
    if strange.size:
        message = f"holds category {strange.min()}; categories are 1..{len(VOC_NAMES)}, 255 is void"
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
