"""What fully describes one run: a frozen, flat dataclass, its hash, and what differs in two.

Each experiment has such a dataclass, in which every field is a literal. Fields named in `EXECUTION`
say how a run is carried out, not what comes out of it, so they are not part of its identity.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from wsisbook.runs.validate import from_mapping

EXECUTION = ("checkpoint_every", "workers")

C = TypeVar("C")


@dataclass(frozen=True)
class RunConfig:
    """What every experiment that trains has in common.

    The training fields have the names and defaults of `wsislib.engine.config.TrainConfig`
    (a test compares); `steps=0` trains nothing.
    """

    steps: int = 0
    batch_size: int = 16
    optimiser: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = 0.02
    momentum: float = 0.9
    weight_decay: float = 1e-4
    decay_norms: bool = True
    bias_lr_factor: float = 1.0
    warmup_steps: int = 0
    warmup_factor: float = 1 / 3
    decay_steps: tuple[int, ...] = ()
    decay_factor: float = 0.1
    schedule: Literal["step", "cosine"] = "step"
    clip_norm: float = 0.0
    precision: Literal["bf16", "float32"] = "bf16"
    flip: bool = True
    loss_weights: dict[str, float] = dataclasses.field(default_factory=dict)
    lr_factors: dict[str, float] = dataclasses.field(default_factory=dict)
    checkpoint_every: int = 200
    log_every: int = 20
    workers: int = 0


def config_from(cls: type[C], settings: Mapping[str, Any], where: str) -> C:
    """The settings `cls` from field name -> literal; a ValueError names `where` and the field."""
    return from_mapping(cls, settings, where, literals=True)


def as_settings(config: RunConfig) -> dict[str, Any]:
    """Field name -> literal that JSON can hold (tuples become lists)."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def identity(settings: Mapping[str, Any]) -> dict[str, Any]:
    """`settings` without the fields that do not change what comes out."""
    return {key: value for key, value in settings.items() if key not in EXECUTION}


def differences(
    stored: Mapping[str, Any], current: Mapping[str, Any], defaults: Mapping[str, Any]
) -> list[str]:
    """What changed between two settings, one text such as 'steps: 100 -> 200' a field."""
    before, after = identity(stored), identity(current)
    changed = []
    for key in sorted({*before, *after}):
        # A new option starts with the behaviour before it, so its default changes no old record.
        old = before.get(key, defaults.get(key))
        if key not in after:
            changed.append(f"{key}: {_show(old)} -> no such setting")
        elif old != after[key]:
            changed.append(f"{key}: {_show(old)} -> {_show(after[key])}")
    return changed


def _show(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
