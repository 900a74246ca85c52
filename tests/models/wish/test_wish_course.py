"""WISH over a training: nothing leaks, steps are counted, a run goes on, numbers are logged."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.models.wish.drawn_wish_for_tests import (
    CATEGORIES,
    KINDS,
    SIDE,
    WIDTH,
    drawn_teacher,
    lab,
    spied,
    weighted,
)
from tests.numeric import close
from wsislib.data.sample import LabelKind
from wsislib.engine.config import TrainConfig
from wsislib.engine.history import read_history
from wsislib.engine.train import fit
from wsislib.labels.weaken import weaken
from wsislib.losses.prompts import PromptDistance
from wsislib.models.wish.builders import (
    WishParts,
    wish_loss_weights,
    wish_r50,
    wish_small,
)

MEAN = "a mean in float32"


@pytest.mark.parametrize("kind", KINDS[:-1])
def test_true_masks_leak_nowhere(make_sample, make, kind):
    """Poison the true masks after weakening: training stays equal, bit for bit."""

    def trained(poison):
        model = lab().train()
        sgd = torch.optim.SGD(model.parameters(), 1e-3)
        truth = [make_sample(seed, 3, SIDE, SIDE, CATEGORIES) for seed in (0, 1)]
        g = torch.Generator().manual_seed(0)
        batch = [replace(one, label=weaken(one.label, kind, g)) for one in truth]
        if poison:
            for one in truth:
                one.label.masks.logical_not_()
                one.label.boxes.mul_(0.5)
            # Even a mask that stands where none may stand is not looked at.
            batch = [replace(s, label=replace(s.label, masks=t.label.masks[: len(s.label)]))
                     for s, t in zip(batch, truth, strict=True)]  # fmt: skip
        values = []
        for _ in range(2):
            losses = model.losses(batch, torch.Generator().manual_seed(7))
            sgd.zero_grad()
            weighted(losses).backward()
            sgd.step()
            values += losses.values()
        return torch.stack(values), model.state_dict()

    (losses, weights), (others, other_weights) = trained(False), trained(True)
    assert torch.equal(losses, others)
    assert all(torch.equal(value, other_weights[name]) for name, value in weights.items())


@torch.no_grad()
def test_steps_are_counted_in_training_and_kept(make):
    model, batch = lab(cam_warmup=2, self_start=3), [make(LabelKind.TAG)]
    nn.init.constant_(model.cam_head.classify.weight, 0.05)
    model.eval().losses(batch)
    assert model.steps == 0
    model.train()
    without = []
    for _ in range(3):
        model.losses(batch)
        without.append(model.statistics()["tag.images_without_point"])
    assert without == [1, 1, 0] and model.steps == 3
    other = lab(cam_warmup=2, self_start=3)
    other.load_state_dict(model.state_dict())
    assert other.steps == 3
    assert not any("teacher" in name or "sam" in name for name in model.state_dict())


@torch.no_grad()
def test_self_enhancement_starts_at_its_step(make):
    batch = [make(LabelKind.MASK)]
    started = []
    for start in (0, 1, None):
        model = lab(self_start=start)
        model.segmenter.query_decoder.classify.bias[-1] = -20.0  # every query claims a category
        model.segmenter.query_decoder.classify.bias[batch[0].label.categories[0]] = 20.0
        started.append([bool(model.losses(batch)["loss_self"] > 0) for _ in range(2)])
    assert started == [[True, True], [False, True], [False, False]]


def test_a_run_that_goes_on_is_the_run_that_never_stopped(make, tmp_path):
    class Scenes:
        categories, image_ids = (), tuple(range(1, 5))

        def __len__(self):
            return 4

        def __getitem__(self, index):
            return replace(make(KINDS[index], index), image_id=index + 1)

        def fingerprint(self):
            return "scenes"

    def train(steps, folder):
        model = lab(cam_warmup=2, self_start=3)
        config = TrainConfig.from_dict(
            {"steps": steps, "batch_size": 4, "optimiser": "adamw", "learning_rate": 5e-4,
             "precision": "float32", "log_every": 1, "loss_weights": wish_loss_weights()}
        )  # fmt: skip
        fit(model, Scenes(), config, tmp_path / folder, device="cpu", progress=False)
        return model.state_dict(), read_history(tmp_path / folder / "history.csv")

    train(2, "halves")
    (weights, rows), (others, other_rows) = train(4, "halves"), train(4, "whole")
    assert all(torch.equal(value, others[name]) for name, value in weights.items())
    assert [row["tag.images_without_point"] for row in rows] == [1, 1, 0, 0]
    for row, other in zip(rows, other_rows, strict=True):
        assert {k: v for k, v in row.items() if k not in ("seconds", "images_per_second")} == {
            k: v for k, v in other.items() if k not in ("seconds", "images_per_second")
        }


def test_inference_is_the_segmenters_alone(make):
    model, image = lab().eval(), make(LabelKind.MASK).image
    wanted = model.segmenter.predict([image])[0]
    model.teacher = model.prompt_head = model.cam_head = None
    found = model.predict([image])[0]
    assert torch.equal(found.masks, wanted.masks) and torch.equal(found.scores, wanted.scores)


@torch.no_grad()
def test_statistics_say_what_happened(make, monkeypatch):
    model = lab().eval()
    batch = [make(LabelKind.BOX, 0), make(LabelKind.MASK, 1, 2), make(LabelKind.BOX, 2, 20)]
    seen = spied(model, batch, monkeypatch)
    found = model.statistics()
    assert found["box.instances"] == 11.5 and found["mask.instances"] == 2
    close(found["box.matched_share"], (3 + 16) / 23, MEAN)
    assert found["mask.matched_share"] == 1
    allowed = seen["targets"].allowed.sum(1)[[0, 1, 2, *range(5, 25)]]
    close(found["box.candidates_allowed"], allowed.float().mean(), MEAN)
    close(sum(found[f"box.candidate_{k}_share"] for k in range(3)), 1.0, MEAN)
    boxes = torch.tensor([0, 1, 2, *range(5, 25)])
    last = seen["matches"].candidate[-1][boxes][seen["matches"].query[-1][boxes] >= 0]
    close(found["box.candidate_1_share"], (last == 1).float().mean(), MEAN)
    assert not any(name.startswith(("tag", "point")) or "mask.candidate" in name for name in found)
    assert lab().statistics() == {}


@torch.no_grad()
def test_statistics_of_tags(make):
    model = lab()
    nn.init.constant_(model.cam_head.classify.weight, 0.05)
    batch = [make(LabelKind.TAG, 0), make(LabelKind.TAG, 1, 0), make(LabelKind.TAG, 2)]
    losses = model.losses(batch)
    found = model.statistics()
    assert found["tag.images_without_point"] == 0 and found["tag.points_per_tag"] >= 1
    assert found["tag.instances"] > 0 and losses["loss_mask"] > 0


def test_sizes_of_the_models():
    teacher = drawn_teacher()
    teacher.width = 256
    with torch.device("meta"):
        model = wish_r50(80, teacher, pretrained=False)
    assert [tuple(p.shape) for p in model.prompt_head.parameters()] == [(256, 256), (256,)] * 3
    assert model.cam_head.classify.weight.shape == (80, 2048, 1, 1)
    assert model.cam_head.classify.bias is None and model.cam_head.level == -1
    assert model.segmenter.cost_weights == {"class": 2, "mask": 5, "dice": 5, "prompt": 5}
    assert (model.cam_warmup, model.self_start) == (30_000, 30_000)
    assert (model.peaks.threshold, model.peaks.window, model.peaks.top_k) == (0.3, 3, 32)
    assert model.distance == PromptDistance("kl", 1.0) and model.gate.min_iou_ratio == 0.5
    small = wish_small(3, drawn_teacher(), WishParts(tokens="both"))
    assert small.prompt_head.layers[-1].out_features == 2 * WIDTH
    assert lab(WishParts(gate=None)).gate is None
