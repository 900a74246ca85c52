"""The numbers of a row's runs, seed by seed: what chapters compute with beyond their tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from wsislib.study.declared import RunKey
from wsislib.study.resolve import runs_of_row, source_key
from wsislib.study.spec import load_study
from wsislib.study.store import open_store


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
