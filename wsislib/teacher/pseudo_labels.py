"""Masks for weakly labelled images, as a COCO file that any other tool reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from wsislib.data.rle import encode_mask, rle_area, rle_box
from wsislib.data.sample import Category, Dataset, Label, LabelKind
from wsislib.engine.predict import Result, predict_all
from wsislib.teacher.teaching import TeachingDataset


def teacher_masks(dataset: TeachingDataset, least_score: float) -> tuple[list[Result], int]:
    """The teacher's best-scoring candidate of every entry; true masks as they are, with score 1.

    Returns COCO results in the order of images and entries, and how many entries got none: tags,
    entries whose candidates are all empty, and those for which the teacher predicts an IoU below
    `least_score`.
    """
    results: list[Result] = []
    without = 0
    for index in range(len(dataset)):
        sample, stored = dataset.runs(index)
        label = sample.label
        filled = quality = None
        if stored is not None:
            filled = stored[0].filled()  # (K, M)
            quality = np.where(filled, stored[1].reshape(filled.shape), -1.0)
        for entry, true in enumerate(label.has_mask.tolist()):
            mask, score = None, -1.0
            if true and label.masks is not None:
                mask, score = label.masks[entry].numpy(), 1.0
            elif stored is not None and quality is not None:
                best = int(quality[entry].argmax())
                score = float(quality[entry, best])
                mask = stored[0].mask(entry * quality.shape[1] + best)
            if mask is None or score < max(least_score, 0.0) or _is_tag(label, entry):
                without += 1
                continue
            code = encode_mask(mask)
            category = dataset.categories[int(label.categories[entry])].id
            results.append({
                "image_id": sample.image_id,
                "category_id": category,
                "bbox": [round(value, 3) for value in rle_box(code)],
                "score": score,
                "segmentation": code,
            })  # fmt: skip
    return results, without


def _is_tag(label: Label, entry: int) -> bool:
    return int(label.entry_kinds[entry]) == LabelKind.TAG


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
