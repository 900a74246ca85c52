"""Labels handed back as predictions score AP 100: loader, truth and evaluator agree."""

from pathlib import Path

import pytest

from tests.engine.coco_reference import coco_ap_reference, perfect_results
from tests.miniatures import coco, voc
from wsislib.data.photographs.coco import CocoDataset
from wsislib.data.photographs.voc import VocDataset
from wsislib.data.rle import encode_mask
from wsislib.data.sample import Dataset
from wsislib.data.transforms import horizontal_flip
from wsislib.engine.evaluate import coco_ap


def from_labels(dataset: Dataset, flip: bool = False) -> list[dict]:
    """COCO results made from the loaded samples, not from the ground truth dictionary."""
    results = []
    for index in range(len(dataset)):
        sample = horizontal_flip(dataset[index]) if flip else dataset[index]
        label = sample.label
        for entry, category in enumerate(label.categories.tolist()):
            x0, y0, x1, y1 = label.boxes[entry].tolist()
            results.append(
                {
                    "image_id": sample.image_id,
                    "category_id": dataset.categories[category].id,
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "score": 0.9,
                    "segmentation": encode_mask(label.masks[entry].numpy()),
                }
            )
    return results


@pytest.fixture(params=["coco", "voc-train", "voc-val", "voc-trainaug"])
def miniature(request: pytest.FixtureRequest, tmp_path: Path) -> Dataset:
    if request.param == "coco":
        path = coco.write(tmp_path)
        return CocoDataset(path, path.parent / "images")
    return VocDataset(voc.write(tmp_path), request.param.removeprefix("voc-"))


@pytest.mark.parametrize("iou_type", ["segm", "bbox"])
def test_perfect_predictions_score_100(miniature: Dataset, iou_type: str) -> None:
    truth = miniature.ground_truth()
    for results in (from_labels(miniature), perfect_results(truth)):
        for judge in (coco_ap, coco_ap_reference):
            found = judge(truth, results, iou_type=iou_type)
            assert pytest.approx(100) == found.AP
            assert pytest.approx(100) == found.AR100
            present = [value for value in found.per_category.values() if value == value]
            assert present
            assert present == pytest.approx([100] * len(present))


def test_mirrored_predictions_do_not(miniature: Dataset) -> None:
    truth = miniature.ground_truth()
    assert coco_ap(truth, from_labels(miniature, flip=True)).AP < 60


def test_real_photographs(coco_mini: Path) -> None:
    dataset = CocoDataset(coco_mini / "val.json", coco_mini / "images")
    truth = dataset.ground_truth()
    assert pytest.approx(100) == coco_ap(truth, from_labels(dataset)).AP
