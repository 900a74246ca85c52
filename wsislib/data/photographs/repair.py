"""Leaving out annotations that cannot be used, as an explicit step.

Even COCO 2017 needs it: two instances of its training set (918 in image 200365, and one in image
550395) have boxes of height 0 and masks without a pixel. Other libraries drop such instances
while they load, unseen; here the check refuses them and `wsis data check --mend` writes a copy of
the file without them, saying which.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from wsislib.atomic import atomic_write
from wsislib.data.photographs.validate_report import Problem, Report
from wsislib.data.photographs.validate_structure import read_document

CURABLE = frozenset(
    {
        "box-empty",
        "box-outside",
        "kind-missing",
        "mask-empty",
        "not-finite",
        "point-outside",
        "polygon-coordinates",
        "polygon-degenerate",
        "polygon-too-large",
        "rle-counts",
        "rle-size",
        "segmentation-type",
    }
)
"""Errors that are gone when their annotation is."""


def curable(report: Report) -> list[Problem]:
    """The errors that leaving out their annotation mends."""
    return [
        problem
        for problem in report.errors
        if problem.code in CURABLE and problem.annotation_id is not None
    ]


def write_mended(annotation_file: Path, report: Report, target: Path) -> int:
    """Write a copy of a COCO file without the annotations whose errors are curable.

    Args:
        annotation_file: COCO JSON; it is not changed.
        report: of that file.
        target: the copy, written atomically; must not exist.

    Returns:
        How many annotations were left out. Where that is 0 nothing is written.

    Raises:
        ValueError: `target` exists.
    """
    if target.exists():
        raise ValueError(f"{target} exists already; name a new file for the mended copy")
    faulty = {(problem.image_id, problem.annotation_id) for problem in curable(report)}
    document, _ = read_document(annotation_file)
    if not faulty or document is None:
        return 0
    kept = [record for record in document["annotations"] if not _is_one_of(record, faulty)]
    left_out = len(document["annotations"]) - len(kept)
    atomic_write(target, json.dumps({**document, "annotations": kept}))
    return left_out


def _is_one_of(record: Any, faulty: set[tuple[int | None, int | None]]) -> bool:
    return isinstance(record, dict) and (record.get("image_id"), record.get("id")) in faulty
