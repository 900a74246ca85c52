"""What notebooks call: a table, its provenance, and the predictions a run kept."""

from __future__ import annotations

from typing import Any

import pandas as pd

from wsislib.study.declared import RunKey
from wsislib.study.resolve import resolve, source_key
from wsislib.study.spec import load_study
from wsislib.study.state import RunState, run_state
from wsislib.study.store import open_store
from wsislib.study.table_text import Shown
from wsislib.study.table_text import provenance as provenance_of
from wsislib.study.tables import TableResult, build_table


def table_result(name: str, scale: str = "lab") -> TableResult:
    """The table `name` with its numbers, for code."""
    study = load_study()
    return build_table(study, open_store(scale, study.root), name, scale)


def show_table(name: str, scale: str = "lab") -> Shown:
    """The table `name`, *paper | ours mean ± std (n seeds)*, with its provenance folded under."""
    return Shown(table_result(name, scale))


def provenance(name: str, scale: str = "lab") -> pd.DataFrame:
    """Where the numbers of a table come from, one line a run."""
    return provenance_of(table_result(name, scale))


def run_config(table: str, row: str, seed: int = 0, scale: str = "lab") -> Any:
    """The resolved settings of a run."""
    return resolve(load_study(), RunKey(scale, table, row, seed)).config


def state_of(table: str, row: str, seed: int = 0, scale: str = "lab") -> RunState:
    """Whether a run is done, missing, stale, and why."""
    study = load_study()
    return run_state(study, open_store(scale, study.root), RunKey(scale, table, row, seed))


def run_file(table: str, row: str, seed: int, scale: str, name: str) -> Any:
    """A JSON file of a run, such as examples.json; None where the run has none.

    examples.json holds COCO results (masks as RLE) of the run's first validation images.
    """
    study = load_study()
    key = source_key(study, RunKey(scale, table, row, seed))
    return open_store(scale, study.root).read(key, name)


def history(table: str, row: str, seed: int = 0, scale: str = "lab") -> pd.DataFrame | None:
    """The training history of a run, None where it has none."""
    study = load_study()
    key = source_key(study, RunKey(scale, table, row, seed))
    file = open_store(scale, study.root).folder(key) / "history.csv"
    return pd.read_csv(file) if file.is_file() else None
