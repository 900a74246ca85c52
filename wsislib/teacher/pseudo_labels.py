"""Masks for weakly labelled images, as a COCO file that any other tool reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from wsislib.data.rle import rle_area, rle_box
from wsislib.data.sample import Category, Dataset, Detections, LabelKind
from wsislib.data.transforms import tight_boxes
from wsislib.engine.predict import Result, as_results, predict_all
from wsislib.teacher.teaching import best_candidates, pseudo_masks


def teacher_masks(dataset: Dataset, least_score: float = 0.0) -> tuple[list[Result], int]:
    """The teacher's best-scoring candidate of every entry; true masks as they are, with score 1.

    Args:
        dataset: such as `TeachingDataset`; images whose labels are tags alone are passed by.
        least_score: IoU that the teacher must predict for a mask at least.

    Returns:
        COCO results in the order of images and entries, and how many entries got none: tags,
        entries whose candidates are all empty, and those below `least_score`.
    """
    results: list[Result] = []
    without = 0
    for index in range(len(dataset)):
        sample = dataset[index]
        label = sample.label
        if label.kind == LabelKind.TAG and label.kinds is None:
            without += len(label)
            continue
        scores = torch.where(label.has_mask, 1.0, -1.0)
        if label.candidates is not None:
            _, quality = best_candidates(label)
            scores = torch.where(label.has_mask, 1.0, quality)
        chosen = pseudo_masks(label)
        kept = scores[scores >= 0]  # the others are not in `chosen` any more
        good = kept >= least_score
        without += len(label) - int(good.sum())
        masks = chosen.masks
        assert masks is not None
        found = Detections(
            tight_boxes(masks)[good], kept[good], chosen.categories[good], masks[good]
        )
        results += as_results(found, sample.image_id, dataset.categories)
    return results, without


def model_masks(
    model: nn.Module,
    dataset: Dataset,
    least_score: float = 0.5,
    device: str | torch.device = "auto",
    progress: bool = True,
) -> list[Result]:
    """A trained model's detections of the categories that each image's label names.

    Args:
        model: that predicts categories of `dataset`.
        dataset: labels of any kind; only their categories are looked at.
        least_score: of a detection.
        device: where it predicts.
        progress: whether to show a progress bar.

    Returns:
        COCO results; detections whose mask is empty are left out.
    """
    named: dict[int, set[int]] = {}
    for index in range(len(dataset)):
        sample = dataset[index]
        indices = sample.label.categories.tolist()
        named[sample.image_id] = {dataset.categories[i].id for i in indices}
    return [
        result
        for result in predict_all(model, dataset, device=device, progress=progress)
        if result["category_id"] in named[result["image_id"]]
        and result["score"] >= least_score
        and rle_area(result["segmentation"]) > 0
    ]


def as_document(
    results: Iterable[Result],
    images: Sequence[Mapping[str, Any]],
    categories: Sequence[Category],
    made_by: str,
) -> dict[str, Any]:
    """A COCO document with a score in every annotation.

    Args:
        results: COCO results with masks as RLE.
        images: records with at least id, file_name, width and height.
        categories: of the document.
        made_by: what made the masks, for its `info`.

    Returns:
        Annotation ids start at 1; boxes are tight around masks, areas are theirs.
    """
    annotations = [
        {
            "id": number,
            "image_id": result["image_id"],
            "category_id": result["category_id"],
            "iscrowd": 0,
            "area": rle_area(result["segmentation"]),
            "bbox": list(rle_box(result["segmentation"])),
            "segmentation": result["segmentation"],
            "score": round(float(result["score"]), 6),
        }
        for number, result in enumerate(results, start=1)
    ]
    return {
        "info": {"description": f"Masks made by {made_by}; not drawn by people."},
        "images": [dict(record) for record in images],
        "annotations": annotations,
        "categories": [{"id": category.id, "name": category.name} for category in categories],
    }
