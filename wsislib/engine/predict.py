"""A model's detections on a whole data set, as COCO results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from pycocotools import mask as mask_api
from torch import Tensor, nn
from tqdm import tqdm

from wsislib.data.sample import Category, Dataset, Detections, Model
from wsislib.engine.config import Precision
from wsislib.engine.device import autocast, pick_device
from wsislib.engine.side_effects import preserve_modes

Result = dict[str, Any]


def predict_all(
    model: nn.Module,
    dataset: Dataset,
    *,
    device: str | torch.device = "auto",
    batch_size: int = 8,
    progress: bool = True,
    precision: Precision = "float32",
) -> list[Result]:
    """What `model` (moved to `device`, in eval mode meanwhile) finds in every image.

    Returns:
        COCO results, image by image in the data set's order, best score first: image_id,
        category_id (`Category.id`), bbox (x, y, w, h in pixels), score, segmentation
        (compressed RLE, text).

    Raises:
        ValueError: the model gave another number of answers than images, or a category that the
            data set has not.
    """
    place = pick_device(device)
    model.to(place)
    results: list[Result] = []
    bar = tqdm(total=len(dataset), disable=not progress, unit="image", desc="predict")
    with bar, preserve_modes(model, False), torch.inference_mode(), autocast(place, precision):
        for start in range(0, len(dataset), batch_size):
            samples = [dataset[i] for i in range(start, min(start + batch_size, len(dataset)))]
            predictions = cast(Model, model).predict([s.image.to(place) for s in samples])
            if len(predictions) != len(samples):
                raise ValueError(
                    f"predict() gave {len(predictions)} answers for {len(samples)} images; "
                    "it must give one for each"
                )
            for sample, detections in zip(samples, predictions, strict=True):
                results += as_results(detections, sample.image_id, dataset.categories)
            bar.update(len(samples))
    return results


def as_results(
    detections: Detections, image_id: int, categories: Sequence[Category]
) -> list[Result]:
    """The detections of one image as COCO results, in their order.

    A ValueError where a category index is not one of `categories`.
    """
    if len(detections) == 0:
        return []
    indices = detections.categories.tolist()
    wrong = [index for index in indices if not 0 <= index < len(categories)]
    if wrong:
        raise ValueError(
            f"image {image_id}: a detection has category index {wrong[0]}; the data set has "
            f"{len(categories)} categories. Was the model built for another data set?"
        )
    boxes = detections.boxes.float().cpu()  # (N, 4) xyxy
    boxes = torch.cat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], dim=1)  # (N, 4) xywh
    columns = (indices, boxes.tolist(), detections.scores.float().tolist())
    return [
        {
            "image_id": image_id,
            "category_id": categories[index].id,
            "bbox": [round(value, 3) for value in box],
            "score": score,
            "segmentation": code,
        }
        for index, box, score, code in zip(*columns, encode_masks(detections.masks), strict=True)
    ]


def encode_masks(masks: Tensor) -> list[dict[str, Any]]:
    """(N, H, W) bool masks as N times `{"size": [H, W], "counts": str}`, ready for JSON."""
    columns = masks.bool().cpu().permute(1, 2, 0).numpy()  # (H, W, N)
    codes = mask_api.encode(np.asfortranarray(columns.view(np.uint8)))
    size = [int(side) for side in masks.shape[-2:]]
    return [{"size": list(size), "counts": code["counts"].decode("ascii")} for code in codes]
