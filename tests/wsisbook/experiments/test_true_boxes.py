"""Masks and names in true boxes, against numbers worked out by hand and by other code."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from tests.engine.coco_reference import perfect_results
from tests.numeric import close
from wsisbook.experiments.training import mask_iou
from wsisbook.experiments.true_boxes import (
    THRESHOLDS,
    TrueBoxes,
    branches,
    judge_true_boxes,
    places,
    true_regions,
)
from wsislib.data.sample import Detections, LabelKind
from wsislib.data.world import WorldDataset, WorldSpec
from wsislib.engine.evaluate import coco_ap
from wsislib.engine.predict import as_results
from wsislib.labels.datasets import WeakDataset
from wsislib.models.maskrcnn.builders import mask_rcnn_lab
from wsislib.models.maskrcnn.mask_heads import MaskHeads

CPU = torch.device("cpu")
# An untrained mask branch is unsure everywhere: one pixel of a small mask is a thirtieth of it.
THRESHOLD = "in other batches, a pixel whose logit is next to zero may change sides"


@pytest.fixture(scope="module")
def scenes() -> WorldDataset:
    return WorldDataset(WorldSpec(categories=6, frequency_exponent=0.0), seed=1, count=5)


def test_iou_of_masks_is_that_of_sets() -> None:
    generator = np.random.default_rng(0)
    one, other = generator.random((2, 7, 9, 11)) < 0.4
    one[3], other[3], one[4] = False, False, False
    found = mask_iou(torch.from_numpy(one), torch.from_numpy(other)).tolist()
    for value, a, b in zip(found, one, other, strict=True):
        first, second = set(np.flatnonzero(a)), set(np.flatnonzero(b))
        either = first | second
        assert value == pytest.approx(len(first & second) / len(either) if either else 0.0)


def test_quality_is_a_mean_over_categories_not_instances() -> None:
    judged = TrueBoxes([1, 1, 2, 2], [4, 4, 4, 7], [0, 1, 5, 0], {"h": [1.0, 0.7, 0.1, 0.5]})
    own = {"IoU": [(1.0 + 0.7 + 0.1) / 3, 0.5], "AR": [(10 + 5 + 0) / 30, 1 / 10]}
    whole = judged.quality("h")
    for name, values in own.items():
        assert whole[name] == pytest.approx(100 * np.mean(values)), name
        assert judged.quality("h", [7])[name] == pytest.approx(100 * values[1]), name
    assert judged.naming() == pytest.approx(100 * (1 / 3 + 1) / 2)
    assert judged.naming([4], first=2) == pytest.approx(100 * 2 / 3)
    assert judged.counts() == {"instances": 4, "categories": 2}
    assert judged.counts([7, 8]) == {"instances": 1, "categories": 1}
    assert math.isnan(judged.quality("h", [8])["IoU"]) and math.isnan(judged.naming([8]))
    assert judged.table().columns.tolist() == ["image_id", "category", "place", "IoU.h"]
    assert len(THRESHOLDS) == 10 and THRESHOLDS[1] == pytest.approx(0.55)


def test_it_paints_what_the_model_paints_in_these_boxes(scenes: WorldDataset) -> None:
    """One image at a time and by the model's own mask branch, with no code in common."""
    torch.manual_seed(0)
    model = mask_rcnn_lab(6).eval()
    judged = judge_true_boxes(model, scenes, device=CPU, batch_size=3, progress=False)
    expected, ids = [], []
    for index in range(len(scenes)):
        sample = scenes[index]
        with torch.inference_mode():
            batch, (target,) = model.transform(
                [sample.image], [{"boxes": sample.label.boxes, "labels": torch.tensor([1])}]
            )
            features = model.backbone(batch.tensors)
            boxes, labels = [target["boxes"]], sample.label.categories + 1
            logits = model.mask(features, boxes, batch.image_sizes, labels)
            entry = {
                "boxes": target["boxes"],
                "scores": torch.ones(len(labels)),
                "labels": labels,
                "masks": logits.sigmoid()[:, None],
            }
            (painted,) = model.transform.postprocess([entry], batch.image_sizes, [(96, 96)])
        expected += mask_iou(painted["masks"][:, 0] > 0.5, sample.label.masks).tolist()
        ids += [sample.image_id] * len(sample.label)
    assert judged.image_ids == ids
    close(judged.iou["mask"], expected, THRESHOLD, rtol=0, atol=0.03)
    assert max(expected) > 0


