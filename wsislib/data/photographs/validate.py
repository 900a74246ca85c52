"""Check a whole data set before anything trains, and report every problem at once."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from wsislib.data.photographs.validate_images import check_image_file, check_orphans, in_threads
from wsislib.data.photographs.validate_labels import check_image_labels
from wsislib.data.photographs.validate_report import (
    Location,
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

    Nothing is written, no fault of the data raises, and no file is trusted: masks are never
    allocated at sizes that the file claims, names that lead out of `image_root` are not opened.

    Args:
        annotation_file: COCO JSON.
        image_root: the folder that `file_name` is relative to.
        kind: the most expensive kind that will be read, as for `CocoDataset`.
        least: the kind that every annotation must have; None means a box, or `kind` where that
            is cheaper. Models that learn from points or tags need another here.
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
    for image in tqdm(sized, desc="labels", unit="image", disable=None if progress else True):
        problems += check_image_labels(annotations[image["id"]], image, path, kind, least)
    if root.is_dir():
        check = partial(check_image_file, annotation_file=path, root=root)
        problems += in_threads(check, images, len(images), progress)
        problems += check_orphans((image["file_name"] for image in images), root)
    else:
        remedy = "give the folder that holds the images (--images)"
        problems.append(Location(str(root)).error("no-image-folder", "is no folder", remedy))
    declared = (document.get(name) for name in ("images", "annotations"))
    counts = [len(records) if isinstance(records, list) else 0 for records in declared]
    return Report.of(str(path), problems, *counts)
