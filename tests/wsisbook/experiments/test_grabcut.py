"""GrabCut's two baselines as runs: boxes segmented, and masks trained on."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.engine.coco_reference import perfect_results
from wsisbook.experiments.grabcut import DetectedBoxes, run_grabcut, segmented
from wsisbook.experiments.mask_rcnn import labelled_data
from wsisbook.experiments.partial_data import chosen_split, data_sets
from wsisbook.experiments.settings import GRABCUT, MASK_RCNN, GrabCutConfig, MaskRcnnConfig
from wsisbook.runs.config import config_from
from wsisbook.runs.experiments import Context
from wsisbook.runs.run import execute
from wsisbook.runs.spec import load_study
from wsislib.data.rle import decode_segmentation
from wsislib.data.world import WorldDataset, WorldSpec
from wsislib.labels import grabcut
from wsislib.labels.grabcut import grabcut_mask

STUDY = """
experiments:
  grabcut: wsisbook.experiments.settings:GRABCUT
  mask_rcnn: wsisbook.experiments.settings:MASK_RCNN
scales:
  smoke: {seeds: [0]}
tables:
  detectors:
    title: Detectors
    experiment: mask_rcnn
    columns: {AP: {metric: bbox.all.AP, title: AP}}
    settings: {stage: detector, masks: none}
    scales:
      smoke: &smoke
        {categories: 6, a_count: 3, train_count: 4, val_count: 2, steps: 1, batch_size: 2,
         learning_rate: 0.001, precision: float32, log_every: 1}
    rows:
      shared: {title: detector}
  table-2:
    title: Table 2
    experiment: mask_rcnn
    columns: {AP: {metric: segm.B.AP, title: AP}}
    scales: {smoke: *smoke}
    rows:
      tested:
        title: Faster R-CNN tested with GrabCut
        experiment: grabcut
        needs: {detector: {table: detectors, row: shared}}
        change: {steps: 0}
      trained:
        title: Mask R-CNN trained with GrabCut masks
        needs: {detector: {table: detectors, row: shared}}
        change: {warm_start: true, masks: grabcut}
