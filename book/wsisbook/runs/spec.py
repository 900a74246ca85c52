"""Reads `book/study.yml`: every table of the study as data.

    include: [part1_transfer/study.yml]     # further files, which hold `tables` alone
    scales:                       # name -> seeds of every row, and a line for the reader
      lab: {seeds: [0, 1, 2], about: ...}
    tables:
      masks-are-worth:
        title: What masks are worth
        experiment: mask_rcnn     # runs/experiments.py, or 'package.module:NAME'
        notebook: part0_basics/masks_are_worth
        columns:
          AP_B: {metric: segm.B.AP, title: AP on B, published: AP}
        settings: {...}           # what all rows share
        scales: {lab: {...}}      # what a scale changes; only these scales can be run
        seeds: {paper: [0]}       # other seeds than the scale's
        rows:
          agnostic-a:
            title: class-agnostic, masks of A
            change: {...}         # what this row changes
            needs: {detector: {table: detectors, row: lab}}     # same seed; or `seed: 0`
            published: {paper: ..., table: ..., row: ...}       # which cells it answers to
            compare: false        # an upper line: no part of the search for the best row
          agnostic-{split}:       # one row for each value; '{split}' is filled in everywhere
            for: {split: [e1, e2]}
          head-3:
            view: {table: heads, row: all, prefix: head-3}      # numbers of another row's run
      masks-are-dear:
        extends: masks-are-worth  # its experiment, columns, settings and scales come first

Settings apply in this order: the experiment's defaults, the table, the table at the scale, the
row, the row at the scale. Unknown keys, tables, rows and scales are errors.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from wsisbook.runs.declared import Column, Need, Row, Scale, Study, Table, View
from wsisbook.runs.inherit import Bodies, inherit
from wsisbook.runs.paths import study_file
from wsislib.strict import read_yaml, reject_unknown, require

_TABLE_KEYS = (
    "title", "about", "extends", "experiment", "notebook", "columns", "settings", "scales", "seeds",
    "rows",
)  # fmt: skip
_ROW_KEYS = (
    "title", "about", "group", "experiment", "change", "scales", "seeds", "needs", "view",
    "published", "for", "compare",
)  # fmt: skip
_PUBLISHED_KEYS = ("paper", "table", "row", "direction", "dataset", "backbone")


def load_study(file: Path | None = None) -> Study:
    """The study that `file` declares; `book/study.yml` of this repository if None.

    Raises:
        ValueError: anything is unknown, missing or of the wrong type; names file and path.
    """
    path = Path(file) if file is not None else study_file()
    top = reject_unknown(read_yaml(path), ("include", "scales", "tables"), path.name)
    scales = {
        name: _scale(name, body, f"{path.name}: scales.{name}")
        for name, body in require(top, "scales", path.name, dict).items()
    }
    bodies = _bodies(top, path.name)
    included = require({"include": [], **top}, "include", path.name, list)
    for name in included:
        further = reject_unknown(read_yaml(path.parent / name), ("tables",), name)
        for table, body in _bodies(further, name).items():
            if table in bodies:
                raise ValueError(f"{name}: table {table!r} is in another file already")
            bodies[table] = body
    tables = {
        name: _table(name, inherit(name, bodies), f"{file}: tables.{name}", scales)
        for name, (_, file) in bodies.items()
    }
    files = tuple((path.parent / name).resolve() for name in included)
    study = Study(path.resolve(), scales, tables, files)
    _check_references(study)
    return study


def _bodies(top: Mapping[str, Any], file: str) -> Bodies:
    return {name: (body, file) for name, body in require(top, "tables", file, dict).items()}


def _scale(name: str, body: Any, where: str) -> Scale:
    reject_unknown(body, ("seeds", "about"), where)
    return Scale(name, _seed_list(body.get("seeds"), f"{where}.seeds"), str(body.get("about", "")))


def _seed_list(value: Any, where: str) -> tuple[int, ...]:
    good = isinstance(value, list) and value and all(type(item) is int for item in value)
    if not good or len(set(value)) != len(value) or min(value) < 0:
        raise ValueError(f"{where}: a list of different seeds >= 0 is wanted, found {value!r}")
    return tuple(value)


def _seeds(value: Any, where: str, scales: Iterable[str]) -> dict[str, tuple[int, ...]]:
    return {
        name: _seed_list(seeds, f"{where}.{name}")
        for name, seeds in reject_unknown(value, scales, where).items()
    }


def _per_scale(value: Any, where: str, scales: Iterable[str]) -> dict[str, dict[str, Any]]:
    return {
        name: dict(_mapping(settings, f"{where}.{name}"))
        for name, settings in reject_unknown(value, scales, where).items()
    }


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    """`value`, which must be a mapping; nothing counts as an empty one."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError(f"{where}: a mapping is wanted here, found {value!r}")
    return value


