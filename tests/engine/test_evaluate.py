"""The fast evaluator says what COCO's own code says, whatever the data look like."""

import copy
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.coco_reference import coco_ap_reference, perfect_results
from wsislib.engine.evaluate import ApResult, coco_ap
from wsislib.engine.predict import encode_masks

SIDE = 130  # large enough for all three sizes


def scene(seed: int, images: int = 12, categories: int = 5) -> tuple[dict, list[dict]]:
    """Truth of every kind (crowds, polygons, empty images and categories) and noisy results."""
    rng = np.random.default_rng(seed)
    truth: dict = {
        "images": [{"id": 7 * i + 2, "height": SIDE, "width": SIDE} for i in range(images)],
        "categories": [
            {"id": i, "name": f"c{i}"} for i in rng.permutation(20)[:categories].tolist()
        ],
        "annotations": [],
    }
    results: list[dict] = []
    ids = [category["id"] for category in truth["categories"]]
    for image in truth["images"][1:]:  # the first has no annotation
        for _ in range(rng.integers(0, 5)):
            x, y = rng.integers(0, SIDE - 12, 2).tolist()
            w, h = (
                min(int(s), SIDE - c) for s, c in zip(rng.integers(4, 120, 2), (x, y), strict=True)
            )
            category = int(rng.choice(ids[1:]))  # the first category has no instance
            crowd = int(rng.random() < 0.15)
            polygon = not crowd and rng.random() < 0.5
            annotation = {
                "id": len(truth["annotations"]) + 1,
                "image_id": image["id"],
                "category_id": category,
                "bbox": [x, y, w, h],
                "area": w * h,
                "iscrowd": crowd,
                "segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]]
                if polygon
                else rectangle(x, y, w, h),
            }
            truth["annotations"].append(annotation)
            for _ in range(rng.integers(0, 4)):
                dx, dy = rng.integers(-3, 4, 2).tolist()
                x2, y2 = max(0, x + dx), max(0, y + dy)
                results.append(result(image["id"], category, x2, y2, w, h, rng))
        for _ in range(rng.integers(0, 3)):
            w, h = rng.integers(3, 60, 2).tolist()
            results.append(result(image["id"], int(rng.choice(ids)), 5, 5, w, h, rng))
    return truth, results


def rectangle(x: int, y: int, w: int, h: int) -> dict:
    mask = torch.zeros(1, SIDE, SIDE, dtype=torch.bool)
    mask[0, y : y + h, x : x + w] = True
    return encode_masks(mask)[0]


def result(image: int, category: int, x: int, y: int, w: int, h: int, rng) -> dict:  # type: ignore[no-untyped-def]
    return {
        "image_id": image,
        "category_id": category,
        "bbox": [x, y, w + 0.5, h],  # not the mask's area: masks are judged without boxes
        "score": round(float(rng.random()), 1),  # with ties
        "segmentation": rectangle(x, y, w, h),
    }


def assert_equal(ours: ApResult, theirs: ApResult) -> None:
    assert ours.numbers() == pytest.approx(theirs.numbers(), abs=1e-9, nan_ok=True)
    assert ours.per_category == pytest.approx(theirs.per_category, abs=1e-9, nan_ok=True)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6), iou_type=st.sampled_from(["segm", "bbox"]))
def test_equals_pycocotools(seed: int, iou_type: str) -> None:
    truth, results = scene(seed)
    before = copy.deepcopy((truth, results))
    some = {"categories": [4, 0, 2], "image_ids": [i["id"] for i in truth["images"][:7]]}
    for choice in ({}, {"categories": some["categories"]}, {"image_ids": some["image_ids"]}, some):
        assert_equal(
            coco_ap(truth, results, iou_type=iou_type, **choice),  # type: ignore[arg-type]
            coco_ap_reference(truth, results, iou_type=iou_type, **choice),  # type: ignore[arg-type]
        )
    assert (truth, results) == before


def test_numbers_are_not_all_alike() -> None:
    numbers = coco_ap(*scene(3, images=40)).numbers()
    assert len(set(numbers.values())) > 8
    assert 5 < numbers["AP"] < 95


