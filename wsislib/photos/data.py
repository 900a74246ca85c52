"""A user's own COCO file on the way in: where its images are, whether it is sound, its labels."""

from __future__ import annotations

import os
import posixpath
import sys
import unicodedata
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from wsislib.data.images import reading_notes
from wsislib.data.photographs.coco import CocoDataset
from wsislib.data.photographs.coco_labels import annotation_kind
from wsislib.data.photographs.validate import check_coco
from wsislib.data.photographs.validate_report import require_trainable
from wsislib.data.photographs.validate_structure import read_sound_document
from wsislib.data.sample import Category, Dataset, LabelKind
from wsislib.labels.budget import draw_kinds, parse_mix
from wsislib.labels.datasets import WeakDataset
from wsislib.photos.finding import Picture

WeakKind = Literal["file", "point", "box"]
KIND_NAMES = ("tags", "points", "boxes", "masks")


def read_photographs(
    annotations: Path,
    images: Path | None,
    first: int | None = None,
    kind: LabelKind = LabelKind.MASK,
    weakest: LabelKind = LabelKind.MASK,
    *,
    allow_empty: bool = False,
) -> CocoDataset:
    """Check a whole COCO file, then read it, or the first N of its images that have instances.

    What the check warns of is said on stderr, and ends with the counts by kind; then what is turned
    upright or stretched. The folder `images` is the one beside the file if None. Labels are read as
    `kind` at most, and the check accepts no label weaker than `weakest`; for `allow_empty` see
    `check_coco`. Raises ValueError with a list of all faults.
    """
    root = images or annotations.parent / "images"
    if not root.is_dir():
        raise ValueError(f"{root}: no such image folder; say where the images are with --images")
    report = check_coco(
        annotations, root, kind, least=weakest, allow_empty=allow_empty, progress=True
    )
    require_trainable(report)
    print(report.summary(), file=sys.stderr)
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


def weakened(dataset: CocoDataset, labels: str, seed: int) -> Dataset:
    """The data set with its images weakened as `labels` says.

    "file" reads labels as they are; "tags", "points", "boxes" or "masks" weakens every image to
    that; a mix such as "40 tags + 8 boxes" draws by `seed` which image gets which kind, and leaves
    the others out.

    Raises:
        ValueError: an image lacks what it is to be weakened from; or the mix is malformed or asks
            for more images than there are.
    """
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
    """Whether labels of a data set that `weakened` gave hold tags."""
    if isinstance(dataset, WeakDataset):
        return LabelKind.TAG in dataset.entry_kinds
    assert isinstance(dataset, CocoDataset)
    instances = (entry for place in range(len(dataset)) for entry in dataset.instances(place))
    return any(annotation_kind(entry) == LabelKind.TAG for entry in instances)


def require_same_categories(
    dataset: Dataset, known: tuple[Category, ...], annotations: Path
) -> None:
    """Raise where the file's categories are not those that the model knows."""
    _require_categories(dataset.categories, known, annotations)


def _require_categories(
    categories: Sequence[Category], known: Sequence[Category], annotations: Path
) -> None:
    odd = {(c.id, c.name) for c in known} ^ {(c.id, c.name) for c in categories}
    if odd:
        raise ValueError(
            f"{annotations}: its categories are not those the model was trained on; they differ "
            f"in {sorted(odd)[:5]}. Give both files the same list of categories (ids and names)."
        )


def records_for(
    pictures: Sequence[Picture], annotations: Path | None, known: Sequence[Category]
) -> tuple[list[dict[str, Any]], int]:
    """The image record of each picture, as it stands in results, and how many the file has more.

    Without an annotation file ids are 1, 2, ... Else records are the file's: that of the same name,
    or the only one whose path ends as the picture's does.

    Raises:
        ValueError: the file is unsound, has other categories than the model (`known`), or not one
            record for each picture.
    """
    if annotations is None:
        return [{"id": i, "file_name": p.name} for i, p in enumerate(pictures, start=1)], 0
    document = read_sound_document(annotations)
    own = [Category(record["id"], record["name"]) for record in document["categories"]]
    _require_categories(own, known, annotations)
    by_end: dict[str, list[dict[str, Any]]] = {}
    for record in document["images"]:
        by_end.setdefault(_plain(record["file_name"]).rpartition("/")[2], []).append(record)
    chosen: list[dict[str, Any]] = []
    users: dict[int, str] = {}
    for picture in pictures:
        name, whole = _plain(picture.name), _plain(os.path.abspath(picture.path))
        alike = by_end.get(name.rpartition("/")[2], [])
        same = [r for r in alike if _plain(r["file_name"]) == name] or [
            record
            for record in alike
            if f"/{_plain(record['file_name'])}".endswith(f"/{name}")
            or whole.endswith(f"/{_plain(record['file_name'])}")
        ]
        if len(same) != 1:
            which = f"{len(same)} images that may be" if same else "no image called"
            known_names = [record["file_name"] for record in document["images"]]
            near = [] if same else get_close_matches(picture.name, known_names, n=1)
            hint = f"; {near[0]!r} is near" if near else ""
            raise ValueError(
                f"{annotations}: has {which} {picture.name!r}{hint}; ids in results would fit no "
                "image. Name pictures as the file does, or predict without --annotations"
            )
        keys = ("id", "file_name", "width", "height")
        chosen.append({key: same[0][key] for key in keys})
        if (first := users.setdefault(same[0]["id"], picture.name)) != picture.name:
            raise ValueError(
                f"{annotations}: image {same[0]['id']} ({same[0]['file_name']!r}) would stand for "
                f"both {first!r} and {picture.name!r}; predict on the folder of this file alone"
            )
    return chosen, len(document["images"]) - len(chosen)


def _plain(name: str) -> str:
    """A file name with "/" between folders, without "./", in one normal form of Unicode."""
    return unicodedata.normalize("NFC", posixpath.normpath(name.replace("\\", "/")))
