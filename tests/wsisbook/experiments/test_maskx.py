"""Mask^X R-CNN end to end as a run."""

import math
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from tests.numeric import close
from wsisbook.experiments.mask_rcnn import build_maskx, run_mask_rcnn
from wsisbook.experiments.partial_data import data_sets
from wsisbook.experiments.settings import MASKX, MaskRcnnConfig, MaskXConfig
from wsisbook.runs.config import config_from
from wsisbook.runs.experiments import Context

SMOKE = {
    "categories": 6, "a_count": 3, "train_count": 8, "val_count": 2, "steps": 2, "batch_size": 4,
    "learning_rate": 0.001, "precision": "float32", "log_every": 1,
}  # fmt: skip
DETECTION = ["loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg"]


def test_a_run_trains_everything_at_once_and_is_judged_on_both_sides(tmp_path: Path) -> None:
    config = config_from(MaskXConfig, {**SMOKE, "stop_gradient": False}, "row")
    outcome = MASKX.run(Context(config, 1, tmp_path / "maskx", "cpu", {}, False))
    assert set(outcome.metrics["segm"]) == {"A", "B", "all"}
    assert len(outcome.notes["split"]["a"]) == 3
    assert set(outcome.weights) == {"final.safetensors", "final.json"}
    plain = config_from(MaskRcnnConfig, SMOKE, "row")
    run_mask_rcnn(Context(plain, 1, tmp_path / "plain", "cpu", {}, False))
    one, other = (pd.read_csv(tmp_path / name / "history.csv") for name in ("maskx", "plain"))
    first, baseline = one.iloc[0], other.iloc[0]
    # The same start on the same images: only the masks differ before the first step.
    assert [first[name] for name in DETECTION] == [baseline[name] for name in DETECTION]
    assert first["loss_mask"] != baseline["loss_mask"] and math.isfinite(first["loss_mask"])
    assert one.iloc[1]["loss_classifier"] != other.iloc[1]["loss_classifier"]


def test_settings_reach_the_model() -> None:
    settings = {**SMOKE, "layers": 3, "activation": "relu", "mlp_layers": 2}
    config = config_from(MaskXConfig, {**settings, "inputs": "embedding"}, "row")
    train, _ = data_sets(config)
    model = build_maskx(config, train, seed=2)
    predictor, mlp = model.mask.predictor, model.mask.mlp
    assert (len(predictor.transfer.layers), predictor.transfer.slope, len(mlp.layers)) == (3, 0, 2)
    assert predictor.rows().shape == (7, 64) and predictor.stop_gradient
    again = build_maskx(config, train, seed=2)
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    assert build_maskx(config_from(MaskXConfig, {**SMOKE, "mlp_layers": 0}, "row"), train, 0)


def test_wrong_settings_are_named() -> None:
    with pytest.raises(ValueError, match="row: mlp_layers is 4; use 0 to 3"):
        config_from(MaskXConfig, {"mlp_layers": 4}, "row")
    with pytest.raises(ValueError, match="row.inputs: unknown value 'clsbox'"):
        config_from(MaskXConfig, {"inputs": "clsbox"}, "row")
    assert MASKX.parts(MaskXConfig())[-4:] == ("mask_rcnn", "transfer", "engine", "evaluation")
    assert MASKX.files(MaskXConfig(embedding_file="glove.txt")) == ("glove.txt",)


def _trained_detector(folder: Path) -> Path:
    config = config_from(MaskRcnnConfig, {**SMOKE, "stage": "detector", "masks": "none"}, "row")
    run_mask_rcnn(Context(config, 0, folder, "cpu", {}, False))
    return folder


def test_a_warm_start_begins_with_the_detector_and_leaves_it_free(tmp_path: Path) -> None:
    detector = _trained_detector(tmp_path / "detector")
    still = {**SMOKE, "warm_start": True, "learning_rate": 1e-12, "weight_decay": 0.0}
    context = Context(
        config_from(MaskXConfig, still, "row"), 3, tmp_path / "maskx", "cpu", {"detector": detector}
    )
    outcome = MASKX.run(context)
    before = load_file(detector / "checkpoints" / "final.safetensors")
    after = load_file(outcome.weights["final.safetensors"])
    name = "roi.box_predictor.cls_score.weight"
    close(after[name], before[name], "two steps at a learning rate of 1e-12")
    # Batch norm's statistics go on: nothing is frozen.
    assert not torch.equal(
        after["backbone.body.stem.1.running_mean"], before["backbone.body.stem.1.running_mean"]
    )
    kept = load_file(outcome.files["detection_weights.safetensors"])
    assert torch.equal(kept["cls"], after[name].half())
    assert kept["cls_moved"].abs().max() < 1e-6 and kept["box_moved"].abs().max() < 1e-6


def test_how_far_the_rows_moved_is_published(tmp_path: Path) -> None:
    detector = _trained_detector(tmp_path / "detector")
    config = config_from(MaskXConfig, {**SMOKE, "warm_start": True}, "row")
    outcome = MASKX.run(Context(config, 3, tmp_path / "maskx", "cpu", {"detector": detector}))
    before = load_file(detector / "checkpoints" / "final.safetensors")
    after = load_file(outcome.weights["final.safetensors"])
    kept = load_file(outcome.files["detection_weights.safetensors"])
    for what, name in (("cls", "cls_score"), ("box", "bbox_pred")):
        key = f"roi.box_predictor.{name}.weight"
        moved = (after[key] - before[key]).reshape(len(kept["cls"]), -1)
        assert moved.abs().max() > 0
        torch.testing.assert_close(kept[f"{what}_moved"], moved.half(), atol=0, rtol=0)


def test_a_warm_start_needs_a_detector_and_trains_everything(tmp_path: Path) -> None:
    config = config_from(MaskXConfig, {**SMOKE, "warm_start": True}, "row")
    with pytest.raises(ValueError, match="declare the run that trains it as `detector`"):
        MASKX.run(Context(config, 0, tmp_path, "cpu", {}, False))
    with pytest.raises(ValueError, match="row: warm_start is for stage 'end-to-end'"):
        config_from(MaskRcnnConfig, {"stage": "mask-head", "warm_start": True}, "row")


def test_what_knows_no_split_is_judged_in_both_directions(tmp_path: Path) -> None:
    config = config_from(MaskRcnnConfig, {**SMOKE, "masks": "all"}, "row")
    metrics = run_mask_rcnn(Context(config, 0, tmp_path / "all", "cpu", {}, False)).metrics
    for kind in ("segm", "bbox"):
        assert metrics["reversed"][kind]["A"] == metrics[kind]["B"]
        assert metrics["reversed"][kind]["B"] == metrics[kind]["A"]
        assert metrics["reversed"][kind]["all"] == metrics[kind]["all"]
    config = config_from(MaskRcnnConfig, SMOKE, "row")
    assert (
        "reversed"
        not in run_mask_rcnn(Context(config, 0, tmp_path / "a", "cpu", {}, False)).metrics
    )
