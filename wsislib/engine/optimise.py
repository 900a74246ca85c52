"""The optimiser and its learning rate, both as plain functions of the config."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from wsislib.engine.config import TrainConfig


def build_optimiser(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """SGD or AdamW over the parameters that are to be learnt (`requires_grad`).

    Each group carries `lr_factor`; `set_learning_rate` multiplies it in.

    Raises:
        ValueError: every parameter is frozen.
    """
    learnt = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    if not learnt:
        raise ValueError("every parameter of the model is frozen; nothing is left to train")
    apart = config.bias_lr_factor != 1.0
    weights = [p for name, p in learnt if not (apart and _is_bias(name))]
    biases = [p for name, p in learnt if apart and _is_bias(name)]
    groups: list[dict[str, Any]] = [
        {"params": weights, "lr_factor": 1.0, "weight_decay": config.weight_decay},
        {"params": biases, "lr_factor": config.bias_lr_factor, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if config.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=config.learning_rate)
    return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum)


def learning_rate(config: TrainConfig, step: int) -> float:
    """The rate of step `step` (from 0): warm-up times schedule.

    Warm-up is linear from `warmup_factor` at step 0 to 1 at step `warmup_steps` (Goyal et al.
    2017, section 2.2, as Detectron does it).
    """
    rate = config.learning_rate
    if config.schedule == "cosine":
        rate *= 0.5 * (1.0 + math.cos(math.pi * step / config.steps))
    else:
        rate *= config.decay_factor ** sum(step >= decay for decay in config.decay_steps)
    if step < config.warmup_steps:
        progress = step / config.warmup_steps
        rate *= config.warmup_factor * (1.0 - progress) + progress
    return rate


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give every group `rate` times its own factor."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["lr_factor"]


def clip_gradient(parameters: list[nn.Parameter], limit: float) -> torch.Tensor:
    """Scale the whole gradient to L2 norm `limit` where it is larger; `limit` 0 leaves it.

    Returns:
        () float32: the norm before clipping, not finite where any gradient is not.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if limit > 0:
        torch.nn.utils.clip_grads_with_norm_(parameters, limit, norm)
    return norm


def _is_bias(name: str) -> bool:
    return name.rpartition(".")[2] == "bias"
