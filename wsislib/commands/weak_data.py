"""A COCO file read with weak labels, for the commands that work on those."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from wsislib.commands.photo_data import image_root
from wsislib.data.coco import CocoDataset
from wsislib.data.sample import Dataset, LabelKind
from wsislib.data.validate import check_coco
from wsislib.data.validate_report import require_trainable
from wsislib.labels.datasets import WeakDataset

WeakKind = Literal["file", "point", "box"]


def read_weak(annotations: Path, images: Path | None, kind: WeakKind, seed: int) -> Dataset:
    """Check a COCO file whose annotations may be tags, points, boxes or masks, and read it.

    Args:
        annotations: COCO JSON file.
        images: folder that the file names are relative to; `images` beside the file if None.
        kind: "file" reads labels as they are. "box" reads masks as boxes. "point" takes a random
            point of each mask, and keeps points; boxes are refused.
        seed: of the random points.

    Raises:
        ValueError: the data set has faults; lists them.
    """
    root = image_root(annotations, images)
    ceiling = LabelKind.BOX if kind == "box" else LabelKind.MASK
    report = check_coco(annotations, root, ceiling, least=LabelKind.TAG, progress=True)
    require_trainable(report)
    dataset = CocoDataset(annotations, root, kind=ceiling)
    if kind == "point":
        return WeakDataset(dataset, [LabelKind.POINT] * len(dataset), seed)
    return dataset
