"""Tables of `study.yml` that begin where another one stands: the key `like`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wsislib.strict import near, need, only_keys

Bodies = dict[str, tuple[Any, str]]  # table -> what its file says of it, and the file

_TAKEN = ("experiment", "columns")


def likened(name: str, bodies: Bodies, above: tuple[str, ...] = ()) -> Any:
    """What is said of a table, with what it takes from the one that it is like.

    `like` is the other's name, or `{table: <name>, scales: [lab]}` where not all of its scales are
    meant. `experiment` and `columns` are the other's where the table has none of its own;
    `settings` and those of each scale are the other's, changed by its own.

    Args:
        name: of the table.
        bodies: of all tables.
        above: tables that led here.

    Raises:
        ValueError: there is no such table, or tables are like each other.
    """
    body, file = bodies[name]
    if not isinstance(body, Mapping) or "like" not in body:
        return body
    where, like = f"{file}: tables.{name}.like", body["like"]
    if not isinstance(like, Mapping):
        like = {"table": like}
    only_keys(like, ("table", "scales"), where)
    other = need(like, "table", where)
    if other not in bodies:
        raise ValueError(f"{where}: unknown table {other!r}{near(str(other), bodies)}")
    if other in (*above, name):
        raise ValueError(f"{where}: tables are like each other: {' -> '.join((*above, name))}")
    first = likened(other, bodies, (*above, name))
    mine = {key: value for key, value in body.items() if key != "like"}
    scales = first.get("scales")
    if "scales" in like:
        wanted = need(like, "scales", where, list)
        only_keys(dict.fromkeys(wanted), scales or {}, f"{where}.scales")
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
