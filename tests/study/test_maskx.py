"""Mask^X R-CNN end to end as a run."""

import math
from pathlib import Path

import pandas as pd
import pytest
import torch

from wsislib.study.config import config_from
from wsislib.study.experiments import Context
from wsislib.study.mask_rcnn import MaskRcnnConfig, run_mask_rcnn
from wsislib.study.maskx import MASKX, MaskXConfig, build_maskx
from wsislib.study.partial_data import data_sets

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
