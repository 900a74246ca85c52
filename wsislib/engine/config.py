"""How a model is trained, as one flat, frozen record."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from wsislib.strict import reject_unknown

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
    """

    steps: int  # optimiser steps in all; 0 trains nothing
    batch_size: int = 16  # images per step, over all processes together
    optimiser: Optimiser = "sgd"
    learning_rate: float = 0.02  # after warm-up
    momentum: float = 0.9  # of SGD
    weight_decay: float = 1e-4  # L2 factor (SGD) or decoupled decay (AdamW)
    decay_norms: bool = True  # False: as Mask2Former's, norms and embeddings have no weight decay
    # Rate of biases as a multiple of `learning_rate`. Other than 1 it also leaves biases without
    # weight decay, as Detectron did (its factor is 2).
    bias_lr_factor: float = 1.0
    warmup_steps: int = 0  # over which the rate rises linearly from `warmup_factor` of itself
    warmup_factor: float = 1 / 3
    decay_steps: tuple[int, ...] = ()  # schedule "step" multiplies the rate by `decay_factor` here
    decay_factor: float = 0.1
    schedule: Schedule = "step"  # "cosine" falls to 0 at the last step
    clip_norm: float = 0.0  # largest L2 norm of the whole gradient; 0 switches clipping off
    precision: Precision = "bf16"  # losses under bfloat16 autocast where the device has it
    seed: int = 0  # any whole number from 0
    checkpoint_every: int = 200  # steps between checkpoints
    log_every: int = 20  # steps between rows of history.csv; a row holds means over these steps
    flip: bool = True  # mirror each training image with probability one half (after `augment`)
    workers: int = 0  # processes that read images; 0 reads them in the training process
    loss_weights: Mapping[str, float] = field(default_factory=dict)  # by loss name; 1 if not named
    # Rate as a multiple of `learning_rate` by the beginning of a parameter's name, such as
    # {"mask.": 10.0} for a new mask branch on a trained detector. The longest match counts.
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
            ValueError: unknown key (with near matches), missing `steps` or an impossible value.
        """
        reject_unknown(mapping, [entry.name for entry in fields(cls)], "train config")
        if "steps" not in mapping:
            raise ValueError("train config: 'steps' is missing; say how many steps to train")
        decay_steps = tuple(mapping.get("decay_steps", ()))  # YAML has lists only
        return cls(**{**mapping, "decay_steps": decay_steps})

    def to_dict(self) -> dict[str, Any]:
        """The config as JSON-ready values; `from_dict` gives it back."""
        return {**asdict(self), "decay_steps": list(self.decay_steps)}

    def decisive(self) -> dict[str, Any]:
        """The part of `to_dict` that the trained weights or the history depend on."""
        return {key: value for key, value in self.to_dict().items() if key not in _WITHOUT_EFFECT}


def _check_count(name: str, value: object) -> None:
    minimum = 0 if name in _MAY_BE_ZERO else 1
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ValueError(f"train config: {name} is {value!r}; use a whole number from {minimum}")


def _check_number(name: str, value: object) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0:  # type: ignore[arg-type, operator]
        raise ValueError(f"train config: {name} is {value!r}; use a finite number from 0")
