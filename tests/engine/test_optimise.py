"""Rates and parameter groups are those of the papers' recipes."""

import pytest
import torch
from torch import nn

from wsislib.engine.config import TrainConfig
from wsislib.engine.optimise import (
    build_optimiser,
    clip_gradient,
    learning_rate,
    set_learning_rate,
)


def test_detectron_1x_schedule() -> None:
    """Mask R-CNN, 90k steps: warm-up of 500 from a third, a tenth at 60k and 80k."""
    config = TrainConfig(steps=90_000, warmup_steps=500, decay_steps=(60_000, 80_000))
    rates = {s: learning_rate(config, s) for s in (0, 250, 500, 59_999, 60_000, 79_999, 80_000)}
    assert rates == pytest.approx(
        {0: 0.02 / 3, 250: 0.02 * 2 / 3, 500: 0.02, 59_999: 0.02, 60_000: 0.002, 79_999: 0.002,
         80_000: 0.0002}
    )  # fmt: skip


def test_cosine_is_torch_cosine() -> None:
    config = TrainConfig(steps=20, schedule="cosine", learning_rate=0.3)
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 20)
    for step in range(20):
        assert learning_rate(config, step) == pytest.approx(scheduler.get_last_lr()[0])
        optimiser.step()
        scheduler.step()


def test_norms_and_embeddings_may_go_without_decay() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3), nn.Embedding(4, 3), nn.BatchNorm1d(3))
    config = TrainConfig(steps=1, optimiser="adamw", weight_decay=0.05, decay_norms=False)
    decayed, bare = build_optimiser(model, config).param_groups
    assert (decayed["weight_decay"], bare["weight_decay"]) == (0.05, 0.0)
    assert {id(p) for p in decayed["params"]} == {id(p) for p in model[0].parameters()}
    assert len(bare["params"]) == 5
    (all_of_them,) = build_optimiser(model, TrainConfig(steps=1, weight_decay=0.05)).param_groups
    assert len(all_of_them["params"]) == 7
    assert config != TrainConfig(steps=1, optimiser="adamw", weight_decay=0.05)


def test_biases_learn_faster_without_decay() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    optimiser = build_optimiser(model, TrainConfig(steps=1, bias_lr_factor=2.0))
    set_learning_rate(optimiser, 0.5)
    weights, biases = optimiser.param_groups
    assert [id(p) for p in biases["params"]] == [id(model[0].bias), id(model[1].bias)]
    assert (weights["lr"], weights["weight_decay"]) == (0.5, 1e-4)
    assert (biases["lr"], biases["weight_decay"]) == (1.0, 0.0)
    assert len(build_optimiser(model, TrainConfig(steps=1)).param_groups) == 1


def test_named_parts_learn_at_a_rate_of_their_own() -> None:
    model = nn.ModuleDict({"mask": nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})})
    model["box"] = nn.Linear(2, 2)
    config = TrainConfig(steps=1, bias_lr_factor=2.0, lr_factors={"mask.": 10.0, "mask.b": 3.0})
    optimiser = build_optimiser(model, config)
    set_learning_rate(optimiser, 0.5)
    rate = {id(p): g["lr"] for g in optimiser.param_groups for p in g["params"]}
    decay = {id(p): g["weight_decay"] for g in optimiser.param_groups for p in g["params"]}
    for layer, weight_rate in (
        (model["mask"]["a"], 5),
        (model["mask"]["b"], 1.5),
        (model["box"], 0.5),
    ):
        assert rate[id(layer.weight)] == weight_rate and rate[id(layer.bias)] == 2 * weight_rate
        assert decay[id(layer.weight)] == 1e-4 and decay[id(layer.bias)] == 0
    assert sum(len(g["params"]) for g in optimiser.param_groups) == 6
    with pytest.raises(ValueError, match="no parameter that learns begins with 'masks.'"):
        build_optimiser(model, TrainConfig(steps=1, lr_factors={"masks.": 2.0}))
    assert TrainConfig.from_dict(config.to_dict()) == config
    assert config != TrainConfig(steps=1, bias_lr_factor=2.0)


def test_frozen_parameters_are_left_out() -> None:
    model = nn.Linear(2, 3)
    model.weight.requires_grad_(False)
    optimiser = build_optimiser(model, TrainConfig(steps=1, optimiser="adamw"))
    assert [id(p) for g in optimiser.param_groups for p in g["params"]] == [id(model.bias)]
    model.bias.requires_grad_(False)
    with pytest.raises(ValueError, match="every parameter of the model is frozen"):
        build_optimiser(model, TrainConfig(steps=1))


def test_clipping() -> None:
    parameters = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1))]
    parameters[0].grad, parameters[1].grad = torch.tensor([3.0, 0.0]), torch.tensor([4.0])
    assert clip_gradient(parameters, 0.0).item() == 5
    assert clip_gradient(parameters, 10.0).item() == 5
    assert parameters[1].grad.item() == 4
    assert clip_gradient(parameters, 1.0).item() == 5
    assert torch.cat([p.grad for p in parameters]).norm().item() == pytest.approx(1)
