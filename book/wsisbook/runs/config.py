"""What fully describes one run: a frozen, flat dataclass, its hash, and what differs in two.

Each experiment (runs/experiments.py) has such a dataclass. Every field is a literal. Fields
named in `EXECUTION` say how a run is carried out, not what comes out of it, so they are no
part of a run's identity.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from wsislib.strict import did_you_mean

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
    """A `cls` made from `settings`; fields that are not given keep their defaults.

    Args:
        cls: the dataclass of the experiment.
        settings: field name -> literal, as YAML gives it (lists become tuples).
        where: what the error message names, such as file and path.

    Raises:
        ValueError: an unknown field (with near matches) or a value of the wrong type.
    """
    hints = typing.get_type_hints(cls)
    values = {}
    for key, value in settings.items():
        if key not in hints:
            raise ValueError(f"{where}: unknown key {key!r}{did_you_mean(str(key), hints)}")
        values[key] = _fit(value, hints[key], f"{where}.{key}")
    try:
        return cls(**values)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    except TypeError as error:
        raise ValueError(f"{where}: {error}") from error


def _fit(value: Any, hint: Any, where: str) -> Any:
    """`value` as the type `hint`, or a ValueError."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:  # a dataclass of its own checks it, such as `HeadSpec`
        return value
    if origin is Literal:
        if value in arguments:
            return value
        raise ValueError(f"{where}: unknown value {value!r}{did_you_mean(str(value), arguments)}")
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _fit(value, next(a for a in arguments if a is not type(None)), where)
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_fit(item, arguments[0], f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict and isinstance(value, Mapping):
        return {
            _fit(k, arguments[0], where): _fit(v, arguments[1], f"{where}.{k}")
            for k, v in value.items()
        }
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if hint in (int, str, bool) and type(value) is hint:
        return value
    hint_text = " (YAML reads 1e-4 as text: write 1.0e-4)" if hint is float else ""
    wanted = getattr(hint, "__name__", str(hint)) if origin is None else str(hint)
    raise ValueError(f"{where}: {wanted} wanted, found {value!r}{hint_text}")


def as_settings(config: RunConfig) -> dict[str, Any]:
    """Field name -> literal that JSON can hold (tuples become lists)."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def digest(obj: Any) -> str:
    """Hex SHA-256 of the canonical JSON form of `obj`."""
    text = json.dumps(obj, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def identity(settings: Mapping[str, Any]) -> dict[str, Any]:
    """`settings` without the fields that do not change what comes out."""
    return {key: value for key, value in settings.items() if key not in EXECUTION}


def differences(
    stored: Mapping[str, Any], current: Mapping[str, Any], defaults: Mapping[str, Any]
) -> list[str]:
    """What changed between two settings, one text such as 'steps: 100 -> 200' a field.

    A field that the stored record does not have yet does not count while its current value is
    its default: a new option must be born with the behaviour that was there before (the golden
    runs hold that honest).
    """
    before, after = identity(stored), identity(current)
    changed = []
    for key in sorted({*before, *after}):
        old = before.get(key, defaults.get(key))
        if key not in after:
            changed.append(f"{key}: {_show(old)} -> no such setting")
        elif old != after[key]:
            changed.append(f"{key}: {_show(old)} -> {_show(after[key])}")
    return changed


def _show(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
