"""Ground truth and predictions, checked and reduced to what is to be evaluated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pycocotools import mask as mask_api

from wsislib.data.rle import checked_rle

Entry = dict[str, Any]


@dataclass(frozen=True)
class EvalSubset:
    """The images and categories to evaluate, with all that belongs to them."""

    images: list[Entry]  # of COCO
    categories: list[Entry]  # of COCO, in the order asked for
    annotations: list[Entry]  # the ground truth; `area` and `iscrowd` are always there
    results: list[Entry]  # the predictions, as COCO annotations

    def documents(self) -> tuple[Entry, Entry]:
        """Ground truth and predictions, each as a COCO dictionary."""
        shared = {"images": self.images, "categories": self.categories}
        return {**shared, "annotations": self.annotations}, {**shared, "annotations": self.results}

    def by_categories(self, count: int) -> Iterator[EvalSubset]:
        """Parts of at most `count` categories, each with the images in which these occur.

        The other images add nothing to any number.
        """
        by_id = {image["id"]: image for image in self.images}
        part_of = {c["id"]: i // count for i, c in enumerate(self.categories)}
        parts = range(0, len(self.categories), count)
        annotations: list[list[Entry]] = [[] for _ in parts]
        results: list[list[Entry]] = [[] for _ in parts]
        for entry in self.annotations:
            annotations[part_of[entry["category_id"]]].append(entry)
        for entry in self.results:
            results[part_of[entry["category_id"]]].append(entry)
        for number, start in enumerate(parts):
            seen = {entry["image_id"] for entry in (*annotations[number], *results[number])}
            images = [by_id[image_id] for image_id in sorted(seen)]
            categories = self.categories[start : start + count]
            yield EvalSubset(images, categories, annotations[number], results[number])


def prepare_eval(
    ground_truth: Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
    categories: Sequence[int] | None,
    image_ids: Sequence[int] | None,
    iou_type: str,
) -> EvalSubset:
    """Check both sides and leave out what is not to be evaluated; as `evaluate.coco_ap`."""
    if iou_type not in ("segm", "bbox"):
        raise ValueError(f"iou_type is {iou_type!r}; use 'segm' or 'bbox'")
    chosen = _chosen_categories(ground_truth["categories"], categories)
    images = _chosen_images(ground_truth["images"], image_ids)
    for key, name in (("image_id", "images"), ("category_id", "categories")):
        known = {entry["id"] for entry in ground_truth[name]}
        _require_known(ground_truth["annotations"], key, known, "annotation")
        _require_known(results, key, known, "result")
    sizes = {image["id"]: (image["height"], image["width"]) for image in images}
    category_ids = {category["id"] for category in chosen}

    def belongs(entry: Mapping[str, Any]) -> bool:
        return entry["image_id"] in sizes and entry["category_id"] in category_ids

    annotations = [_truth_entry(a, sizes) for a in ground_truth["annotations"] if belongs(a)]
    predictions = [dict(result) for result in results if belongs(result)]
    _complete_results(predictions, iou_type)
    return EvalSubset(images, chosen, annotations, predictions)


def mask_code(annotation: Mapping[str, Any], height: int, width: int) -> Entry:
    """An annotation's mask as compressed run-length code, ready for JSON.

    A ValueError names the annotation and what is wrong with its segmentation.
    """
    try:
        code = checked_rle(annotation["segmentation"], height, width)
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"ground truth: annotation {annotation.get('id')} of image "
            f"{annotation.get('image_id')}: no usable segmentation ({error})"
        ) from error
    counts = code["counts"]
    text = counts.decode("ascii") if isinstance(counts, bytes) else counts
    return {"size": [height, width], "counts": text}


def _chosen_categories(entries: Sequence[Entry], indices: Sequence[int] | None) -> list[Entry]:
    if indices is None:
        indices = range(len(entries))
    wrong = [index for index in indices if not 0 <= index < len(entries)]
    if wrong or not len(indices) or len(set(indices)) < len(indices):
        raise ValueError(
            f"categories to evaluate must be different indices 0..{len(entries) - 1} of the ground "
            f"truth's categories, at least one; got {list(indices)[:10]}"
        )
    return [entries[index] for index in indices]


def _chosen_images(entries: Sequence[Entry], image_ids: Sequence[int] | None) -> list[Entry]:
    if image_ids is None:
        return list(entries)
    chosen = set(image_ids)
    missing = chosen - {entry["id"] for entry in entries}
    if missing or not chosen:
        raise ValueError(
            "images to evaluate must be ids of the ground truth's images, at least one; "
            f"unknown: {sorted(missing)[:10]}"
        )
    return [entry for entry in entries if entry["id"] in chosen]


def _require_known(
    entries: Sequence[Mapping[str, Any]], key: str, ids: set[Any], what: str
) -> None:
    for number, entry in enumerate(entries):
        if entry.get(key) not in ids:
            raise ValueError(
                f"{what} {entry.get('id', number)}: {key} {entry.get(key)!r} is not in the ground "
                "truth; evaluate results against the data set they were made on"
            )


def _truth_entry(annotation: Mapping[str, Any], sizes: Mapping[int, tuple[int, int]]) -> Entry:
    if not annotation.get("id"):
        raise ValueError(
            f"ground truth: an annotation of image {annotation['image_id']} has id "
            f"{annotation.get('id')!r}; number annotations from 1 (COCO's code takes 0 for "
            "'not found')"
        )
    entry = {"iscrowd": 0, **annotation}
    if "area" not in entry:
        code = mask_code(annotation, *sizes[annotation["image_id"]])
        entry["area"] = float(mask_api.area(code))
    return entry


def _complete_results(results: list[Entry], iou_type: str) -> None:
    """Number the results and give them the area by which they are sorted into sizes."""
    needed = "segmentation" if iou_type == "segm" else "bbox"
    for number, entry in enumerate(results):
        if needed not in entry or "score" not in entry:
            lacking = needed if needed not in entry else "score"
            result = f"result {number} of image {entry['image_id']}"
            raise ValueError(f"{result} has no {lacking}, which {iou_type} needs")
    if iou_type == "segm":
        # One by one: pycocotools counts the masks of a list in 8 bits and fails on the 256th.
        areas = [mask_api.area(_compressed(entry)) for entry in results]
    else:
        areas = [entry["bbox"][2] * entry["bbox"][3] for entry in results]
    for number, (entry, area) in enumerate(zip(results, areas, strict=True), start=1):
        entry.update(id=number, area=float(area), iscrowd=0)


def _compressed(result: Entry) -> Entry:
    code = result["segmentation"]
    if not isinstance(code, dict) or not isinstance(code.get("counts"), str | bytes):
        raise ValueError(
            f"a result of image {result['image_id']} has a segmentation that is not a compressed "
            'run-length code; write masks as {"size": [H, W], "counts": "..."}'
        )
    return code
