"""Runs that a notebook starts: what a table lacks, and rows with changed settings.

Changed rows have a store of their own under `build/`, which git does not see, so that no number of
theirs can be committed by accident.
"""

from __future__ import annotations

import html
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from wsisbook.plan import costs
from wsisbook.plan.plan import make_plan
from wsisbook.plan.step_times import gpu_rate, read_step_times
from wsisbook.runs.changed_row import read_row_change, with_changed_row
from wsisbook.runs.declared import RunKey, Study
from wsisbook.runs.paths import BUILDING, build_folder
from wsisbook.runs.resolve import resolve, with_needs
from wsisbook.runs.run import execute
from wsisbook.runs.state import run_state
from wsisbook.runs.stopwatch import duration
from wsisbook.runs.store import RunStore, open_store
from wsisbook.tables.table_result import TableResult
from wsisbook.tables.tables import Results

SMOKE = "smoke"  # its runs take seconds, so notebooks do them without being asked
_WAIT = 600.0  # seconds; two notebooks may want the same run


def train_missing(study: Study, scale: str, tables: Iterable[str], asked: bool) -> int:
    """Do the unfinished runs of `tables` if `asked`, or at the scale `smoke`; how many they were.

    Says first what they will cost. Building the book never starts a run.
    """
    there = [name for name in tables if scale in study.table(name).scales]
    if _building() or not there or not (asked or scale == SMOKE):
        return 0
    plan = make_plan(study, open_store(scale, study.root), scale, there)
    if plan.jobs and scale != SMOKE:
        print(plan.text(), flush=True)
    for job in plan.jobs:
        key = job.key
        execute(key.table, key.row, key.seed, scale, study=study, progress=False, wait=_WAIT)
    return len(plan.jobs)


@dataclass(frozen=True)
class ChangedRow:
    """A changed row beside the declared one; shown at the end of a cell.

    Attributes:
        changed: the table with both rows, of which the changed one alone has numbers here.
        declared: the table as it is committed.
        row: the changed row's name.
        base: the declared row's name.
        seed: of the changed row's run.
        folder: where the changed runs lie.
    """

    changed: TableResult
    declared: TableResult
    row: str
    base: str
    seed: int
    folder: Path

    def frame(self) -> pd.DataFrame:
        """One line each: the declared row's mean over its seeds, its same seed, the changed row."""
        table = self.changed.table
        rows, base = {}, table.row(self.base).title
        for column in table.columns:
            before = self.declared.cell(self.base, column.name)
            after = self.changed.cell(self.row, column.name)
            digits = column.digits
            runs = zip(before.runs, before.values, strict=True)
            by_seed = {int(run.rpartition("-")[2]): value for run, value in runs}
            same = by_seed.get(self.seed)
            rows[column.title] = {
                f"{base} (all seeds)": before.text,
                f"{base} (seed {self.seed})": "not run" if same is None else f"{same:.{digits}f}",
                f"{table.row(self.row).title} (seed {self.seed})": after.text,
            }
        return pd.DataFrame(rows)

    def _repr_html_(self) -> str:
        if any(cell.values for (row, _), cell in self.changed.cells.items() if row == self.row):
            note = (
                f"One run of the changed row, seed {self.seed}. Its files are under {self.folder}; "
                "they are not part of the book."
            )
        else:
            note = "Building the book starts no run: execute the notebook to train the changed row."
        return self.frame().to_html(border=0) + f"<p>{html.escape(note)}</p>"

    def __repr__(self) -> str:
        return self.frame().to_string()


def try_changed_row(results: Results, table: str, override: str, seed: int) -> ChangedRow | None:
    """Train a row with changed settings and lay it beside the declared one; None without a change.

    The changed settings are checked and the cost is said before anything runs. A run that was done
    before is not done again.

    Args:
        results: the study at the scale of the notebook.
        table: the declared table.
        override: such as "boxes prompt_weight:0 steps:400"; "" is no change.
        seed: of the run.

    Raises:
        ValueError: the table has no such row, or the row's run no such setting.
    """
    if not override.strip():
        return None
    change, scale = read_row_change(override), results.scale
    study, name = with_changed_row(results.study, scale, table, change)
    shown = build_folder(study.root).relative_to(study.root) / "changed" / scale
    store = RunStore(study.root / shown)
    key = RunKey(scale, table, name, seed)
    todo = _unfinished(study, store, results.store, key)
    if todo:
        print(
            f"{study.table(table).row(name).title}: {_cost(study, results.store, todo)}", flush=True
        )
    if not _building():
        execute(table, name, seed, scale, store.root, study=study, progress=False, wait=_WAIT)
    one = dict.fromkeys([scale], (seed,))
    rows = study.table(table).rows
    alone = replace(rows[name], seeds=one)
    only = replace(study.table(table), rows={change.row: rows[change.row], name: alone})
    study = replace(study, tables={**study.tables, table: only})
    changed = Results(study, store, scale).table(table)
    return ChangedRow(changed, results.table(table), name, change.row, seed, shown)


def _building() -> bool:
    """Whether the notebook is executed for the published book."""
    return BUILDING in os.environ


def _unfinished(study: Study, store: RunStore, committed: RunStore, key: RunKey) -> list[RunKey]:
    """Runs to do, what is needed first; needed runs whose weights are in `committed` are copied."""
    todo = []
    for one in with_needs(study, [key]):
        if run_state(study, store, one).state == "done" and (one == key or store.weights(one)):
            continue
        there = run_state(study, committed, one).state == "done"
        if there and committed.weights(one):
            shutil.copytree(committed.folder(one), store.folder(one), dirs_exist_ok=True)
        else:
            todo.append(one)
    return todo


def _cost(study: Study, committed: RunStore, todo: list[RunKey]) -> str:
    """'2 runs, about 4 min on one core' by what such runs have cost."""
    steps, past = read_step_times(study.root), costs.past_runs(committed)
    rate = gpu_rate(steps, study.root / "papers")
    known = []
    for run in (resolve(study, key) for key in todo):
        known.append(costs.expected_cost(run, past, costs.expected_work(run, steps, rate)).seconds)
    runs = f"{len(todo)} run{'s' if len(todo) > 1 else ''} to do"
    if None in known:
        return f"{runs}; the cost is not known"
    return f"{runs}, about {duration(sum(filter(None, known)))} by what such runs have taken"
