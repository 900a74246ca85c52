"""What notebooks call: a table, its provenance, and the predictions a run kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from wsisbook.runs.declared import RunKey
from wsisbook.runs.resolve import resolve, source_key
from wsisbook.runs.spec import load_study
from wsisbook.runs.state import RunState, run_state
from wsisbook.runs.store import open_store
from wsisbook.tables.table_text import Shown
from wsisbook.tables.table_text import provenance as provenance_of
from wsisbook.tables.tables import TableResult, build_table
from wsisbook.tables.verdicts import Verdicts, verdicts_on
from wsislib.atomic import read_json


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


def verdicts(tables: Sequence[str], scale: str = "lab") -> Verdicts:
    """The papers' claims that these tables answer, judged by our runs; for the end of a cell."""
    study = load_study()
    return verdicts_on(study, open_store(scale, study.root), scale, tables)


def seeds(table: str, row: str, scale: str = "lab") -> tuple[int, ...]:
    """The seeds that the study asks of a row."""
    return load_study().seeds(table, row, scale)


def per_category(table: str, row: str, scale: str = "lab") -> pd.DataFrame:
    """Mask AP of every category in the runs that fill a row: one column a seed, none if not run.

    NaN where the validation images hold no object of a category.
    """
    result, head = table_result(table, scale), _head(table, row)
    columns = {}
    for run in result.cell(row, result.table.columns[0].name).runs:
        metrics = read_json(result.store.root / run / "metrics.json")
        own = metrics.get(head, {})
        judged = own if "per_category" in own else metrics
        columns[run.rpartition("/")[2]] = judged["per_category"]["segm"]
    return pd.DataFrame(columns, dtype=float)


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


def examples(table: str, row: str, seed: int = 0, scale: str = "lab") -> list[dict[str, Any]]:
    """What a row found in the first validation images, as COCO results; empty if not run.

    Where the row shows one of several heads of a run, the head's own masks; where it is the run
    of several heads, those of all, with the name of each under "head".
    """
    found: list[dict[str, Any]] = run_file(table, row, seed, scale, "examples.json") or []
    head = _head(table, row)
    return [result for result in found if not head or result.get("head", head) == head]


def history(table: str, row: str, seed: int = 0, scale: str = "lab") -> pd.DataFrame | None:
    """The training history of a run, None where it has none.

    Where the row shows one of several heads of a run, columns such as `loss_mask.<head>` of that
    head are called `loss_mask`, and those of the other heads are left out.
    """
    study = load_study()
    key = source_key(study, RunKey(scale, table, row, seed))
    file = open_store(scale, study.root).folder(key) / "history.csv"
    if not file.is_file():
        return None
    frame, own = pd.read_csv(file), f".{_head(table, row)}"
    columns = [str(column) for column in frame.columns]
    if not any(column.endswith(own) for column in columns):
        return frame
    kept = [column for column in columns if "." not in column or column.endswith(own)]
    return frame[kept].rename(columns=lambda column: column.removesuffix(own))


def _head(table: str, row: str) -> str:
    """The head that a row shows of a run that trains several; "" where it shows a whole run.

    A prefix may go on after the head: `oracle.reversed` is the oracle in the other direction.
    """
    view = load_study().table(table).row(row).view
    return "" if view is None else view.prefix.partition(".")[0]
