"""The highest AP that can be reached where not every object of an image can be found."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

METRIC_LIMIT = 100  # detections of an image and category that COCO's AP counts

Amounts = Mapping[int, Mapping[int, int]]  # image id -> category id -> number of objects


def ap_ceiling(
    amounts: Amounts, per_image: int | None = None, per_category: int = METRIC_LIMIT
) -> float:
    """COCO's AP, 0..100, of detections that are all perfect but limited in number.

    Precision is then 1 up to the recall that is left and 0 past it, so a category's AP is the
    share of COCO's 101 recalls up to that one. This is exact for `per_category`. Where `per_image`
    limits an image of several categories, those that are rare in the whole set are found first,
    as each of their objects is worth most.

    Args:
        amounts: objects without crowd regions.
        per_image: detections that a model gives of an image, over all categories; None is any.
        per_category: detections of an image and category that are counted.
    """
    whole: dict[int, int] = {}
    for image in amounts.values():
        for category, number in image.items():
            whole[category] = whole.get(category, 0) + number
    found = dict.fromkeys(whole, 0)
    for image in amounts.values():
        left = per_image
        for category in sorted(image, key=lambda one: whole[one]):
            some = min(image[category], per_category, image[category] if left is None else left)
            left = None if left is None else left - some
            found[category] += some
    if not whole:
        return float("nan")
    recalls = np.linspace(0.0, 1.0, 101)
    reached = [int((recalls <= found[c] / whole[c]).sum()) if found[c] else 0 for c in whole]
    return 100 * sum(reached) / len(reached) / len(recalls)
