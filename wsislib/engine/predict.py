"""A model's detections on a whole data set, as COCO results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import torch
from pycocotools import mask as mask_api
from torch import Tensor, nn
from tqdm import tqdm

from wsislib.data.rle import encode_window
from wsislib.data.sample import Category, Dataset, Detections, Model, Sample, WindowModel
from wsislib.engine.config import Precision
from wsislib.engine.device import autocast, pick_device
from wsislib.engine.side_effects import preserve_modes

Result = dict[str, Any]

# Pixels of an image from which on its masks are made one at a time: a hundred of them at once would
# be gigabytes.
LARGE = 2**21


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
    # Without a terminal there is nobody whom a bar would tell anything.
    bar = tqdm(total=len(dataset), disable=None if progress else True, unit="image", desc="predict")
    with bar, preserve_modes(model, False), torch.inference_mode(), autocast(place, precision):
        for samples in _batches(dataset, batch_size):
            if _is_large(samples[0]) and isinstance(model, WindowModel):
                image, image_id = samples[0].image.to(place), samples[0].image_id
                results += predict_image(model, image, image_id, dataset.categories)
                bar.update()
                continue
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


@torch.inference_mode()
def predict_image(
    model: WindowModel,
    image: Tensor,
    image_id: int,
    categories: Sequence[Category],
    corner: tuple[int, int] = (0, 0),
    size: tuple[int, int] | None = None,
) -> list[Result]:
    """What a model finds in one image (3, H, W), as of `predict_all`; no mask is ever whole.

    The image may be a part of a larger one of `size` (height, width), its first pixel at `corner`
    (row, column) there; results are then those of the larger one.

    Raises:
        ValueError: as `as_results`.
    """
    height, width = size or image.shape[-2:]
    top, left = corner
    results, mask, code = [], None, dict[str, Any]()
    for found in model.predict_windows(image):
        _require_category([found.category], image_id, categories)
        x0, y0, x1, y1 = found.box.float().cpu() + torch.tensor([left, top] * 2)
        if found.mask is not mask:  # one mask may be found under several categories
            mask, place = found.mask, (found.top + top, found.left + left)
            code = encode_window(mask.cpu().numpy(), *place, height, width)
        results.append({
            "image_id": image_id,
            "category_id": categories[found.category].id,
            "bbox": [round(float(value), 3) for value in (x0, y0, x1 - x0, y1 - y0)],
            "score": found.score,
            "segmentation": code,
        })  # fmt: skip
    return sorted(results, key=lambda result: -result["score"])


def _is_large(sample: Sample) -> bool:
    return sample.image.shape[-2] * sample.image.shape[-1] >= LARGE


def _batches(dataset: Dataset, size: int) -> Iterator[list[Sample]]:
    """The samples in their order, `size` together, but a large image alone."""
    batch: list[Sample] = []
    for index in range(len(dataset)):
        sample = dataset[index]
        if batch and (len(batch) == size or _is_large(sample) or _is_large(batch[0])):
            yield batch
            batch = []
        batch.append(sample)
    if batch:
        yield batch


def as_results(
    detections: Detections, image_id: int, categories: Sequence[Category]
) -> list[Result]:
    """The detections of one image as COCO results, in their order.

    A ValueError where a category index is not one of `categories`.
    """
    if len(detections) == 0:
        return []
    indices = detections.categories.tolist()
    _require_category(indices, image_id, categories)
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


def _require_category(
    indices: Sequence[int], image_id: int, categories: Sequence[Category]
) -> None:
    wrong = [index for index in indices if not 0 <= index < len(categories)]
    if wrong:
        raise ValueError(
            f"image {image_id}: a detection has category index {wrong[0]}; the data set has "
            f"{len(categories)} categories. Was the model built for another data set?"
        )


def encode_masks(masks: Tensor) -> list[dict[str, Any]]:
    """(N, H, W) bool masks as N times `{"size": [H, W], "counts": str}`, ready for JSON."""
    columns = masks.bool().cpu().permute(1, 2, 0).numpy()  # (H, W, N)
    codes = mask_api.encode(np.asfortranarray(columns.view(np.uint8)))
    size = [int(side) for side in masks.shape[-2:]]
    return [{"size": list(size), "counts": code["counts"].decode("ascii")} for code in codes]
