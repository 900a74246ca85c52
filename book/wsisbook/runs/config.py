"""What fully describes one run: a frozen, flat dataclass, its hash, and what differs in two.

Each experiment has such a dataclass, in which every field is a literal. Fields named in `EXECUTION`
say how a run is carried out, not what comes out of it, so they are not part of its identity.
Pydantic checks values that come from YAML; every error is one line that names its entry.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from wsislib.strict import did_you_mean, reject_unknown

EXECUTION = ("checkpoint_every", "workers")

D = TypeVar("D")


@dataclass(frozen=True)
class RunConfig:
    """What every experiment that trains has in common; `steps=0` trains nothing.

    Names and defaults are those of `wsislib.engine.config.TrainConfig` (a test compares).
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


def config_from(cls: type[D], settings: Mapping[str, Any], where: str) -> D:
    """The settings `cls` from field name -> literal; a ValueError names `where` and the field."""
    return from_mapping(cls, settings, where, literals=True)


@functools.cache  # building a validator takes far longer than using it
def _adapter(cls: Any) -> TypeAdapter:
    return TypeAdapter(cls)


def from_mapping(
    cls: type[D],
    body: Any,
    where: str,
    *,
    literals: bool = False,
    scales: Iterable[str] = (),
    also: tuple[str, ...] = (),
    **given: Any,
) -> D:
    """A dataclass `cls` from field name -> value, as YAML gives it; None counts as {}.

    With `literals` an int refuses 1.5, '3' and true, and 5 in a float field becomes 5.0; without
    it the hints say how strict they are. `scales`: names that fields of type `PerScale` may use.
    `also`: keys that the caller has taken out of `body`; errors may suggest them. `given`: fields
    that `body` must not have, such as the name that it stands under. A ValueError names `where`
    and the field that is unknown (with near matches), is missing or has a wrong value.
    """
    body = mapping(body, where)
    # Here and not by pydantic, whose message has no near matches.
    known = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    reject_unknown(body, sorted({*known, *also} - given.keys()), where)
    adapter = _adapter(cls)  # type: ignore[arg-type]  # mypy takes a type variable for unhashable
    try:
        if literals:
            # pydantic's strict mode takes a list for a tuple in JSON only. YAML's dates are text.
            text = json.dumps({**body, **given}, default=str)
            return adapter.validate_json(text, strict=True)
        return adapter.validate_python({**body, **given}, context=scales)
    except ValidationError as error:
        raise _one_line(error, where) from None


def mapping(value: Any, where: str) -> Mapping[str, Any]:
    """`value`, which must be a mapping; None counts as an empty one."""
    if value is not None and not isinstance(value, Mapping):
        raise ValueError(f"{where}: expected a mapping, not {value!r}")
    return value or {}


def _one_line(error: ValidationError, where: str) -> ValueError:
    """The first complaint, such as 'study.yml: tables.one.steps: ..., not 1.5'."""
    first = error.errors(include_url=False)[0]
    value, message = first["input"], first["msg"][0].lower() + first["msg"][1:]
    if first["type"] == "value_error":  # raised by a check of ours, which names the value
        message = str(first["ctx"]["error"])
    elif first["type"] == "literal_error":
        choices = [item.strip("'") for item in re.split(", | or ", first["ctx"]["expected"])]
        message = f"unknown value {value!r}{did_you_mean(str(value), choices)}"
    elif first["type"] == "missing":
        message = "is missing"
    else:
        message += f", not {value!r}"
    if first["type"] == "float_type" and isinstance(value, str):
        message += " (YAML reads 1e-4 as text: write 1.0e-4)"
    return ValueError(f"{'.'.join([where, *map(str, first['loc'])])}: {message}")


def as_settings(config: RunConfig) -> dict[str, Any]:
    """Field name -> literal that JSON can hold (tuples become lists)."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def identity(settings: Mapping[str, Any]) -> dict[str, Any]:
    """`settings` without the fields that do not change what comes out."""
    return {key: value for key, value in settings.items() if key not in EXECUTION}


def digest(obj: Any) -> str:
    """Hex SHA-256 of the canonical JSON form of `obj`."""
    text = json.dumps(obj, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


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
