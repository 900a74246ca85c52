"""A COCO file read with weak labels, for the commands that work on those."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Literal

from wsislib.data.photographs.coco import CocoDataset
from wsislib.data.photographs.coco_labels import annotation_kind
from wsislib.data.photographs.validate import check_coco
from wsislib.data.photographs.validate_report import require_trainable
from wsislib.data.sample import Dataset, LabelKind
from wsislib.labels.budget import draw_kinds, parse_mix
from wsislib.labels.datasets import WeakDataset
from wsislib.photos.photo_data import image_root

WeakKind = Literal["file", "point", "box"]
KIND_NAMES = ("tags", "points", "boxes", "masks")


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


def read_mixed(
    annotations: Path, images: Path | None, labels: str, seed: int, first: int | None
) -> Dataset:
    """Check a COCO file of any labels, read it, and weaken its images as `labels` says.

    Args:
        annotations: COCO JSON file.
        images: folder that the file names are relative to; `images` beside the file if None.
        labels: "file" reads labels as they are; "tags", "points", "boxes" or "masks" weakens every
            image to that; a mix such as "40 tags + 8 boxes" draws which image gets which kind and
            leaves the others out.
        seed: of the random points and of the drawing.
        first: only the first N images that have instances.

    Raises:
        ValueError: the data set has faults, which are listed; an image lacks what it is to be
            weakened from; or the mix is not to be understood or asks for more images than there
            are.
    """
    root = image_root(annotations, images)
    report = check_coco(annotations, root, LabelKind.MASK, least=LabelKind.TAG, progress=True)
    require_trainable(report)
    dataset = CocoDataset(annotations, root)
    if first is not None:
        if first < 1:
            raise ValueError(f"--first is {first}; it must be 1 or more")
        found = (i for place, i in enumerate(dataset.image_ids) if len(dataset[place].label))
        dataset = CocoDataset(annotations, root, image_ids=list(islice(found, first)))
    if labels == "file":
        return dataset
    kinds: list[LabelKind | None]
    if labels in KIND_NAMES:
        kinds = [LabelKind(KIND_NAMES.index(labels))] * len(dataset)
    else:
        kinds = draw_kinds(parse_mix(labels), len(dataset), seed)
    _require_dear_enough(dataset, kinds)
    return WeakDataset(dataset, kinds, seed)


def _require_dear_enough(dataset: CocoDataset, kinds: list[LabelKind | None]) -> None:
    """Raise where an image is to get labels of a kind that its annotations do not hold."""
    lacking: dict[LabelKind, list[str]] = {}
    for index, kind in enumerate(kinds):
        if kind is None:
            continue
        for instance in dataset.instances(index):
            have = annotation_kind(instance)
            if have < kind or (kind == LabelKind.POINT and have == LabelKind.BOX):
                name = f"image {dataset.image_ids[index]} (annotation {instance.get('id')} is "
                lacking.setdefault(kind, []).append(f"{name}a {have.name.lower()})")
                break
    for kind, images in lacking.items():
        wanted = sum(other == kind for other in kinds)
        raise ValueError(
            f"{dataset.annotation_file}: {len(images)} of the {wanted} images that --labels wants "
            f"by {KIND_NAMES[kind]} cannot be labelled so: {', '.join(images[:3])}"
            f"{', ...' if len(images) > 3 else ''}. Labels only get cheaper (masks > boxes > tags, "
            "masks > points > tags): add what lacks, or ask for a cheaper kind"
        )
