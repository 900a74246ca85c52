"""How a model is trained, as one flat, frozen record."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from wsislib.strict import did_you_mean

Optimiser = Literal["sgd", "adamw"]
Schedule = Literal["step", "cosine"]
Precision = Literal["bf16", "float32"]

# These change how often something is written or how the work is spread, never a weight.
_WITHOUT_EFFECT = ("checkpoint_every", "workers")
_MAY_BE_ZERO = ("steps", "warmup_steps", "workers", "seed")
_CHOICES = {"Optimiser": Optimiser, "Schedule": Schedule, "Precision": Precision}


@dataclass(frozen=True)
class TrainConfig:
    """Everything about a training run but the model, the data and the machine.

    The defaults are those of Mask R-CNN on COCO (He et al. 2017, section 3.1) where it has one.

    Attributes:
        steps: optimiser steps in all; 0 trains nothing.
        batch_size: images per step, over all processes together.
        optimiser: "sgd" with momentum, or "adamw".
        learning_rate: the rate after warm-up.
        momentum: of SGD.
        weight_decay: L2 factor (SGD) or decoupled decay (AdamW).
        decay_norms: False leaves normalisation layers and embeddings without weight decay, as
            Mask2Former's authors do.
        bias_lr_factor: rate of biases as a multiple of `learning_rate`. Other than 1 it also
            leaves biases without weight decay, as Detectron did (its factor is 2).
        warmup_steps: steps over which the rate rises linearly from `warmup_factor` of itself.
        warmup_factor: where the warm-up starts, 0..1.
        decay_steps: with schedule "step", the steps at which the rate is multiplied by
            `decay_factor`.
        decay_factor: see `decay_steps`.
        schedule: "step", or "cosine" down to 0 at the last step.
        clip_norm: largest L2 norm of the whole gradient; 0 switches clipping off.
        precision: "bf16" runs losses under bfloat16 autocast where the device has it.
        seed: any whole number from 0.
        checkpoint_every: steps between checkpoints.
        log_every: steps between rows of history.csv; a row holds means over these steps.
        flip: mirror each training image with probability one half (after `augment`).
        workers: processes that read images; 0 reads them in the training process.
        loss_weights: factor by loss name; a loss that is not named has factor 1.
        lr_factors: rate as a multiple of `learning_rate` by the beginning of a parameter's name,
            such as {"mask.": 10.0} for a new mask branch on a trained detector. The longest
            match counts.
    """

    steps: int
    batch_size: int = 16
    optimiser: Optimiser = "sgd"
    learning_rate: float = 0.02
    momentum: float = 0.9
    weight_decay: float = 1e-4
    decay_norms: bool = True
    bias_lr_factor: float = 1.0
    warmup_steps: int = 0
    warmup_factor: float = 1 / 3
    decay_steps: tuple[int, ...] = ()
    decay_factor: float = 0.1
    schedule: Schedule = "step"
    clip_norm: float = 0.0
    precision: Precision = "bf16"
    seed: int = 0
    checkpoint_every: int = 200
    log_every: int = 20
    flip: bool = True
    workers: int = 0
    loss_weights: Mapping[str, float] = field(default_factory=dict)
    lr_factors: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for entry in fields(self):  # their types are text, as annotations are not evaluated here
            name, value = entry.name, getattr(self, entry.name)
            if entry.type == "int":
                _check_count(name, value)
            elif entry.type == "float":
                _check_number(name, value)
            elif entry.type == "bool" and not isinstance(value, bool):
                raise ValueError(f"train config: {name} is {value!r}; use true or false")
            elif entry.type in _CHOICES and value not in get_args(_CHOICES[str(entry.type)]):
                allowed = " or ".join(map(repr, get_args(_CHOICES[str(entry.type)])))
                raise ValueError(f"train config: {name} is {value!r}; use {allowed}")
        for step in self.decay_steps:
            _check_count("decay_steps", step)
        for name in ("loss_weights", "lr_factors"):
            for key, value in getattr(self, name).items():
                _check_number(f"{name}[{key!r}]", value)

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> TrainConfig:
        """The config that `mapping` spells out, for instance as read from YAML.

        Raises:
            ValueError: unknown key (with near matches), missing `steps`, or a value that the
                key cannot have.
        """
        known = [entry.name for entry in fields(cls)]
        for key in mapping:
            if key not in known:
                raise ValueError(f"train config: unknown key {key!r}{did_you_mean(key, known)}")
        if "steps" not in mapping:
            raise ValueError("train config: 'steps' is missing; say how many steps to train")
        decay_steps = tuple(mapping.get("decay_steps", ()))  # YAML has lists only
        return cls(**{**mapping, "decay_steps": decay_steps})

    def to_dict(self) -> dict[str, Any]:
        """The config as JSON-ready values; `from_dict` gives it back."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        values["decay_steps"] = list(self.decay_steps)
        values["loss_weights"] = dict(self.loss_weights)
        values["lr_factors"] = dict(self.lr_factors)
        return values

    def decisive(self) -> dict[str, Any]:
        """The part of `to_dict` that the trained weights or the history depend on."""
        return {key: value for key, value in self.to_dict().items() if key not in _WITHOUT_EFFECT}

    def digest(self) -> str:
        """Hex digest of `decisive()`: equal for configs that train the same."""
        values = self.decisive()
        # Digests from before there were such settings still fit.
        if not self.lr_factors:
            del values["lr_factors"]
        if self.decay_norms:
            del values["decay_norms"]
        text = json.dumps(values, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _check_count(name: str, value: object) -> None:
    minimum = 0 if name in _MAY_BE_ZERO else 1
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ValueError(f"train config: {name} is {value!r}; use a whole number from {minimum}")


def _check_number(name: str, value: object) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0:  # type: ignore[arg-type, operator]
        raise ValueError(f"train config: {name} is {value!r}; use a finite number from 0")