def _table(name: str, body: Any, where: str, scales: Mapping[str, Scale]) -> Table:
    reject_unknown(body, _TABLE_KEYS, where)
    rows: dict[str, Row] = {}
    for pattern, row_body in require(body, "rows", where, dict).items():
        for row_name, filled in _expand(str(pattern), row_body, f"{where}.rows.{pattern}"):
            if row_name in rows:
                raise ValueError(f"{where}.rows.{pattern}: row {row_name!r} is there twice")
            rows[row_name] = _row(row_name, filled, f"{where}.rows.{row_name}", scales)
    columns = require(body, "columns", where, dict)
    return Table(
        name=name,
        title=require(body, "title", where),
        experiment=require(body, "experiment", where),
        about=str(body.get("about", "")),
        notebook=str(body.get("notebook", "")),
        settings=dict(_mapping(body.get("settings"), f"{where}.settings")),
        scales=_per_scale(require(body, "scales", where, dict), f"{where}.scales", scales),
        seeds=_seeds(body.get("seeds"), f"{where}.seeds", scales),
        columns=tuple(_column(key, c, f"{where}.columns.{key}") for key, c in columns.items()),
        rows=rows,
    )


def _column(name: str, body: Any, where: str) -> Column:
    reject_unknown(body, [f.name for f in dataclasses.fields(Column) if f.name != "name"], where)
    require(body, "metric", where)
    require(body, "title", where)
    if body.get("better", "higher") not in ("higher", "lower"):
        raise ValueError(f"{where}.better: 'higher' or 'lower', found {body['better']!r}")
    return Column(name=name, **body)


def _expand(pattern: str, body: Any, where: str) -> Iterator[tuple[str, Any]]:
    """One (name, body) for each combination of the row's `for` values."""
    reject_unknown(body, _ROW_KEYS, where)
    body = dict(body or {})
    loops = _mapping(body.pop("for", None), f"{where}.for")
    for variable, values in loops.items():
        if not isinstance(values, list) or not values:
            raise ValueError(f"{where}.for.{variable}: a list of values is wanted")
        if "{" + variable + "}" not in pattern:
            raise ValueError(f"{where}: the row's name must hold '{{{variable}}}'")
    for choice in itertools.product(*loops.values()):
        chosen = dict(zip(loops, choice, strict=True))
        yield _fill(pattern, chosen), _fill(body, chosen)


def _fill(value: Any, chosen: Mapping[str, Any]) -> Any:
    """`value` with '{name}' replaced; a text that is nothing but '{name}' takes its type."""
    if isinstance(value, dict):
        return {_fill(key, chosen): _fill(item, chosen) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, chosen) for item in value]
    if not isinstance(value, str):
        return value
    for name, choice in chosen.items():
        if value == "{" + name + "}":
            return choice
        value = value.replace("{" + name + "}", str(choice))
    return value


def _row(name: str, body: Any, where: str, scales: Mapping[str, Scale]) -> Row:
    view = body.get("view")
    if view is not None:
        reject_unknown(view, ("table", "row", "prefix"), f"{where}.view")
        for key in ("change", "scales", "needs", "experiment"):
            if key in body:
                raise ValueError(f"{where}: a row with `view` has no run, so no {key!r}")
        view = View(
            require(view, "table", f"{where}.view"),
            require(view, "row", f"{where}.view"),
            str(view.get("prefix", "")),
        )
    needs = _mapping(body.get("needs"), f"{where}.needs")
    published = reject_unknown(body.get("published"), _PUBLISHED_KEYS, f"{where}.published")
    return Row(
        name=name,
        title=str(body.get("title", name)),
        compare=require({"compare": True, **body}, "compare", where, bool),
        about=str(body.get("about", "")),
        group=str(body.get("group", "")),
        experiment=str(body.get("experiment", "")),
        change=dict(_mapping(body.get("change"), f"{where}.change")),
        scales=_per_scale(body.get("scales"), f"{where}.scales", scales),
        seeds=_seeds(body.get("seeds"), f"{where}.seeds", scales),
        needs={key: _need(item, f"{where}.needs.{key}") for key, item in needs.items()},
        view=view,
        published={key: str(item) for key, item in published.items()},
    )


def _need(body: Any, where: str) -> Need:
    reject_unknown(body, ("table", "row", "seed"), where)
    seed = body.get("seed") if isinstance(body, Mapping) else None
    if seed is not None and type(seed) is not int:
        raise ValueError(f"{where}.seed: a whole number is wanted, found {seed!r}")
    return Need(require(body, "table", where), require(body, "row", where), seed)


def _check_references(study: Study) -> None:
    """Every need and view names a row that runs; no run needs itself."""
    for table in study.tables.values():
        for row in table.rows.values():
            where = f"{study.file.name}: tables.{table.name}.rows.{row.name}"
            links: list[Need | View] = list(row.needs.values())
            links += [row.view] if row.view else []
            for link in links:
                try:
                    target = study.table(link.table).row(link.row)
                except ValueError as error:
                    raise ValueError(f"{where}: {error}") from None
                if target.view is not None:
                    raise ValueError(f"{where}: {link.table}/{link.row} has no run of its own")
            _check_cycle(study, table.name, row.name, ())


def _check_cycle(study: Study, table: str, row: str, above: tuple[str, ...]) -> None:
    here = f"{table}/{row}"
    if here in above:
        raise ValueError(f"{study.file.name}: runs need each other: {' -> '.join((*above, here))}")
    for link in study.table(table).row(row).needs.values():
        _check_cycle(study, link.table, link.row, (*above, here))