def test_average_recall_is_cocos(scenes: WorldDataset) -> None:
    """Results in true boxes under their true names, each category once an image at most."""
    torch.manual_seed(0)
    model = mask_rcnn_lab(6)
    nn.init.constant_(model.mask.predictor.bias, 0.01)  # so that masks are neither all nor nothing
    # Where two objects of an image are alike, COCO may match either one's mask with the other.
    labels = [scenes[i].label.categories.tolist() for i in range(len(scenes))]
    plain = [i for i, own in enumerate(labels) if len(set(own)) == len(own) > 0]
    assert len(plain) > 1
    data = WorldDataset(scenes.world.spec, seed=1, count=5, indices=plain)
    judged = judge_true_boxes(model, data, device=CPU, progress=False)
    truth, results = data.ground_truth(), []
    for sample in (data[i] for i in range(len(data))):
        with torch.inference_mode():
            found = true_regions(model, [sample])
            pooled = model.mask.pool(found.features, found.boxes, found.sizes)
            (own,) = model.paste_masks(found, model.mask.logits(pooled, found.labels[0]))
        kept = Detections(own.boxes, own.scores, sample.label.categories, own.masks)
        results += as_results(kept, sample.image_id, scenes.categories)
    close(judged.quality("mask")["AR"], coco_ap(truth, results).AR100, THRESHOLD, atol=2.0)
    assert coco_ap(truth, perfect_results(truth)).AR100 == 100


def test_places_count_the_categories_before_the_true_one(scenes: WorldDataset) -> None:
    model = mask_rcnn_lab(6).eval()
    predictor = model.roi.box_predictor
    nn.init.zeros_(predictor.cls_score.weight)
    order = [3, 5, 0, 1, 4, 2]  # categories, best first
    with torch.no_grad():
        predictor.cls_score.bias[0] = 100.0  # background is no category
        predictor.cls_score.bias[torch.tensor(order) + 1] = torch.arange(6.0, 0, -1)
    with torch.inference_mode():
        found = true_regions(model, [scenes[0], scenes[1]])
        seen = places(model, found).tolist()
    assert seen == [order.index(c - 1) for c in torch.cat(found.labels).tolist()]
    judged = judge_true_boxes(model, scenes, device=CPU, progress=False)
    assert judged.places == [order.index(c) for c in judged.categories]


def test_heads_side_by_side_and_examples(scenes: WorldDataset) -> None:
    detector = mask_rcnn_lab(6)
    heads = {f"h{seed}": mask_rcnn_lab(6, "class-specific", seed).mask for seed in range(2)}
    model = MaskHeads(detector, heads, dict.fromkeys(heads, torch.ones(6)))
    chosen = next(i for i in range(len(scenes)) if len(scenes[i].label) > 1)
    image_id, label = scenes.image_ids[chosen], scenes[chosen].label
    asked = {image_id: [1, 0]}
    judged = judge_true_boxes(model, scenes, device=CPU, examples=asked, progress=False)
    assert list(branches(model)) == ["h0", "h1"] and branches(detector) == {"mask": detector.mask}
    for name in heads:
        alone = judge_true_boxes(model.single(name), scenes, device=CPU, progress=False)
        assert alone.iou["mask"] == pytest.approx(judged.iou[name])
    assert [(e["head"], e["image_id"]) for e in judged.examples] == [
        (name, image_id) for name in ("h0", "h0", "h1", "h1")
    ]
    first = judged.image_ids.index(image_id)
    for example, place in zip(judged.examples, [1, 0, 1, 0], strict=True):
        assert example["category_id"] == scenes.categories[label.categories[place]].id
        x, y, w, h = example["bbox"]
        assert [x, y, x + w, y + h] == pytest.approx(label.boxes[place].tolist(), abs=0.05)
        own = judged.iou[example["head"]][first + place]
        assert example["iou"] == pytest.approx(own, abs=1e-3) and example["given"] == "box"


def test_data_without_masks_are_refused(scenes: WorldDataset) -> None:
    boxes = WeakDataset(scenes, [LabelKind.BOX] * len(scenes), seed=0)
    with pytest.raises(ValueError, match="image 1: masks in true boxes .* of kind BOX"):
        judge_true_boxes(mask_rcnn_lab(6), boxes, device=CPU, progress=False)


def test_images_without_objects_are_passed_over(scenes: WorldDataset) -> None:
    class Emptied:
        categories, image_ids = scenes.categories, scenes.image_ids

        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int):
            from dataclasses import replace

            sample = scenes[index]
            if index:
                return sample
            label = sample.label
            nothing = replace(
                label, categories=label.categories[:0], boxes=label.boxes[:0], masks=label.masks[:0]
            )
            return replace(sample, label=nothing)

    judged = judge_true_boxes(mask_rcnn_lab(6), Emptied(), device=CPU, progress=False)
    assert set(judged.image_ids) == {scenes.image_ids[1]}
