"""Reads a whole data set before anything trains and reports every problem at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from wsislib.data.photographs.validate_images import check_image_file, check_orphans, in_threads
from wsislib.data.photographs.validate_labels import check_image_labels
from wsislib.data.photographs.validate_report import (
    Place,
    Problem,
    Report,
    Severity,
    require_trainable,
)
from wsislib.data.photographs.validate_structure import (
    check_structure,
    has_legal_size,
    read_document,
    whole_records,
)
from wsislib.data.photographs.validate_voc import check_voc
from wsislib.data.sample import LabelKind

__all__ = ["Problem", "Report", "Severity", "check_coco", "check_voc", "require_trainable"]


def check_coco(
    annotation_file: Path,
    image_root: Path,
    kind: LabelKind = LabelKind.MASK,
    *,
    least: LabelKind | None = None,
    progress: bool = False,
) -> Report:
    """Check a COCO-format data set: the JSON file, every annotation, every image file.

    Nothing is written, and no file is trusted: masks are never allocated at sizes that the file
    claims, and names that lead out of `image_root` are not opened.

    Args:
        annotation_file: COCO JSON.
        image_root: the folder that `file_name` is relative to.
        kind: the dearest kind that will be read, as for `CocoDataset`.
        least: the kind that every annotation must have; None means a box, or `kind` where that
            is cheaper. Models that learn from points or tags need to say so here.
        progress: show a bar on stderr, where that is a terminal.

    Returns:
        The report; it never raises for a fault of the data.
    """
    path, root = Path(annotation_file), Path(image_root)
    document, problems = read_document(path)
    if document is None:
        return Report.of(str(path), problems)
    least = min(kind, LabelKind.BOX) if least is None else least
    problems = list(check_structure(document, path))
    images, annotations = _by_image(document)
    bar = tqdm(images, desc="labels", unit="image", disable=None if progress else True)
    problems += _check_labels(bar, annotations, path, kind, least)
    if root.is_dir():
        check = partial(check_image_file, annotation_file=path, root=root)
        problems += in_threads(check, images, len(images), progress)
        problems += check_orphans((image["file_name"] for image in images), root)
    else:
        remedy = "give the folder that holds the images (--images)"
        problems.append(Place(str(root)).error("no-image-folder", "is no folder", remedy))
    return Report.of(
        str(path), problems, _length(document, "images"), _length(document, "annotations")
    )


def _by_image(
    document: dict[str, Any],
) -> tuple[list[dict[str, Any]], dict[int, list[dict[str, Any]]]]:
    """Well-typed images, and the well-typed annotations of each image id."""
    images = whole_records(document, "images")
    annotations: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in images}
    for annotation in whole_records(document, "annotations"):
        if annotation["image_id"] in annotations:
            annotations[annotation["image_id"]].append(annotation)
    return images, annotations


def _check_labels(
    images: Iterable[dict[str, Any]],
    annotations: dict[int, list[dict[str, Any]]],
    path: Path,
    kind: LabelKind,
    least: LabelKind,
) -> Iterator[Problem]:
    done: set[int] = set()
    for image in images:
        if image["id"] in done or not has_legal_size(image):
            continue  # reported by the structure's check
        done.add(image["id"])
        yield from check_image_labels(annotations[image["id"]], image, path, kind, least)


def _length(document: dict[str, Any], name: str) -> int:
    records = document.get(name)
    return len(records) if isinstance(records, list) else 0
