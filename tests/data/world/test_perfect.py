"""The world's own truth, handed in as predictions, scores 100."""

import pytest

from tests.engine.coco_reference import perfect_results
from wsislib.data.world import WorldDataset, WorldSpec
from wsislib.engine.evaluate import coco_ap


@pytest.mark.parametrize("categories", [5, 80])
def test_perfect_predictions_score_100(categories):
    truth = WorldDataset(WorldSpec(categories=categories), seed=3, count=120).ground_truth()
    results = perfect_results(truth)
    assert len(results) > 256, "beyond what pycocotools counts in 8 bits"
    for kind in ("segm", "bbox"):
        found = coco_ap(truth, results, iou_type=kind)
        assert pytest.approx(100) == found.AP and pytest.approx(100) == found.AP75
    side = coco_ap(truth, results, categories=[0, 2, 4])
    assert pytest.approx(100) == side.AP and len(side.per_category) == 3
