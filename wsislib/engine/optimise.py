"""The optimiser and its learning rate, both as plain functions of the config."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from wsislib.engine.config import TrainConfig


def build_optimiser(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """SGD or AdamW over the parameters that are to be learnt (`requires_grad`).

    Each group carries `lr_factor`; `set_learning_rate` multiplies it in. A ValueError where every
    parameter is frozen, or `lr_factors` names none that learns.
    """
    learnt = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    if not learnt:
        raise ValueError("every parameter of the model is frozen; nothing is left to train")
    for prefix in config.lr_factors:
        if not any(name.startswith(prefix) for name, _ in learnt):
            raise ValueError(
                f"lr_factors: no parameter that learns begins with {prefix!r}; they are called "
                f"{learnt[0][0]!r} and so on"
            )
    biases_apart = config.bias_lr_factor != 1.0
    undecayed = set() if config.decay_norms else _of_norms_and_embeddings(model)
    groups: dict[tuple[bool, float], dict[str, Any]] = {}
    # Weights before biases, so that the optimiser's state has one order whatever the factors.
    for name, parameter in sorted(learnt, key=lambda item: biases_apart and _is_bias(item[0])):
        bias = biases_apart and _is_bias(name)
        factor = _factor(name, config) * (config.bias_lr_factor if bias else 1.0)
        no_decay = bias or id(parameter) in undecayed
        decay = 0.0 if no_decay else config.weight_decay
        group = {"params": [], "lr_factor": factor, "weight_decay": decay}
        groups.setdefault((no_decay, factor), group)["params"].append(parameter)
    if config.optimiser == "adamw":
        return torch.optim.AdamW(list(groups.values()), lr=config.learning_rate)
    return torch.optim.SGD(list(groups.values()), lr=config.learning_rate, momentum=config.momentum)


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

    Returns the norm before clipping, () float32, not finite where any gradient is not.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if limit > 0:
        torch.nn.utils.clip_grads_with_norm_(parameters, limit, norm)
    return norm


def _factor(name: str, config: TrainConfig) -> float:
    """The factor of the longest prefix of `name` that `lr_factors` gives, else 1."""
    given = [prefix for prefix in config.lr_factors if name.startswith(prefix)]
    return config.lr_factors[max(given, key=len)] if given else 1.0


def _of_norms_and_embeddings(model: nn.Module) -> set[int]:
    """Ids of the parameters of normalisation layers and embeddings."""
    batch_norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    kinds = (*batch_norms, nn.GroupNorm, nn.LayerNorm, nn.Embedding)
    modules = (module for module in model.modules() if isinstance(module, kinds))
    return {id(parameter) for module in modules for parameter in module.parameters(recurse=False)}


def _is_bias(name: str) -> bool:
    return name.rpartition(".")[2] == "bias"