"""
SMALL = {"categories": 6, "a_count": 3, "train_count": 4, "val_count": 2}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A study whose detector is trained once for all tests here; the current folder."""
    folder = tmp_path_factory.mktemp("grabcut")
    (folder / "book").mkdir()
    (folder / "book" / "study.yml").write_text(STUDY, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


def run(root: Path, row: str, table: str = "table-2") -> Path:
    """The folder of a run, which is done if it was not."""
    study = load_study(root / "book" / "study.yml")
    return execute(
        table, row, 0, "smoke", root / "results", study=study, device="cpu", progress=False
    ).folder


def read(folder: Path, name: str) -> dict:
    return json.loads((folder / name).read_text(encoding="utf-8"))


def test_boxes_are_the_detectors_and_masks_grabcuts(root: Path) -> None:
    folder = run(root, "tested")
    metrics = read(folder, "metrics.json")
    detector = read(run(root, "shared", "detectors"), "metrics.json")
    assert metrics["bbox"] == detector["bbox"]
    assert set(metrics["segm"]) == {"A", "B", "all"}
    for kind in ("segm", "bbox"):
        assert metrics["reversed"][kind]["A"] == metrics[kind]["B"]
        assert metrics["reversed"][kind]["B"] == metrics[kind]["A"]
        assert len(metrics["per_category"][kind]) == 6
    examples = json.loads((folder / "examples.json").read_text(encoding="utf-8"))
    assert examples and read(folder, "environment.json")["notes"]["masks"] >= len(examples)
    val = WorldDataset(WorldSpec(6), seed=_config().val_seed, count=2)
    for example in examples[:5]:
        image = val.image(val.image_ids.index(example["image_id"]))
        x, y, w, h = (np.float32(value) for value in example["bbox"])
        mask = decode_segmentation(example["segmentation"], 96, 96)
        assert np.array_equal(mask, grabcut_mask(image, (x, y, x + w, y + h)))


def test_training_takes_masks_that_were_made_once(root: Path) -> None:
    first = run(root, "trained")
    assert set(read(first, "metrics.json")["segm"]) == {"A", "B", "all"}
    assert "reversed" in read(first, "metrics.json"), "it knows no split"
    (kept,) = (root / "build" / "grabcut").glob("*/about.json")
    made = {path: path.stat().st_mtime_ns for path in kept.parent.glob("??/*.masks.gz")}
    assert len(made) == SMALL["train_count"]
    config = config_from(MaskRcnnConfig, {**SMALL, "masks": "grabcut"}, "row")
    train, _ = data_sets(config)
    labelled = labelled_data(config, train, chosen_split(config, 6), progress=False)
    assert {path: path.stat().st_mtime_ns for path in kept.parent.glob("??/*.masks.gz")} == made
    assert read(first, "environment.json")["data"]["train"] == labelled.fingerprint()
    assert labelled.fingerprint().startswith(kept.parent.name)
    assert read(first, "params.json")["parts"]["grabcut"]
    label, true = labelled[0].label, train[0].label
    assert label.has_mask.all() and torch.equal(label.boxes, true.boxes)
    assert not torch.equal(label.masks, true.masks)


def test_perfect_boxes_are_painted_in_their_order(tmp_path: Path) -> None:
    world = WorldDataset(WorldSpec(6), seed=5, count=4)
    truth = world.ground_truth()
    results = perfect_results(truth)[::-1]  # images backwards
    context = Context(_config(workers=0), 0, tmp_path, progress=False)
    found = segmented(world, results, context)
    assert [r["image_id"] for r in found] == sorted(r["image_id"] for r in results)
    by_box = {(r["image_id"], *r["bbox"]): r for r in results}
    for result in found:
        own = by_box[(result["image_id"], *result["bbox"])]
        assert (result["category_id"], result["score"]) == (own["category_id"], own["score"])
        x, y, w, h = result["bbox"]
        wanted = grabcut_mask(world.image(result["image_id"] - 1), (x, y, x + w, y + h))
        assert np.array_equal(decode_segmentation(result["segmentation"], 96, 96), wanted)
    assert segmented(world, [], context) == []


def test_detected_boxes_are_labels_and_known_by_what_was_found() -> None:
    world = WorldDataset(WorldSpec(6), seed=5, count=2)
    results = perfect_results(world.ground_truth())
    boxes = DetectedBoxes(world, results)
    for index in range(2):
        label, true = boxes[index].check(6).label, world[index].label
        assert label.masks is None
        assert torch.equal(label.categories, true.categories)
        assert torch.equal(label.boxes, true.boxes)
    moved = [{**results[0], "bbox": [1.0, 1.0, 3.0, 3.0]}, *results[1:]]
    prints = [DetectedBoxes(world, r).fingerprint() for r in (results, moved, results[1:])]
    assert len(set(prints)) == 3
    assert boxes.ground_truth() == world.ground_truth()


def test_wrong_settings_and_a_missing_detector_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="declare the run that trains it as `detector`"):
        run_grabcut(Context(_config(), 0, tmp_path, "cpu", {}, False))
    with pytest.raises(ValueError, match="row: GrabCut wants iterations >= 1"):
        config_from(GrabCutConfig, {"iterations": 0}, "row")
    with pytest.raises(ValueError, match="unknown value 'grabcuts'; did you mean 'grabcut'"):
        config_from(MaskRcnnConfig, {"masks": "grabcuts"}, "row")


def test_the_parts_and_defaults_of_both_rows() -> None:
    assert "grabcut" in GRABCUT.parts(GrabCutConfig())
    assert "grabcut" in MASK_RCNN.parts(MaskRcnnConfig(masks="grabcut"))
    assert "grabcut" not in MASK_RCNN.parts(MaskRcnnConfig())
    config = GrabCutConfig()
    assert (config.iterations, config.margin) == (grabcut.ITERATIONS, grabcut.MARGIN)


def _config(**settings) -> GrabCutConfig:
    return config_from(GrabCutConfig, {**SMALL, **settings}, "row")
