"""From COCO results, as stored and exchanged, back to detections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from wsislib.data.rle import decode_segmentation
from wsislib.data.sample import Category, Detections


def detections_from_results(
    results: Iterable[Mapping[str, Any]],
    categories: Sequence[Category],
    height: int,
    width: int,
    least_score: float = 0.0,
) -> Detections:
    """The detections of one image, best score first.

    Args:
        results: COCO results of that image (`category_id`, `bbox` xywh, `score`,
            `segmentation` as RLE).
        categories: of the data set; a result's id becomes its index there.
        height: of the image, pixels.
        width: of the image, pixels.
        least_score: results below it are left out.

    Raises:
        ValueError: a result's category is not in `categories`, or its mask does not fit.
    """
    index = {category.id: place for place, category in enumerate(categories)}
    kept = sorted((r for r in results if r["score"] >= least_score), key=lambda r: -r["score"])
    strange = [r["category_id"] for r in kept if r["category_id"] not in index]
    if strange:
        raise ValueError(f"results name category id {strange[0]}, which the data set does not have")
    masks = [decode_segmentation(r["segmentation"], height, width) for r in kept]
    stack = np.stack(masks) if masks else np.zeros((0, height, width), dtype=bool)
    boxes = torch.tensor([r["bbox"] for r in kept], dtype=torch.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]  # xywh to xyxy
    return Detections(
        boxes,
        torch.tensor([r["score"] for r in kept], dtype=torch.float32),
        torch.tensor([index[r["category_id"]] for r in kept], dtype=torch.int64),
        torch.from_numpy(stack),
    )
