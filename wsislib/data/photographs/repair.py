"""A copy of a COCO file without the annotations that cannot be used, as an explicit step.

Even COCO 2017 needs it: two instances of its training set (918 in image 200365, and one in image
550395) have boxes of height 0 and masks without a pixel. Other libraries silently drop such
instances while they load; here `wsis data check --mend` lists them and writes the copy.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from wsislib.atomic import atomic_write
from wsislib.data.photographs.validate_report import Problem, Report
from wsislib.data.photographs.validate_structure import read_document

REPAIRABLE = frozenset({
    "box-empty", "box-outside", "kind-missing", "mask-empty", "not-finite", "point-outside",
    "polygon-coordinates", "polygon-degenerate", "polygon-too-large", "rle-counts", "rle-size",
    "segmentation-type",
})  # fmt: skip
"""Errors that are gone when their annotation is."""


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
        return isinstance(record, dict) and (record.get("image_id"), record.get("id")) in faulty

    usable = [record for record in document["annotations"] if not is_faulty(record)]
    atomic_write(target, json.dumps({**document, "annotations": usable}))
    return len(document["annotations"]) - len(usable)
