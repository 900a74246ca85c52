"""The numbers of a row's runs, seed by seed: what chapters compute with beyond their tables."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from wsisbook.runs.declared import RunKey
from wsisbook.runs.resolve import runs_of_row, source_key
from wsisbook.runs.spec import load_study
from wsisbook.runs.store import open_store
from wsisbook.tables.tables import metric_value


def seed_metrics(table: str, row: str, scale: str = "lab") -> dict[int, Any]:
    """Seed -> metrics.json of the run that fills a row, whole; seeds that were not run are absent.

    Raises:
        ValueError: unknown table, row or scale, or a corrupt file.
    """
    study = load_study()
    if scale not in study.table(table).scales:
        return {}
    store, keys = open_store(scale, study.root), runs_of_row(study, table, row, scale)
    found = {key.seed: store.read(key, "metrics.json") for key in keys}
    return {seed: metrics for seed, metrics in found.items() if metrics is not None}


def category_ap(table: str, row: str, scale: str = "lab", kind: str = "segm") -> pd.DataFrame:
    """AP of every category: one line a category, one column a seed; NaN where it is undefined.

    A row that shows one head of a run, or a run with A and B exchanged, has the categories of that
    head; they do not depend on what is called A.

    Args:
        table: of the study.
        row: its row.
        scale: "lab", "smoke" or "paper".
        kind: "segm" or "bbox".
    """
    view = load_study().table(table).row(row).view
    path = view.prefix.split(".") if view is not None and view.prefix else []
    columns = {
        seed: _deepest(metrics, path, kind)
        for seed, metrics in seed_metrics(table, row, scale).items()
    }
    return pd.DataFrame(columns, dtype=float)


def folder_of_run(table: str, row: str, seed: int, scale: str) -> Path:
    """The folder of the run that fills a row; it need not be there."""
    study = load_study()
    return open_store(scale, study.root).folder(source_key(study, RunKey(scale, table, row, seed)))


def _deepest(metrics: Any, path: list[str], kind: str) -> dict[str, float | None]:
    """The `per_category` of the last place on `path` that has one."""
    found: dict[str, float | None] = {}
    for name in ["", *path]:
        metrics = metrics if name == "" else metrics.get(name, {})
        found = metrics.get("per_category", {}).get(kind, found)
    return found


def run_numbers(
    table: str,
    rows: Sequence[str],
    columns: Mapping[str, str],
    scale: str = "lab",
    digits: int = 2,
) -> pd.DataFrame:
    """Numbers of the runs that are no column of their table, as a reader sees them.

    Args:
        table: of the study.
        rows: its rows; one line each, under its title.
        columns: heading -> dotted path in metrics.json.
        scale: "lab", "smoke" or "paper".
        digits: after the point.

    Returns:
        Texts: mean and standard deviation over seeds; "" where the runs have no such number, and
        "not run".

    Raises:
        ValueError: unknown table, row or scale, or a corrupt file.
    """
    declared, lines = load_study().table(table), {}
    for row in rows:
        found = seed_metrics(table, row, scale).values()
        lines[declared.row(row).title] = {
            heading: _spread([metric_value(metrics, path) for metrics in found], digits)
            for heading, path in columns.items()
        }
    return pd.DataFrame.from_dict(lines, orient="index", columns=list(columns))


def _spread(found: Sequence[float | None], digits: int) -> str:
    if not found:
        return "not run"
    values = [value for value in found if value is not None]
    if not values:
        return ""
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.{digits}f}{spread} ({len(values)})"
