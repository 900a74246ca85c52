"""Thousands of categories as runs: the detector, the heads over it, surgery, what is measured."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

from wsisbook.experiments.large import QUARTERS, gallery, groups_without_masks
from wsisbook.experiments.mask_rcnn import run_mask_rcnn
from wsisbook.experiments.partial_data import chosen_split, data_sets
from wsisbook.experiments.settings import (
    LARGE_DETECTOR,
    LARGE_HEADS,
    LargeDetectorConfig,
    LargeHeadsConfig,
    MaskRcnnConfig,
)
from wsisbook.plan.dry_run_data import write_coco, write_genome
from wsisbook.runs.config import config_from
from wsisbook.runs.experiments import Context, Outcome

TRAIN = {"steps": 1, "batch_size": 2, "optimiser": "adamw", "learning_rate": 0.001,
         "precision": "float32", "log_every": 1}  # fmt: skip
WORLD = {"categories": 90, "a_count": 9, "train_count": 4, "val_count": 4, "split": "frequent",
         "score_threshold": 0.012, "detections": 7, **TRAIN}  # fmt: skip
HEADS = {"agnostic": {}, "clsbox": {"kind": "transfer", "mlp_layers": 1},
         "oracle": {"kind": "class-specific", "masks": "all"}}  # fmt: skip


def keep(outcome: Outcome, folder: Path, settings: dict) -> Path:
    """Lay the outcome's files as the store would."""
    (folder / "params.json").write_text(json.dumps({"settings": settings}))
    for name, file in outcome.weights.items():
        target = folder / "checkpoints" / name
        target.parent.mkdir(exist_ok=True)
        if file != target:
            target.write_bytes(file.read_bytes())
    return folder


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict]:
    """Folders of a detector of 6 categories and of one of 90 that began with it; its metrics."""
    small, large = (tmp_path_factory.mktemp(name) for name in ("small", "large"))
    start = {"categories": 6, "a_count": 3, "train_count": 4, "val_count": 2, "stage": "detector",
             "masks": "none", **TRAIN}  # fmt: skip
    config = config_from(MaskRcnnConfig, start, "start")
    keep(run_mask_rcnn(Context(config, 0, small, "cpu", {}, False)), small, start)
    still = {**WORLD, "optimiser": "sgd", "learning_rate": 1e-9, "weight_decay": 0.0}
    config = config_from(LargeDetectorConfig, still, "row")
    outcome = LARGE_DETECTOR.run(Context(config, 0, large, "cpu", {"start": small}, False))
    return small, keep(outcome, large, WORLD), dict(outcome.metrics)


def test_a_detector_begins_with_all_weights_but_those_of_categories(detector) -> None:
    small, large, metrics = detector
    before, after = (load_file(f / "checkpoints" / "final.safetensors") for f in (small, large))
    kept = [n for n, v in before.items() if v.is_floating_point() and "running" not in n]
    for name in kept:
        if not name.startswith(("mask.", "roi.box_predictor.")):
            assert (before[name] - after[name]).abs().max() < 1e-5, name
    assert after["roi.box_predictor.cls_score.weight"].shape[0] == 91
    assert set(metrics) == {"bbox"} and set(metrics["bbox"]) == {"A", "B", "all"}


@pytest.fixture(scope="module")
def outcome(detector, tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, LargeHeadsConfig]:
    config = config_from(LargeHeadsConfig, {**WORLD, "heads": HEADS, "gallery": 2}, "row")
    folder = tmp_path_factory.mktemp("heads")
    needs = {"detector": detector[1]}
    return LARGE_HEADS.run(Context(config, 0, folder, "cpu", needs, False)), config


