"""A user's own COCO file on the way in: where its images are, whether it is sound, its labels."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import Literal

from wsislib.atomic import read_json
from wsislib.data.images import reading_notes
from wsislib.data.photographs.coco import CocoDataset
from wsislib.data.photographs.coco_labels import annotation_kind
from wsislib.data.photographs.validate import check_coco
from wsislib.data.photographs.validate_report import require_trainable
from wsislib.data.picture_cache import PictureCache
from wsislib.data.sample import Category, Dataset, LabelKind
from wsislib.labels.budget import draw_kinds, parse_mix
from wsislib.labels.datasets import WeakDataset

WeakKind = Literal["file", "point", "box"]
KIND_NAMES = ("tags", "points", "boxes", "masks")


def read_photographs(
    annotations: Path,
    images: Path | None,
    first: int | None = None,
    kind: LabelKind = LabelKind.MASK,
    weakest: LabelKind = LabelKind.MASK,
) -> CocoDataset:
    """Check a whole COCO file, then read it, or the first N of its images that have instances.

    The folder `images` is the one beside the file if None. Labels are read as `kind` at most, and
    the check accepts no label weaker than `weakest`. What is turned upright or stretched is said on
    stderr. Raises ValueError with a list of all faults.
    """
    root = images or annotations.parent / "images"
    if not root.is_dir():
        raise ValueError(f"{root}: no such image folder; say where the images are with --images")
    require_trainable(check_coco(annotations, root, kind, least=weakest, progress=True))
    dataset = CocoDataset(annotations, root, kind=kind)
    for note in reading_notes(dataset.files()):
        print(note, file=sys.stderr)
    if first is None:
        return dataset
    if first < 1:
        raise ValueError(f"--first is {first}; it must be 1 or more")
    labelled = (i for place, i in enumerate(dataset.image_ids) if dataset.instances(place))
    return CocoDataset(annotations, root, kind=kind, image_ids=list(islice(labelled, first)))


def read_weak(annotations: Path, images: Path | None, kind: WeakKind, seed: int) -> Dataset:
    """Check and read a COCO file whose annotations may be tags, points, boxes or masks.

    `kind` "file" reads labels as they are, "box" reads masks as boxes, "point" takes a random point
    of each mask, drawn by `seed`, keeps points and refuses boxes. Raises as `read_photographs`.
    """
    read_as = LabelKind.BOX if kind == "box" else LabelKind.MASK
    dataset = read_photographs(annotations, images, kind=read_as, weakest=LabelKind.TAG)
    if kind == "point":
        return WeakDataset(dataset, [LabelKind.POINT] * len(dataset), seed)
    return dataset


def read_mixed(
    annotations: Path,
    images: Path | None,
    labels: str,
    seed: int,
    first: int | None,
    pictures: PictureCache | None = None,
) -> Dataset:
    """Check and read a COCO file of any labels, then weaken its images as `labels` says.

    "file" reads labels as they are; "tags", "points", "boxes" or "masks" weakens every image to
    that; a mix such as "40 tags + 8 boxes" draws by `seed` which image gets which kind, and leaves
    the others out. `pictures` is as for `CocoDataset.within`.

    Raises:
        ValueError: the data set has faults, which are listed; an image lacks what it is to be
            weakened from; or the mix is malformed or asks for more images than there are.
    """
    dataset = read_photographs(annotations, images, first, weakest=LabelKind.TAG)
    dataset = dataset if pictures is None else dataset.within(pictures)
    if labels == "file":
        return dataset
    kinds: list[LabelKind | None]
    if labels in KIND_NAMES:
        kinds = [LabelKind(KIND_NAMES.index(labels))] * len(dataset)
    else:
        kinds = draw_kinds(parse_mix(labels), len(dataset), seed)
    _require_strong_enough(dataset, kinds)
    return WeakDataset(dataset, kinds, seed)


def _require_strong_enough(dataset: CocoDataset, kinds: list[LabelKind | None]) -> None:
    """Raise where an image is to get a stronger label than its annotations hold."""
    lacking: dict[LabelKind, list[str]] = {}
    for index, kind in enumerate(kinds):
        if kind is None:
            continue
        for instance in dataset.instances(index):
            have = annotation_kind(instance)
            # Kinds are ordered by price, but a box does not say where a point on the object is.
            if have < kind or (kind == LabelKind.POINT and have == LabelKind.BOX):
                name = f"image {dataset.image_ids[index]} (annotation {instance.get('id')} is "
                lacking.setdefault(kind, []).append(f"{name}a {have.name.lower()})")
                break
    for kind, images in lacking.items():
        raise ValueError(
            f"{dataset.annotation_file}: {len(images)} of the {kinds.count(kind)} images that "
            f"--labels wants by {KIND_NAMES[kind]} cannot be labelled so: {', '.join(images[:3])}"
            f"{', ...' if len(images) > 3 else ''}. Labels can only be weakened (masks > boxes > "
            "tags, masks > points > tags): add what is missing, or ask for a weaker kind"
        )


def holds_tags(dataset: Dataset) -> bool:
    """Whether labels of a data set that `read_mixed` gave hold tags."""
    if isinstance(dataset, WeakDataset):
        return LabelKind.TAG in dataset.entry_kinds
    assert isinstance(dataset, CocoDataset)
    instances = (entry for place in range(len(dataset)) for entry in dataset.instances(place))
    return any(annotation_kind(entry) == LabelKind.TAG for entry in instances)


def require_same_categories(
    dataset: Dataset, known: tuple[Category, ...], annotations: Path
) -> None:
    """Raise where the file's categories are not those that the model knows."""
    odd = {(c.id, c.name) for c in known} ^ {(c.id, c.name) for c in dataset.categories}
    if odd:
        raise ValueError(
            f"{annotations}: its categories are not those the model was trained on; they differ "
            f"in {sorted(odd)[:5]}. Give both files the same list of categories (ids and names)."
        )


def ids_by_name(files: list[Path], annotations: Path | None) -> list[int] | None:
    """The files' image ids in an annotation file, None without one; ValueError where one lacks."""
    if annotations is None:
        return None
    by_name = {Path(r["file_name"]).name: r["id"] for r in read_json(annotations)["images"]}
    missing = [file.name for file in files if file.name not in by_name]
    if missing:
        raise ValueError(f"{annotations}: has no image called {missing[0]!r} ({len(missing)} such)")
    return [by_name[file.name] for file in files]
