"""The AP that is left where detections are limited, against the evaluator itself."""

import math

import numpy as np
import pytest

from wsislib.data.photographs.ap_ceiling import ap_ceiling
from wsislib.data.rle import encode_mask
from wsislib.engine.evaluate import coco_ap

SIDE = 24


def truth_of(amounts: dict[int, dict[int, int]]) -> dict:
    """A COCO document with so many objects of one pixel each."""
    annotations = []
    for image, of in amounts.items():
        place = 0
        for category, number in of.items():
            for _ in range(number):
                mask = np.zeros((SIDE, SIDE), dtype=bool)
                mask[divmod(place, SIDE)] = True
                row, column = divmod(place, SIDE)
                one = {"bbox": [column, row, 1, 1], "area": 1, "iscrowd": 0}
                ids = {"id": len(annotations) + 1, "image_id": image, "category_id": category}
                annotations.append({**ids, **one, "segmentation": encode_mask(mask)})
                place += 1
    size = {"width": SIDE, "height": SIDE}
    images = [{"id": image, "file_name": f"{image}.png", **size} for image in amounts]
    categories = [
        {"id": id, "name": str(id)} for id in sorted({c for o in amounts.values() for c in o})
    ]
    return {"images": images, "annotations": annotations, "categories": categories}


def perfect(truth: dict) -> list[dict]:
    keys = ("image_id", "category_id", "segmentation")
    return [{**{key: a[key] for key in keys}, "score": 0.9} for a in truth["annotations"]]


AMOUNTS = [
    {1: {1: 150}, 2: {1: 150}},
    {1: {1: 150, 2: 3}, 2: {1: 20, 2: 130}, 3: {2: 1}},
    {1: {1: 101}},
    {1: {1: 5, 2: 4}},
]


@pytest.mark.parametrize("amounts", AMOUNTS)
@pytest.mark.parametrize("most", [100, 120])
def test_perfect_predictions_reach_exactly_the_ceiling(amounts: dict, most: int) -> None:
    truth = truth_of(amounts)
    reached = coco_ap(truth, perfect(truth), most=most).AP
    assert reached == pytest.approx(ap_ceiling(amounts, per_category=most), abs=1e-9)


def test_a_model_that_finds_few_finds_rare_categories_first() -> None:
    amounts = {1: {1: 30, 2: 10}, 2: {1: 10}}
    # 20 objects an image: all 10 of category 2, and 10 + 10 of the 40 of category 1.
    assert ap_ceiling(amounts, 20) == pytest.approx((51 + 101) / 2 / 101 * 100)
    truth = truth_of(amounts)
    kept = [r for i, r in enumerate(perfect(truth)) if i < 10 or i >= 30]
    assert pytest.approx(ap_ceiling(amounts, 20)) == coco_ap(truth, kept).AP
    assert ap_ceiling(amounts, 40) == 100


def test_without_objects_there_is_no_ceiling() -> None:
    assert math.isnan(ap_ceiling({1: {}}))
