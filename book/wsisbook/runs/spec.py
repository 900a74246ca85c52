"""Reads `book/study.yml`: every table of the study as data.

    include: [part1_transfer/study.yml]     # further files, which hold `tables` alone
    experiments:                  # name -> where its code is
      mask_rcnn: wsisbook.experiments.settings:MASK_RCNN
    scales:                       # name -> seeds of every row, and a line for the reader
      lab: {seeds: [0, 1, 2], about: ...}
    tables:
      masks-are-worth:
        title: What masks are worth
        experiment: mask_rcnn     # or 'package.module:NAME'
        notebook: part0_basics/masks_are_worth
        columns:
          AP_B: {metric: segm.B.AP, title: AP on B, published: AP}
        settings: {...}           # of the experiment, what all rows share
        scales: {smoke: {...}, lab: {...}}  # what a scale changes; only these can be run
        seeds: {paper: [0]}       # other seeds than the scale's
        rows:
          agnostic-a:
            title: class-agnostic, masks of A
            change: {...}         # what this row changes
            needs: {detector: {table: detectors, row: lab}}     # same seed; or `seed: 0`
            published: {paper: ..., table: ..., row: ...}       # which cells it answers to
            compare: false        # an upper bound: no part of the search for the best row
          agnostic-{split}:       # one row for each value; '{split}' is filled in everywhere
            for: {split: [e1, e2]}
          head-3:
            view: {table: heads, row: all, prefix: head-3}      # numbers of another row's run
      masks-are-dear:
        extends: masks-are-worth  # or {table: masks-are-worth, scales: [lab]}

Settings apply in this order: the experiment's defaults, the table, the table at the scale, the
row, the row at the scale. A table that extends another inherits its experiment, columns, settings
and scales, and changes them by its own. Unknown keys, tables, rows and scales are errors.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from wsisbook.runs.config import from_mapping, mapping
from wsisbook.runs.declared import Column, Need, Row, Scale, Study, Table, View
from wsisbook.runs.paths import MARKER, repository_root
from wsislib.strict import did_you_mean, read_yaml, reject_unknown

T = TypeVar("T")
Bodies = dict[str, tuple[Any, str]]  # table -> what its file says of it, and the file


@dataclass(frozen=True)
class _Included:
    tables: dict[str, Any]


@dataclass(frozen=True)
class _Main(_Included):
    scales: dict[str, Any]
    experiments: dict[str, str] = field(default_factory=dict)
    include: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Extends:
    table: str
    scales: tuple[str, ...] | None = None


def load_study(file: Path | None = None) -> Study:
    """The study that `file` declares; `book/study.yml` of this repository if None.

    A ValueError names the file and the entry that is unknown, missing or of the wrong type.
    """
    path = repository_root() / MARKER if file is None else Path(file)
    main = from_mapping(_Main, read_yaml(path), path.name)
    scales = _each(Scale, main.scales, f"{path.name}: scales")
    bodies: Bodies = {table: (body, path.name) for table, body in main.tables.items()}
    for name in main.include:
        further = from_mapping(_Included, read_yaml(path.parent / name), name)
        for table, body in further.tables.items():
            if table in bodies:
                raise ValueError(f"{name}: table {table!r} is in another file already")
            bodies[table] = (body, name)
    tables = {
        name: _table(name, _inherit(name, bodies), f"{file}: tables.{name}", scales)
        for name, (_, file) in bodies.items()
    }
    included = tuple((path.parent / name).resolve() for name in main.include)
    study = Study(path.resolve(), scales, tables, main.experiments, included)
    _check_references(study)
    return study


def _table(name: str, body: Any, where: str, scales: Iterable[str]) -> Table:
    body = dict(mapping(body, where))
    if "columns" in body:  # where a key is missing, `from_mapping` says so
        body["columns"] = tuple(_each(Column, body["columns"], f"{where}.columns").values())
    if "rows" in body:
        body["rows"] = _rows(mapping(body["rows"], f"{where}.rows"), f"{where}.rows", scales)
    return from_mapping(Table, body, where, scales=scales, also=("extends",), name=name)


def _each(cls: type[T], bodies: Any, where: str) -> dict[str, T]:
    """Name -> the `cls` that stands under it."""
    return {
        name: from_mapping(cls, body, f"{where}.{name}", name=name)
        for name, body in mapping(bodies, where).items()
    }


def _rows(bodies: Mapping[str, Any], where: str, scales: Iterable[str]) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for pattern, body in bodies.items():
        for name, filled in _expand(str(pattern), body, f"{where}.{pattern}"):
            if name in rows:
                raise ValueError(f"{where}.{pattern}: row {name!r} is there twice")
            rows[name] = _row(name, filled, f"{where}.{name}", scales)
    return rows


def _row(name: str, body: dict[str, Any], where: str, scales: Iterable[str]) -> Row:
    body = {"title": name, **body}
    body["needs"] = {
        key: from_mapping(Need, need, f"{where}.needs.{key}")
        for key, need in mapping(body.get("needs"), f"{where}.needs").items()
    }
    if body.get("view") is not None:
        body["view"] = from_mapping(View, body["view"], f"{where}.view")
    known = {"for", *(entry.name for entry in fields(Row))} - {"name"}
    if stray := [key for key in body if key not in known]:
        text = did_you_mean(stray[0], known)
        raise ValueError(
            f"{where}: unknown key {stray[0]!r}{text}; settings of the experiment go under 'change'"
        )
    return from_mapping(Row, body, where, scales=scales, name=name)


def _expand(pattern: str, body: Any, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """One (name, body) for each combination of the row's `for` values."""
    body = dict(mapping(body, where))
    loops = mapping(body.pop("for", None), f"{where}.for")
    for variable, values in loops.items():
        if not isinstance(values, list) or not values:
            raise ValueError(f"{where}.for.{variable}: expected a list of values, not {values!r}")
        if "{" + variable + "}" not in pattern:
            raise ValueError(f"{where}: the row's name must hold '{{{variable}}}'")
    for choice in itertools.product(*loops.values()):
        values = dict(zip(loops, choice, strict=True))
        yield _fill(pattern, values), _fill(body, values)


