"""COCO's own evaluator (pycocotools), and predictions that it must find perfect."""

import contextlib
import io

import numpy as np
from pycocotools import mask as mask_api
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from wsislib.engine.eval_subset import mask_code, prepare_eval
from wsislib.engine.evaluate import ApResult


def coco_ap_reference(
    ground_truth: dict,
    results: list,
    *,
    categories: list | None = None,
    iou_type: str = "segm",
    image_ids: list | None = None,
) -> ApResult:
    """As `coco_ap`, by COCO's own code."""
    subset = prepare_eval(ground_truth, results, categories, image_ids, iou_type)
    with contextlib.redirect_stdout(io.StringIO()):
        sides = []
        for dictionary in subset.documents():
            sides.append(COCO())
            sides[-1].dataset = dictionary
            sides[-1].createIndex()
        evaluation = COCOeval(*sides, iou_type)
        evaluation.params.catIds = [category["id"] for category in subset.categories]
        evaluation.params.imgIds = [image["id"] for image in subset.images]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()  # fills stats
    numbers = [float(value) * 100 if value > -1 else float("nan") for value in evaluation.stats]
    # (T, R, C) over all areas with at most 100 detections, C by rising id; -1 where undefined.
    precision = evaluation.eval["precision"][..., 0, 2]
    order = sorted(subset.categories, key=lambda category: category["id"])
    per_category = {}
    for place, category in enumerate(order):
        defined = precision[..., place][precision[..., place] > -1]
        per_category[category["name"]] = 100 * defined.mean() if defined.size else np.nan
    return ApResult(per_category, *numbers)


def perfect_results(ground_truth: dict) -> list[dict]:
    """The results of a model that finds every object (crowd regions apart) exactly.

    They score AP 100 unless an image holds more than 100 objects of one category.
    """
    sizes = {image["id"]: (image["height"], image["width"]) for image in ground_truth["images"]}
    results = []
    for annotation in ground_truth["annotations"]:
        if annotation.get("iscrowd"):
            continue
        code = mask_code(annotation, *sizes[annotation["image_id"]])
        results.append(
            {
                "image_id": annotation["image_id"],
                "category_id": annotation["category_id"],
                "bbox": list(annotation.get("bbox") or mask_api.toBbox(code)),
                "score": 1.0,
                "segmentation": code,
            }
        )
    return results
