"""Average precision as COCO defines it, over any categories and images.

Definition: cocodataset.org/#detection-eval. The tests hold `coco_ap` (faster-coco-eval) to COCO's
own code (pycocotools).

Masks are matched by masks alone: where a result carries a box as well, pycocotools would take the
box's area as the object's and sort it into another of small, medium and large.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from faster_coco_eval import COCO as FastCOCO
from faster_coco_eval import COCOeval_faster

from wsislib.engine.eval_subset import EvalSubset, prepare_eval
from wsislib.engine.predict import predict_all

__all__ = ["ApResult", "coco_ap", "predict_all"]

IouType = Literal["segm", "bbox"]
# Categories are evaluated independently, so they are taken in parts. Most categories occur in few
# images: small parts spare the evaluator most of its (image, category) pairs, and with 3,000
# categories the gigabytes of COCO's table (10 IoUs x 101 recalls x categories x 4 areas x 3).
_MIN_PART, _MAX_PARTS = 8, 64


@dataclass(frozen=True)
class ApResult:
    """COCO's twelve numbers, each 0..100, NaN where there is nothing to find."""

    per_category: dict[str, float]  # AP by category name
    AP: float  # mean over IoU 0.50, 0.55, ... 0.95
    AP50: float  # at one IoU
    AP75: float
    APS: float  # of objects below 32^2, between, and above 96^2 pixels
    APM: float
    APL: float
    AR1: float  # mean recall with at most so many detections an image
    AR10: float
    AR100: float
    ARS: float  # AR100 by size
    ARM: float
    ARL: float

    def numbers(self) -> dict[str, float]:
        """The twelve numbers by name, in COCO's order."""
        return {field.name: getattr(self, field.name) for field in fields(self)[1:]}


def coco_ap(
    ground_truth: Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
    *,
    categories: Sequence[int] | None = None,
    iou_type: IouType = "segm",
    image_ids: Sequence[int] | None = None,
    most: int = 100,
) -> ApResult:
    """Average precision of `results` against `ground_truth`; neither is changed.

    Args:
        ground_truth: COCO dictionary with images, annotations and categories.
        results: COCO results, see `predict_all`; may be empty.
        categories: indices into `ground_truth["categories"]`; None takes all.
        iou_type: "segm" matches masks, "bbox" boxes.
        image_ids: evaluate these images only; None takes all.
        most: detections of an image and category that count, best score first; AR100 and the AR
            by size are then of so many.

    Raises:
        ValueError: names the entry of either that cannot be evaluated and how to mend it.
    """
    subset = prepare_eval(ground_truth, results, categories, image_ids, iou_type)
    size = max(_MIN_PART, -(-len(subset.categories) // _MAX_PARTS))
    if most < 10:
        raise ValueError(f"most is {most}; AR10 needs 10 detections at least")
    parts = [_evaluate(part, iou_type, most) for part in subset.by_categories(size)]
    numbers = np.concatenate(parts, axis=1)  # (12, C), NaN where undefined
    names = [category["name"] for category in subset.categories]
    return ApResult(dict(zip(names, numbers[0].tolist(), strict=True)), *map(_mean, numbers))


def _evaluate(part: EvalSubset, iou_type: str, most: int) -> npt.NDArray[Any]:
    """(12, C): the twelve numbers of each category of `part`, NaN if undefined."""
    if not part.annotations and not part.results:
        return np.full((12, len(part.categories)), np.nan)
    sides = []
    for document in part.documents():
        sides.append(FastCOCO())
        sides[-1].dataset = document  # unlike loadRes this takes an empty list
        sides[-1].createIndex()
    evaluation = COCOeval_faster(*sides, iou_type, print_function=lambda *progress: None)
    evaluation.rle_iou_max_workers = 1  # handing a pair to a thread costs more than matching it
    evaluation.params.catIds = [category["id"] for category in part.categories]
    evaluation.params.imgIds = [image["id"] for image in part.images]
    evaluation.params.maxDets = [1, 10, most]
    evaluation.evaluate()
    evaluation.accumulate()
    return _by_category(evaluation.eval, part)


def _by_category(table: Mapping[str, Any], subset: EvalSubset) -> npt.NDArray[Any]:
    """(12, C) of AP, AP50, AP75, APS, APM, APL, AR1 ... ARL, in the subset's order."""
    precision = _percent(table["precision"]).mean(axis=1)  # (T, C, areas, limits), over recalls
    recall = _percent(table["recall"])  # (T, C, areas, limits)
    ap = precision[..., 2]  # at most 100 detections
    aps = [ap[:, :, 0].mean(0), ap[0, :, 0], ap[5, :, 0], *(ap[:, :, a].mean(0) for a in (1, 2, 3))]
    ars = [recall[:, :, 0, limit].mean(0) for limit in range(3)]
    ars += [recall[:, :, area, 2].mean(0) for area in (1, 2, 3)]
    # The library sorts the categories by id.
    rank = np.argsort(np.argsort([category["id"] for category in subset.categories]))
    return np.stack([*aps, *ars])[:, rank]


def _percent(table: Any) -> npt.NDArray[Any]:
    """0..1 with -1 for undefined, to 0..100 with NaN."""
    values = np.asarray(table, dtype=np.float64)
    return np.where(values > -1, values * 100, np.nan)


def _mean(values: npt.NDArray[Any]) -> float:
    """Mean of what is defined; NaN where nothing is."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")
