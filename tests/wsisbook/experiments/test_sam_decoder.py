"""Who draws the masks of a trained WISH: every variant as a run, and wrong ones refused."""

import json
from pathlib import Path

import pytest
import torch
from torchvision.ops import FrozenBatchNorm2d

from wsisbook.experiments import wish
from wsisbook.experiments.sam_decoder import trained_wish
from wsisbook.experiments.wish import build_wish_model
from wsisbook.experiments.wish_settings import SAM_DECODER, SamDecoderConfig
from wsisbook.runs.config import as_settings, config_from
from wsisbook.runs.experiments import Context
from wsislib.engine.history import read_history
from wsislib.engine.weights import save_weights
from wsislib.models.sam import sam_weights
from wsislib.models.sam.sam import Teacher
from wsislib.models.sam.tiny_sam import tiny_sam

SMOKE = {
    "categories": 4, "image_size": 64, "train_count": 4, "val_count": 3, "batch_size": 2,
    "optimiser": "adamw", "learning_rate": 0.0005, "precision": "float32", "log_every": 1,
}  # fmt: skip


@pytest.fixture
def teacher(monkeypatch, tmp_path):
    def load(which):
        return Teacher(tiny_sam(0, 16 if which == "tiny" else 8, 48, (4, 4, 4, 4)), "random", "f")

    monkeypatch.setattr(sam_weights, "load_sam", load)
    monkeypatch.setattr(wish, "cache_folder", lambda: tmp_path / "build")
    return load("tiny")


def settings(variant, **changes) -> SamDecoderConfig:
    steps = 2 if variant == "tuned" else 0
    return config_from(
        SamDecoderConfig, {**SMOKE, "variant": variant, "steps": steps, **changes}, "row"
    )


@pytest.fixture
def trained(tmp_path, teacher) -> Path:
    """The folder of a run that trained a WISH, as far as this experiment reads it."""
    folder, config = tmp_path / "wish", settings("mask-head")
    (folder / "checkpoints").mkdir(parents=True)
    model = build_wish_model(config, 4, teacher, 7)
    save_weights(folder / "checkpoints" / "final.safetensors", model, {})
    record = {"settings": {**as_settings(config), "variant": None}}
    (folder / "params.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


def run(config, folder, **needs):
    return SAM_DECODER.run(Context(config, 0, folder, "cpu", needs, False))


def test_variants_of_one_wish(tmp_path: Path, trained: Path) -> None:
    found = {}
    for variant in ("mask-head", "embedding", "tuned", "boxes"):
        found[variant] = run(settings(variant), tmp_path / variant, wish=trained)
        costs = found[variant].metrics["inference"]
        assert costs["ms"] > 0 and costs["ratio"] > 0 and costs["memory_mib"] > 0
    weights = {name: one.metrics["inference"]["weights_mib"] for name, one in found.items()}
    assert weights["mask-head"] < weights["boxes"] < weights["embedding"] == weights["tuned"]
    assert [row["step"] for row in read_history(found["tuned"].files["history.csv"])] == [1, 2]
    assert not found["embedding"].files
    pictures = [one.examples for one in found.values()]
    assert pictures[0] != pictures[1] != pictures[2], "they draw other masks"


def test_the_wish_of_a_run_that_began_with_imagenet(tmp_path: Path, teacher) -> None:
    # Frozen norms have other weights than those that learn, so the form must be that of the run.
    config = settings("mask-head", builder="r50")
    model = build_wish_model(config, 4, teacher, 7, fetch=False)
    assert any(isinstance(part, FrozenBatchNorm2d) for part in model.modules())
    folder = tmp_path / "wish"
    (folder / "checkpoints").mkdir(parents=True)
    save_weights(folder / "checkpoints" / "final.safetensors", model, {})
    record = {"settings": {**as_settings(config), "variant": None}}
    (folder / "params.json").write_text(json.dumps(record), encoding="utf-8")
    context = Context(config, 0, tmp_path / "run", "cpu", {"wish": folder}, False)
    loaded = trained_wish(context, 4, teacher)
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name


def test_true_prompts_need_no_wish(tmp_path: Path, teacher) -> None:
    for variant in ("true-boxes", "true-points"):
        outcome = run(settings(variant), tmp_path / variant)
        assert "inference" not in outcome.metrics and "AP" in outcome.metrics["segm"]["all"]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"prompt_tokens": "both"}, "trained with prompt_tokens = 'mean', but this run has 'both'"),
        ({"teacher": "sam.pth"}, "trained with teacher = 'tiny', but this run has 'sam.pth'"),
        ({"categories": 5}, "trained with categories = 4, but this run has 5"),
    ],
)
def test_a_wish_of_another_kind_is_refused(tmp_path, trained, changes, text) -> None:
    with pytest.raises(ValueError, match=text):
        run(settings("embedding", **changes), tmp_path / "run", wish=trained)


def test_wrong_settings_are_named(tmp_path, teacher) -> None:
    with pytest.raises(ValueError, match="declare the run that trains it as `wish`"):
        run(settings("boxes"), tmp_path / "run")
    for wrong in ({"variant": "boxes", "steps": 2}, {"variant": "tuned", "steps": 0}):
        with pytest.raises(ValueError, match="'tuned' wants some"):
            config_from(SamDecoderConfig, {**SMOKE, **wrong}, "row")
    with pytest.raises(ValueError, match="not 'mask2former'"):
        settings("boxes", method="mask2former", labels="masks")