def test_heads_are_judged_on_detections_and_in_true_boxes(outcome) -> None:
    found, config = outcome
    assert set(found.metrics) == {*HEADS, "naming", "judged"}
    table = pd.read_csv(found.files["true_boxes.csv"])
    split = chosen_split(config, 90)
    for head in HEADS:
        own = found.metrics[head]
        assert set(own) == {"segm", "bbox", "true_boxes", "groups"}
        for side, members in (("A", split.a), ("B", split.b)):
            rows = table[table["category"].isin(members)]
            mean = rows.groupby("category")[f"IoU.{head}"].mean().mean()
            assert own["true_boxes"][side]["IoU"] == pytest.approx(100 * mean, abs=0.06)
            assert found.metrics["judged"][side] == {
                "instances": len(rows), "categories": rows["category"].nunique(),
            }  # fmt: skip
    first = (table["place"] == 0).groupby(table["category"]).mean().mean()
    assert found.metrics["naming"]["all"]["first"] == pytest.approx(100 * first)
    assert found.metrics["clsbox"]["bbox"] == found.metrics["oracle"]["bbox"]


def test_groups_of_b_are_judged_too(outcome) -> None:
    found, config = outcome
    groups = groups_without_masks(config, chosen_split(config, 90))
    assert set(found.metrics["agnostic"]["groups"]) == set(groups)
    table = pd.read_csv(found.files["true_boxes.csv"])
    for name, members in groups.items():
        rows = table[table["category"].isin(members)]
        counts = found.metrics["judged"][name]
        assert counts == {"instances": len(rows), "categories": rows["category"].nunique()}
        mean = 100 * rows.groupby("category")["IoU.clsbox"].mean().mean()
        own = found.metrics["clsbox"]["groups"][name]["IoU"]
        assert own == pytest.approx(mean, abs=0.06, nan_ok=True)


def test_groups_part_b_by_distance_and_by_frequency() -> None:
    config = config_from(LargeHeadsConfig, WORLD, "row")
    split = chosen_split(config, 90)
    groups = groups_without_masks(config, split)
    near = [name for name in groups if name.startswith("distance-")]
    for names in (near, QUARTERS):
        assert sorted(c for name in names for c in groups[name]) == list(split.b)
    from wsislib.data.world import World, WorldSpec

    world = World(WorldSpec(90))
    for name in near:
        for category in groups[name]:
            nearest = min(world.distance(category, a) for a in split.a)
            assert name == f"distance-{nearest}"
    ends = [world.table.frequency[groups[name]] for name in QUARTERS]
    for rarer, commoner in zip(ends, ends[1:], strict=False):
        assert max(rarer) <= min(commoner)


def test_the_gallery_holds_first_instances_whatever_their_masks(outcome) -> None:
    found, config = outcome
    examples = [e for e in found.examples if e.get("given") == "box"]
    assert {e["head"] for e in examples} == set(HEADS)
    val, split = data_sets(config)[1], chosen_split(config, 90)
    groups = groups_without_masks(config, split)
    chosen = gallery(val, groups, config.gallery)
    taken = [val[i - 1].label.categories[p].item() for i, own in chosen.items() for p in own]
    assert len(set(taken)) == len(taken) and not set(taken) & set(split.a)
    shown = [(e["image_id"], e["category_id"] - 1) for e in examples if e["head"] == "agnostic"]
    assert sorted(c for _, c in shown) == sorted(taken)
    for name, members in groups.items():
        if name.startswith("distance-"):
            assert len(set(taken) & set(members)) <= 2


def test_detections_are_chosen_as_the_settings_say(detector, tmp_path: Path) -> None:
    from wsisbook.experiments.large import set_test
    from wsislib.data.sample import Detections
    from wsislib.models.maskrcnn.builders import mask_rcnn_lab

    model = mask_rcnn_lab(90).eval()
    image = data_sets(config_from(LargeHeadsConfig, WORLD, "row"))[1][0].image
    set_test(model, 0.0, 7)
    (found,) = model.predict([image])
    assert isinstance(found, Detections) and len(found) == 7
    set_test(model, 0.5, 7)
    assert len(model.predict([image])[0]) == 0