@pytest.mark.parametrize("iou_type", ["segm", "bbox"])
def test_no_results_at_all(iou_type: str) -> None:
    truth, _ = scene(1)
    ours = coco_ap(truth, [], iou_type=iou_type)  # type: ignore[arg-type]
    assert_equal(ours, coco_ap_reference(truth, [], iou_type=iou_type))  # type: ignore[arg-type]
    assert ours.AP == 0
    assert math.isnan(next(iter(ours.per_category.values())))


def test_nothing_to_find_is_nan() -> None:
    truth, results = scene(1)
    assert all(math.isnan(v) for v in coco_ap(truth, results, categories=[0]).numbers().values())
    truth["annotations"] = []
    assert all(math.isnan(v) for v in coco_ap(truth, []).numbers().values())
    assert_equal(coco_ap(truth, results), coco_ap_reference(truth, results))


@pytest.mark.parametrize("iou_type", ["segm", "bbox"])
def test_perfect_results_score_100(iou_type: str) -> None:
    truth, _ = scene(5, images=30)
    perfect = perfect_results(truth)
    for choice in (None, [2], [1, 3]):
        numbers = coco_ap(truth, perfect, categories=choice, iou_type=iou_type)  # type: ignore[arg-type]
        assert abs(numbers.AP - 100) + abs(numbers.AR100 - 100) < 1e-9
        assert {round(v, 6) for v in numbers.per_category.values() if not math.isnan(v)} == {100}


def test_thousands_of_categories_in_parts() -> None:
    truth, results = scene(2, images=30)
    extra = [{"id": 100 + i, "name": f"extra {i}"} for i in range(3000)]
    wide = {**truth, "categories": extra[:1500] + truth["categories"] + extra[1500:]}
    ours = coco_ap(wide, results)
    assert ours.numbers() == pytest.approx(coco_ap(truth, results).numbers(), nan_ok=True)
    assert len(ours.per_category) == 3005


def test_area_and_iscrowd_may_be_missing() -> None:
    truth, results = scene(4)
    truth["annotations"] = [a for a in truth["annotations"] if not a["iscrowd"]]
    bare = copy.deepcopy(truth)
    for annotation in bare["annotations"]:
        del annotation["iscrowd"], annotation["area"]
    assert_equal(coco_ap(bare, results), coco_ap(truth, results))


def test_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    truth, results = scene(0)
    coco_ap(truth, results)
    coco_ap_reference(truth, results)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, r: t["annotations"][0].update(id=0), "number annotations from 1"),
        (lambda t, r: r[0].update(image_id=99999), "image_id 99999 is not in the ground truth"),
        (lambda t, r: r[0].update(category_id=77), "category_id 77 is not in the ground truth"),
        (lambda t, r: r[1].pop("score"), "result 1 of image .* has no score"),
        (lambda t, r: r[0]["segmentation"].update(counts=[1, 2]), "not a compressed run-length"),
        (lambda t, r: r[0].update(segmentation=[[1, 1, 5, 1, 5, 5]]), "not a compressed run-len"),
        (lambda t, r: r[2].pop("segmentation"), "result 2 of image .* has no segmentation"),
    ],
)
def test_what_cannot_be_judged_is_named(change, message: str) -> None:  # type: ignore[no-untyped-def]
    truth, results = scene(6)
    change(truth, results)
    with pytest.raises(ValueError, match=message):
        coco_ap(truth, results)


def test_wrong_choices_are_refused() -> None:
    truth, results = scene(6)
    for choice in ([], [5], [-1], [1, 1]):
        with pytest.raises(ValueError, match=r"indices 0\.\.4"):
            coco_ap(truth, results, categories=choice)
    for images in ([], [3]):
        with pytest.raises(ValueError, match="images to evaluate"):
            coco_ap(truth, results, image_ids=images)
    with pytest.raises(ValueError, match="iou_type"):
        coco_ap(truth, results, iou_type="mask")  # type: ignore[arg-type]


def test_results_are_ready_for_json() -> None:
    truth, results = scene(8)
    assert_equal(coco_ap(truth, json.loads(json.dumps(results))), coco_ap(truth, results))
