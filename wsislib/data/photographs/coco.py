"""COCO-format data sets: one JSON file and a folder of images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wsislib.data.images import image_tensor, picture_facts, read_image, resolve_image
from wsislib.data.photographs.coco_labels import annotation_kind, box_of, label_of
from wsislib.data.photographs.scaled_labels import scale_annotation
from wsislib.data.photographs.validate_structure import read_sound_document
from wsislib.data.picture_cache import PictureCache, scaled_size
from wsislib.data.rle import checked_rle, rle_area
from wsislib.data.sample import Category, LabelKind, Sample


class CocoDataset:
    """A COCO JSON file with its images, read lazily.

    For files that mix masks, boxes, points and tags see `wsislib.data.photographs.coco_labels`.
    Crowd regions are no instances: they are left out of labels and stand in the ground truth with
    `iscrowd` 1. Images without annotations are kept. Pictures are read upright, and sizes and
    coordinates refer to them so; see `wsislib.data.images`. `categories` are in the order of their
    ids, which may have gaps.
    """

    def __init__(
        self,
        annotation_file: Path,
        image_root: Path,
        *,
        kind: LabelKind = LabelKind.MASK,
        image_ids: Sequence[int] | None = None,
        category_ids: Sequence[int] | None = None,
    ) -> None:
        """Read the JSON file; images and masks are decoded when they are asked for.

        Args:
            annotation_file: COCO JSON.
            image_root: the folder that `file_name` is relative to.
            kind: the most expensive kind to read. BOX, POINT or TAG leave out what goes beyond
                it, in labels (never in the ground truth).
            image_ids: only these images, in this order; None reads all, in the file's order.
            category_ids: only these categories, whatever their order here; annotations of others
                are left out, also of the ground truth.

        Raises ValueError with every problem of the file's skeleton.
        """
        self.annotation_file = Path(annotation_file)
        self.image_root = Path(image_root)
        self.kind = LabelKind(kind)
        self._pictures: PictureCache | None = None
        self._scaled: dict[int, list[dict[str, Any]]] = {}  # annotations by image, once scaled
        document = read_sound_document(self.annotation_file)
        chosen = _chosen(document["categories"], category_ids, self.annotation_file, "category")
        ordered = sorted(chosen.values(), key=lambda record: record["id"])
        self.categories = tuple(Category(record["id"], record["name"]) for record in ordered)
        self._category_index = {category.id: i for i, category in enumerate(self.categories)}
        self._records = _chosen(document["images"], image_ids, self.annotation_file, "image")
        self.declared = len(document["images"])  # images of the file, chosen or not
        self.image_ids = tuple(self._records)
        self._annotations: dict[int, list[dict[str, Any]]] = {i: [] for i in self.image_ids}
        for annotation in document["annotations"]:
            wanted = annotation["category_id"] in self._category_index
            if wanted and annotation["image_id"] in self._annotations:
                self._annotations[annotation["image_id"]].append(annotation)

    def __len__(self) -> int:
        return len(self.image_ids)

    def __getitem__(self, index: int) -> Sample:
        """The sample at `index`; a ValueError names image and annotation that cannot be read."""
        record = self._records[self.image_ids[index]]
        full = record["height"], record["width"]
        size = full if self._pictures is None else scaled_size(*full, self._pictures.side)
        try:
            array = self._pixels(record, size != full)
            instances = self.instances(index)
            if size != full:
                instances = self._scaled_instances(index, full, size)
            height, width = size
            label = label_of(
                instances, height, width, self._category_index, self.kind, may_vanish=size != full
            )
        except ValueError as error:
            raise ValueError(
                f"{self.annotation_file}, image {record['id']}: {error} "
                "(`wsis data check` lists everything that is wrong)"
            ) from None
        return Sample(image_tensor(array), record["id"], label)

    def _pixels(self, record: dict[str, Any], scaled: bool) -> npt.NDArray[np.uint8]:
        """An image's pixels; ValueError where the image is not of the size that its record says."""
        path = resolve_image(self.image_root, record["file_name"])
        array = self._pictures.read(path) if scaled and self._pictures else read_image(path)
        size = array.shape[1], array.shape[0]
        if scaled:
            facts = picture_facts(path)
            size = facts.width, facts.height
        if size != (record["width"], record["height"]):
            raise ValueError(
                f"{record['file_name']} has {size[0]} x {size[1]} pixels, the record says "
                f"{record['width']} x {record['height']}"
            )
        return array

    def _scaled_instances(
        self, index: int, full: tuple[int, int], size: tuple[int, int]
    ) -> list[dict[str, Any]]:
        image_id = self.image_ids[index]
        if image_id not in self._scaled:
            self._scaled[image_id] = [
                scale_annotation(a, full, size) for a in self.instances(index)
            ]
        return self._scaled[image_id]

    def within(self, pictures: PictureCache) -> CocoDataset:
        """The same data set whose larger samples are scaled down to the side of `pictures`.

        Labels are scaled with them, and masks that then cover no pixel are left out. Smaller images
        are as they were, and the ground truth keeps its size.
        """
        return self._view(_pictures=pictures, _scaled={})

    def without_outlines(self) -> CocoDataset:
        """The same images whose labels are tags, so that no mask is decoded to predict on them."""
        return self._view(kind=LabelKind.TAG)

    def _view(self, **changes: Any) -> CocoDataset:
        view = copy(self)
        vars(view).pop("_fingerprint", None)
        vars(view).update(changes)
        return view

    def files(self) -> list[Path]:
        """The files of the images, in their order; ValueError where a name leads out of `root`."""
        names = (record["file_name"] for record in self._records.values())
        return [resolve_image(self.image_root, name) for name in names]

    def instances(self, index: int) -> list[dict[str, Any]]:
        """The file's annotations of the image at `index`, as they stand, without crowds."""
        return [a for a in self._annotations[self.image_ids[index]] if not a.get("iscrowd")]

    def crowds(self, index: int) -> int:
        """How many crowd regions the image at `index` has."""
        return len(self._annotations[self.image_ids[index]]) - len(self.instances(index))

    def ground_truth(self) -> dict[str, Any]:
        """Every true mask as RLE, whatever kind the labels are read as; new annotation ids from 1.

        `bbox` and `area` are the file's where it has them, so that sizes S, M and L are those of
        other evaluators. Raises ValueError where an annotation has no mask.
        """
        images = [
            {key: record[key] for key in ("id", "file_name", "width", "height")}
            for record in self._records.values()
        ]
        everything = [a for members in self._annotations.values() for a in members]
        annotations = [
            {"id": i, **_truth(a, self._records[a["image_id"]], self.annotation_file)}
            for i, a in enumerate(everything, start=1)
        ]
        categories = [{"id": category.id, "name": category.name} for category in self.categories]
        return {"images": images, "annotations": annotations, "categories": categories}

    def fingerprint(self) -> str:
        """Hex digest of categories, chosen images (their bytes) and annotations, nothing else."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        names = [(category.id, category.name) for category in self.categories]
        digest.update(json.dumps([int(self.kind), names]).encode())
        keys = ("id", "category_id", "iscrowd", "bbox", "area", "segmentation", "point")
        for image_id, record in self._records.items():
            members = [{key: a.get(key) for key in keys} for a in self._annotations[image_id]]
            content = [image_id, record["width"], record["height"], members]
            digest.update(json.dumps(content, sort_keys=True).encode())
            digest.update(self.picture_digests[image_id])
            path = resolve_image(self.image_root, record["file_name"])
            digest.update(self._reading(path, record))
        return digest.hexdigest()

    @cached_property
    def picture_digests(self) -> dict[int, bytes]:
        """SHA-256 of each image file, by image id."""
        return {
            image_id: hashlib.sha256(path.read_bytes()).digest()
            for image_id, record in self._records.items()
            for path in [resolve_image(self.image_root, record["file_name"])]
        }

    def records(self) -> list[dict[str, Any]]:
        """The file's records of the images, in the data set's order."""
        return list(self._records.values())

    def annotations_of(self, image_id: int) -> list[dict[str, Any]]:
        """The file's annotations of an image, crowd regions included."""
        return self._annotations[image_id]

    def _reading(self, path: Path, record: dict[str, Any]) -> bytes:
        """What is done to an image's pixels beyond decoding; nothing, as a rule."""
        facts = picture_facts(path)
        done = f"upright {facts.orientation}" if facts.orientation != 1 else ""
        done += "stretched" if facts.deep else ""
        side = 0 if self._pictures is None else self._pictures.side
        if 0 < side < max(record["height"], record["width"]):
            done += f"scaled to {side}"
        return done.encode()


