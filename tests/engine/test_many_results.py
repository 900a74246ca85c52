"""More results than a byte can count: pycocotools' area of a list fails there under numpy 2."""

import numpy as np

from wsislib.data.rle import encode_mask
from wsislib.engine.evaluate import coco_ap


def test_hundreds_of_results_are_judged() -> None:
    mask = np.zeros((8, 8), dtype=bool)
    mask[:, :2] = True
    square = encode_mask(mask)
    results = [
        {
            "image_id": 1,
            "category_id": 1,
            "score": 0.5,
            "bbox": [0, 0, 2, 8],
            "segmentation": square,
        }
    ] * 300
    truth = {
        "images": [{"id": 1, "height": 8, "width": 8}],
        "categories": [{"id": 1, "name": "square"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 16,
             "bbox": [0, 0, 2, 8], "segmentation": square}
        ],
    }  # fmt: skip
    assert coco_ap(truth, [dict(result) for result in results]).AP == 100
