"""Tables of `study.yml` that begin where another one stands: the key `extends`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wsislib.strict import did_you_mean, reject_unknown, require

Bodies = dict[str, tuple[Any, str]]  # table -> what its file says of it, and the file

_TAKEN = ("experiment", "columns")


def inherit(name: str, bodies: Bodies, above: tuple[str, ...] = ()) -> Any:
    """The declaration of a table, with what it inherits from the table that it extends.

    `extends` is the other table's name, or `{table: <name>, scales: [lab]}` to inherit some of its
    scales only. `experiment` and `columns` are inherited where the table has none of its own;
    `settings`, and those of each scale, are inherited and changed by the table's own.

    Args:
        name: of the table.
        bodies: of all tables.
        above: tables that led here.

    Raises:
        ValueError: there is no such table, or tables extend each other.
    """
    body, file = bodies[name]
    if not isinstance(body, Mapping) or "extends" not in body:
        return body
    where, extends = f"{file}: tables.{name}.extends", body["extends"]
    if not isinstance(extends, Mapping):
        extends = {"table": extends}
    reject_unknown(extends, ("table", "scales"), where)
    other = require(extends, "table", where)
    if other not in bodies:
        raise ValueError(f"{where}: unknown table {other!r}{did_you_mean(str(other), bodies)}")
    if other in (*above, name):
        raise ValueError(f"{where}: tables extend each other: {' -> '.join((*above, name))}")
    first = inherit(other, bodies, (*above, name))
    mine = {key: value for key, value in body.items() if key != "extends"}
    scales = first.get("scales")
    if "scales" in extends:
        wanted = require(extends, "scales", where, list)
        reject_unknown(dict.fromkeys(wanted), scales or {}, f"{where}.scales")
        scales = {scale: scales[scale] for scale in wanted}
    taken = {key: first[key] for key in _TAKEN if key in first}
    return {
        **taken,
        **mine,
        "settings": _over(first.get("settings"), mine.get("settings")),
        "scales": _each_over(scales, mine.get("scales")),
    }


def _each_over(first: Any, mine: Any) -> Any:
    """Settings of each scale; what is no mapping is left to the reader of the table."""
    if not isinstance(first, Mapping) or not isinstance(mine, Mapping):
        return first if mine is None else mine
    return {**first, **{scale: _over(first.get(scale), own) for scale, own in mine.items()}}


def _over(first: Any, mine: Any) -> Any:
    """One mapping of both, where both are mappings."""
    if not isinstance(first, Mapping) or not isinstance(mine, Mapping):
        return first if mine is None else mine
    return {**first, **mine}
