"""Average precision as COCO defines it, over any categories and images.

`coco_ap` is fast (faster-coco-eval); `coco_ap_reference` is COCO's own code (pycocotools), slow
and there to hold the other one to. Definition: cocodataset.org/#detection-eval.

Masks are judged by masks alone: where a result carries a box as well, pycocotools would take the
box's area as the object's and sort it into another of small, medium and large.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from faster_coco_eval import COCO as FastCOCO
from faster_coco_eval import COCOeval_faster
from pycocotools import mask as mask_api
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from wsislib.engine.predict import Result, encode_masks, export_results, predict_all
from wsislib.engine.problem import Problem, mask_code, pose

__all__ = [
    "ApResult",
    "coco_ap",
    "coco_ap_reference",
    "encode_masks",
    "export_results",
    "perfect_results",
    "predict_all",
]

IouType = Literal["segm", "bbox"]
# Categories are judged apart from one another, so they are taken in parts. Most categories occur in
# few images: small parts spare the evaluator most of its (image, category) pairs, and with 3,000
# of them COCO's table (10 IoUs x 101 recalls x categories x 4 areas x 3 limits) its gigabytes.
_LEAST_PART, _MOST_PARTS = 8, 64


@dataclass(frozen=True)
class ApResult:
    """COCO's twelve numbers, each 0..100, NaN where there is nothing to find.

    Attributes:
        per_category: AP by category name.
        AP: mean over IoU 0.50, 0.55, ... 0.95.
        AP50, AP75: at one IoU.
        APS, APM, APL: of objects below 32^2, between, and above 96^2 pixels.
        AR1, AR10, AR100: mean recall with at most so many detections an image.
        ARS, ARM, ARL: AR100 by size.
    """

    per_category: dict[str, float]
    AP: float
    AP50: float
    AP75: float
    APS: float
    APM: float
    APL: float
    AR1: float
    AR10: float
    AR100: float
    ARS: float
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
) -> ApResult:
    """Average precision of `results` against `ground_truth`; neither is changed.

    Args:
        ground_truth: COCO dictionary with images, annotations and categories.
        results: COCO results, see `predict_all`; may be empty.
        categories: indices into `ground_truth["categories"]`; None takes all.
        iou_type: "segm" judges masks, "bbox" boxes.
        image_ids: judge these images only; None takes all.

    Raises:
        ValueError: names the entry of either that cannot be judged and how to mend it.
    """
    problem = pose(ground_truth, results, categories, image_ids, iou_type)
    size = max(_LEAST_PART, -(-len(problem.categories) // _MOST_PARTS))
    parts = [_judge(part, iou_type) for part in problem.by_categories(size)]
    precision = np.concatenate([p for p, _ in parts], axis=1)  # (6, C), NaN where undefined
    recall = np.concatenate([r for _, r in parts], axis=1)  # (6, C)
    numbers = [_mean(row) for row in (*precision, *recall)]
    names = [category["name"] for category in problem.categories]
    return ApResult(dict(zip(names, precision[0].tolist(), strict=True)), *numbers)


def coco_ap_reference(
    ground_truth: Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
    *,
    categories: Sequence[int] | None = None,
    iou_type: IouType = "segm",
    image_ids: Sequence[int] | None = None,
) -> ApResult:
    """As `coco_ap`, by COCO's own code."""
    problem = pose(ground_truth, results, categories, image_ids, iou_type)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(
            _indexed(COCO(), problem.truth()), _indexed(COCO(), problem.found()), iou_type
        )
        evaluation.params.catIds = [category["id"] for category in problem.categories]
        evaluation.params.imgIds = problem.image_ids
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()  # fills stats
    numbers = [float(value) * 100 if value > -1 else float("nan") for value in evaluation.stats]
    precision, _ = _by_category(evaluation.eval, problem)
    names = [category["name"] for category in problem.categories]
    return ApResult(dict(zip(names, precision[0].tolist(), strict=True)), *numbers)


def perfect_results(ground_truth: Mapping[str, Any]) -> list[Result]:
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


def _judge(part: Problem, iou_type: str) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The twelve numbers of each category of `part`, as two (6, C) arrays, NaN if undefined."""
    if not part.annotations and not part.results:
        nothing = np.full((6, len(part.categories)), np.nan)
        return nothing, nothing
    evaluation = COCOeval_faster(
        _indexed(FastCOCO(), part.truth()),
        _indexed(FastCOCO(), part.found()),
        iou_type,
        print_function=_quiet,
    )
    evaluation.rle_iou_max_workers = 1  # handing a pair to a thread costs more than judging it
    evaluation.params.catIds = [category["id"] for category in part.categories]
    evaluation.params.imgIds = part.image_ids
    evaluation.evaluate()
    evaluation.accumulate()
    return _by_category(evaluation.eval, part)


def _by_category(
    table: Mapping[str, Any], problem: Problem
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """(6, C) of AP, AP50, AP75, APS, APM, APL and of AR1 ... ARL, in the problem's order."""
    precision = _percent(table["precision"]).mean(axis=1)  # (T, C, areas, limits), over recalls
    recall = _percent(table["recall"])  # (T, C, areas, limits)
    ap = precision[..., 2]  # at most 100 detections
    aps = [ap[:, :, 0].mean(0), ap[0, :, 0], ap[5, :, 0], *(ap[:, :, a].mean(0) for a in (1, 2, 3))]
    ars = [recall[:, :, 0, limit].mean(0) for limit in range(3)]
    ars += [recall[:, :, area, 2].mean(0) for area in (1, 2, 3)]
    # Both libraries sort the categories by id.
    rank = np.argsort(np.argsort([category["id"] for category in problem.categories]))
    return np.stack(aps)[:, rank], np.stack(ars)[:, rank]


def _percent(table: Any) -> npt.NDArray[Any]:
    """0..1 with -1 for undefined, to 0..100 with NaN."""
    values = np.asarray(table, dtype=np.float64)
    return np.where(values > -1, values * 100, np.nan)


def _mean(values: npt.NDArray[Any]) -> float:
    """Mean of what is defined; NaN where nothing is."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")


def _indexed(coco: Any, dictionary: Mapping[str, Any]) -> Any:
    """An empty COCO object filled with `dictionary`; unlike loadRes it takes an empty list."""
    coco.dataset = dictionary
    coco.createIndex()
    return coco


def _quiet(*message: object) -> None:
    """The fast evaluator reports its progress here."""
