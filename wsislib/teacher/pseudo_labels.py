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


def teacher_masks(dataset: Dataset, least_score: float) -> tuple[list[Result], int]:
    """The teacher's best-scoring candidate of every entry; true masks as they are, with score 1.

    Returns COCO results in the order of images and entries of a data set such as
    `TeachingDataset`, and how many entries got none: tags, entries whose candidates are all empty,
    and those for which the teacher predicts an IoU below `least_score`.
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
            scores = torch.where(label.has_mask, 1.0, best_candidates(label)[1])
        chosen = pseudo_masks(label)
        scores = scores[scores >= 0]  # the others are not in `chosen` any more
        good = scores >= least_score
        without += len(label) - int(good.sum())
        assert chosen.masks is not None
        masks = chosen.masks[good]
        found = Detections(tight_boxes(masks), scores[good], chosen.categories[good], masks)
        results += as_results(found, sample.image_id, dataset.categories)
    return results, without


def model_masks(
    model: nn.Module, dataset: Dataset, least_score: float, device: str | torch.device
) -> list[Result]:
    """A trained model's detections of the categories that each image's label names.

    COCO results; detections below `least_score` or with an empty mask are left out.
    """
    named: dict[int, set[int]] = {}
    for index in range(len(dataset)):
        sample = dataset[index]
        indices = sample.label.categories.tolist()
        named[sample.image_id] = {dataset.categories[i].id for i in indices}
    return [
        result
        for result in predict_all(model, dataset, device=device)
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
    """A COCO document of results (masks as RLE) with a score in every annotation.

    Annotation ids start at 1; boxes are tight around masks, areas are theirs. `images` are records
    with at least id, file_name, width and height; `made_by` says in `info` what made the masks.
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
