"""A row of a table with changed settings, as a row of its own.

    boxes prompt_weight:0 steps:400

names a row and what to change. Values are YAML: numbers, true, [0.6, 1.4]. The changed row has
another name, so its runs have a key of their own and never fill a cell of the declared row.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from wsisbook.runs.config import digest
from wsisbook.runs.declared import Row, RunKey, Study
from wsisbook.runs.resolve import resolve

_EXAMPLE = "such as 'boxes prompt_weight:0 steps:400'"


@dataclass(frozen=True)
class RowChange:
    """Which row is changed, and how: setting -> value."""

    row: str
    settings: Mapping[str, Any]

    def __str__(self) -> str:
        return ", ".join(f"{name} = {value}" for name, value in self.settings.items())


def read_row_change(text: str) -> RowChange:
    """The change that a text names.

    Raises:
        ValueError: the text names no row or no change, a setting twice, or is no such text.
    """
    try:
        row, *changes = shlex.split(text)
    except ValueError:
        raise ValueError(f"override {text!r}: expected a row and its changes, {_EXAMPLE}") from None
    settings: dict[str, Any] = {}
    for change in changes:
        name, colon, value = change.partition(":")
        if not colon or not name or name in settings:
            raise ValueError(f"override {text!r}: {change!r} is no new change, {_EXAMPLE}")
        try:
            settings[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ValueError(f"override {text!r}: {value!r} cannot be read as YAML") from None
    if ":" in row or not settings:
        raise ValueError(f"override {text!r}: expected a row and its changes, {_EXAMPLE}")
    return RowChange(row, settings)


def with_changed_row(study: Study, scale: str, table: str, change: RowChange) -> tuple[Study, str]:
    """The study with one more row in `table`, and the name of that row.

    A row that shows one head of a run that trains several gets a run of that head alone; settings
    that the run does not have are the head's.

    Raises:
        ValueError: there is no such table, scale, row or setting, or the row's runs cannot be
            changed from here.
    """
    declared = study.table(table).row(change.row)
    name = f"{change.row}-{digest([table, change.row, dict(change.settings)])[:8]}"
    title = f"{declared.title}: {change}"
    if declared.view is None:
        row = _changed(declared, name, title, scale, change.settings)
        changed = _with_rows(study, table, row)
    else:
        view = declared.view
        source = study.table(view.table).row(view.row)
        run = resolve(study, RunKey(scale, view.table, view.row, 0))
        head, _, rest = view.prefix.partition(".")
        heads = run.settings.get("heads") or {}
        if head not in heads or rest:
            raise ValueError(
                f"override: the row {change.row!r} of {table!r} shows a part of the run "
                f"{view.table}/{view.row}; change that row of that table instead"
            )
        known = {field.name for field in dataclasses.fields(run.config)}
        own = {k: v for k, v in change.settings.items() if k in known}
        of_head = {k: v for k, v in change.settings.items() if k not in known}
        settings = {**own, "heads": {head: {**heads[head], **of_head}}}
        trained = _changed(source, name, title, scale, settings)
        shown = dataclasses.replace(
            declared, name=name, title=title, published={}, compare=False,
            view=dataclasses.replace(view, row=name),
        )  # fmt: skip
        changed = _with_rows(_with_rows(study, view.table, trained), table, shown)
    resolve(changed, RunKey(scale, table, name, 0))  # an unknown setting is named here
    return changed, name


def _changed(row: Row, name: str, title: str, scale: str, settings: Mapping[str, Any]) -> Row:
    # What a row says of a scale wins over all else, so the changes are put there.
    scales = {**row.scales, scale: {**row.scales.get(scale, {}), **settings}}
    return dataclasses.replace(
        row, name=name, title=title, scales=scales, published={}, compare=False
    )


def _with_rows(study: Study, table: str, *rows: Row) -> Study:
    declared = study.table(table)
    more = {**declared.rows, **{row.name: row for row in rows}}
    tables = {**study.tables, table: dataclasses.replace(declared, rows=more)}
    return dataclasses.replace(study, tables=tables)