GENOME = {
    "data": "visual-genome", "genome": "vg", "genome_test_count": 1, "categories": 90,
    "train_annotations": "train.json", "train_images": "train", "val_annotations": "val.json",
    "split": "first", "a_count": 80, **TRAIN,
}  # fmt: skip


@pytest.fixture
def genome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WSIS_DATA", str(tmp_path))
    write_coco(tmp_path / "train.json", tmp_path / "train", 2, seed=0)
    write_coco(tmp_path / "val.json", tmp_path / "val", 1, seed=1)
    write_genome(tmp_path / "vg", images=2, coco_val_ids=[1], listed=90, tests=1)
    return tmp_path


def test_two_stages_and_two_surgeries_on_visual_genome(genome: Path) -> None:
    config = config_from(LargeDetectorConfig, GENOME, "row")
    first = genome / "detector"
    trained = LARGE_DETECTOR.run(Context(config, 0, first, "cpu", {}, False))
    keep(trained, first, GENOME)
    whole = load_file(first / "checkpoints" / "final.safetensors")
    name = "roi.box_predictor.cls_score.weight"
    assert whole[name].shape[0] == 92, "90 listed synsets, COCO's rare one, and background"

    heads = {"agnostic": {}, "maskx": {"kind": "transfer", "mlp_layers": 1}}
    config = config_from(LargeHeadsConfig, {**GENOME, "heads": heads}, "row")
    second = genome / "heads"
    found = LARGE_HEADS.run(Context(config, 0, second, "cpu", {"detector": first}, False))
    cut = load_file(second / "checkpoints" / "final.safetensors")
    restored = load_file(found.weights["final.safetensors"])
    assert cut[name].shape[0] == 81 and (cut[name] == whole[name][:81]).all()
    assert (restored[name] == whole[name]).all()
    mine = "heads.maskx.predictor.transfer.layers.0.weight"
    assert (restored[mine] == cut[mine]).all()
    assert set(found.metrics["maskx"]["bbox"]) == {"A", "B", "all"}
    assert set(found.files) == {"history.csv"}, "there are no masks to judge by"
    assert LARGE_HEADS.parts(config)[0] == "visual-genome" and "coco" in LARGE_HEADS.parts(config)
    with pytest.raises(ValueError, match="split 'first' with a_count 80 and heads with masks of A"):
        wrong = replace(config, heads={**heads, "all": {"masks": "all"}})
        LARGE_HEADS.run(Context(wrong, 0, genome / "wrong", "cpu", {"detector": first}, False))


def test_wrong_settings_are_named() -> None:
    with pytest.raises(ValueError, match="row: score_threshold is 1.0; it must be 0 or more"):
        config_from(LargeDetectorConfig, {"score_threshold": 1.0}, "row")
    with pytest.raises(ValueError, match="row: detections is 0; at least 1"):
        config_from(LargeHeadsConfig, {"detections": 0}, "row")
    with pytest.raises(ValueError, match="row: large_detector trains a detector from boxes alone"):
        config_from(LargeDetectorConfig, {"masks": "A"}, "row")
    with pytest.raises(ValueError, match="heads.a: heads share the run's split here"):
        config_from(LargeHeadsConfig, {"heads": {"a": {"a_count": 3}}}, "row")
    with pytest.raises(ValueError, match="no mask head is given"):
        LARGE_HEADS.run(Context(LargeHeadsConfig(), 0, Path(), "cpu", {}, False))


def test_scenes_that_are_seen_once_are_not_kept() -> None:
    settings = {**WORLD, "train_count": 2, "steps": 1}
    once = data_sets(config_from(LargeDetectorConfig, settings, "row"))[0]
    again = data_sets(config_from(LargeDetectorConfig, {**settings, "steps": 2}, "row"))[0]
    for data, kept in ((once, False), (again, True)):
        assert np.array_equal(data.image(1), data.image(1))
        assert (data.image(1) is data.image(1)) == kept