def _fill(item: Any, values: Mapping[str, Any]) -> Any:
    """`item` with '{name}' replaced; a text that is nothing but '{name}' takes the value's type."""
    if isinstance(item, dict):
        return {_fill(key, values): _fill(value, values) for key, value in item.items()}
    if isinstance(item, list):
        return [_fill(value, values) for value in item]
    if not isinstance(item, str):
        return item
    for name, value in values.items():
        if item == "{" + name + "}":
            return value
        item = item.replace("{" + name + "}", str(value))
    return item


def _inherit(name: str, bodies: Bodies, path: tuple[str, ...] = ()) -> Any:
    """The declaration of a table with what it inherits; `path`: the tables that led here."""
    body, file = bodies[name]
    if not isinstance(body, Mapping) or "extends" not in body:
        return body
    where, extends = f"{file}: tables.{name}.extends", body["extends"]
    if isinstance(extends, str):
        extends = {"table": extends}
    base = from_mapping(_Extends, extends, where)
    if base.table not in bodies:
        raise ValueError(f"{where}: unknown table {base.table!r}{did_you_mean(base.table, bodies)}")
    path = (*path, name)
    if base.table in path:
        raise ValueError(f"{where}: tables extend each other: {' -> '.join(path)}")
    parent = _inherit(base.table, bodies, path)
    scales = parent.get("scales") or {}
    if base.scales is not None:
        reject_unknown(base.scales, scales, f"{where}.scales")
        scales = {scale: scales[scale] for scale in base.scales}
    overrides = {key: value for key, value in body.items() if key != "extends"}
    return {
        **{key: parent[key] for key in ("experiment", "columns") if key in parent},
        **overrides,
        "settings": _merge(parent.get("settings"), overrides.get("settings"), 1),
        "scales": _merge(scales, overrides.get("scales"), 2),
    }


def _merge(parent: Any, child: Any, levels: int) -> Any:
    """Mappings merged `levels` deep, where the child's values win."""
    if child is None and levels:
        return parent
    if not (levels and isinstance(parent, Mapping) and isinstance(child, Mapping)):
        return child
    merged = {key: _merge(parent.get(key), value, levels - 1) for key, value in child.items()}
    return {**parent, **merged}


def _check_references(study: Study) -> None:
    """Every need and view names a row that runs; no run needs itself."""
    for table in study.tables.values():
        for row in table.rows.values():
            where = f"{study.file.name}: tables.{table.name}.rows.{row.name}"
            links: list[Need | View] = [*row.needs.values(), *([row.view] if row.view else [])]
            for link in links:
                try:
                    target = study.table(link.table).row(link.row)
                except ValueError as error:
                    raise ValueError(f"{where}: {error}") from None
                if target.view is not None:
                    raise ValueError(f"{where}: {link.table}/{link.row} has no run of its own")
            _check_cycle(study, table.name, row.name, ())


def _check_cycle(study: Study, table: str, row: str, path: tuple[str, ...]) -> None:
    here = f"{table}/{row}"
    if here in path:
        raise ValueError(f"{study.file.name}: runs need each other: {' -> '.join((*path, here))}")
    for link in study.table(table).row(row).needs.values():
        _check_cycle(study, link.table, link.row, (*path, here))