def _chosen(
    records: list[dict[str, Any]], ids: Sequence[int] | None, path: Path, what: str
) -> dict[int, dict[str, Any]]:
    """Records of `what` (image, category) by id: all, or those of `ids`, in that order."""
    known = {record["id"]: record for record in records}
    if ids is None:
        return known
    unknown = [one for one in ids if one not in known]
    if unknown:
        raise ValueError(f"{path}: no {what} {unknown[0]}, which {what}_ids asks for")
    return {one: known[one] for one in ids}


def _truth(annotation: dict[str, Any], image: dict[str, Any], path: Path) -> dict[str, Any]:
    """One ground-truth annotation, without its id; `image` is its image's record."""
    height, width = image["height"], image["width"]
    place = f"{path}, image {annotation['image_id']}, annotation {annotation['id']}"
    if annotation_kind(annotation) != LabelKind.MASK:
        raise ValueError(f"{place}: has no mask, and an evaluation needs every true mask")
    try:
        rle = checked_rle(annotation["segmentation"], height, width)
        x0, y0, x1, y1 = box_of(annotation, height, width)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None
    area, counts = annotation.get("area"), rle["counts"]
    counts = counts.decode("ascii") if isinstance(counts, bytes) else counts
    return {
        "image_id": annotation["image_id"],
        "category_id": annotation["category_id"],
        "iscrowd": int(annotation.get("iscrowd", 0)),
        "area": rle_area(rle) if area is None else area,
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "segmentation": {"size": rle["size"], "counts": counts},
    }
