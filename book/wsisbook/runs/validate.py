"""Dataclasses from mappings, checked by pydantic; every error is one line that names its entry."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from wsislib.strict import did_you_mean, reject_unknown

D = TypeVar("D")


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
