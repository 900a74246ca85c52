"""From runs to tables, joined over seeds, beside the published numbers. No number is typed by hand.

A cell is the mean and the sample standard deviation over the seeds whose runs stand. Where none
stands but older ones do, it shows those, marked stale. A cell knows the runs it comes from.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsisbook.runs.declared import Column, Row, RunKey, Study
from wsisbook.runs.resolve import runs_of_row
from wsisbook.runs.state import RunState, run_state
from wsisbook.runs.store import RunStore
from wsisbook.tables.cells import Cell, CellState, has_metric, metric_value
from wsisbook.tables.provenance import PageRuns
from wsisbook.tables.published import PublishedValue, find_published, load_published
from wsisbook.tables.table_result import TableResult
from wsislib.atomic import atomic_write


@dataclass(frozen=True)
class RunResult:
    """What one run has to offer; without metrics where it has none that can be used."""

    key: RunKey
    state: RunState
    metrics: Any
    commit: str

    @property
    def stands(self) -> bool:
        """Whether its numbers are those of the study and the code as they are now."""
        return self.state.state == "done"

    @property
    def why(self) -> str:
        """Its seed and state in one line."""
        return f"seed {self.key.seed}: {self.state.why or self.state.state}"


class Results:
    """The study's results at one scale: each run, paper and table is read once and kept.

    `page` knows which runs a page shows and lists; it may be shared by results of several scales.
    """

    def __init__(
        self, study: Study, store: RunStore, scale: str, page: PageRuns | None = None
    ) -> None:
        self.study, self.store = study, store
        self.scale = study.scale(scale).name
        self._runs: dict[RunKey, RunResult] = {}
        self._papers: dict[str, Any] = {}
        self._tables: dict[str, TableResult] = {}
        self.page = page or PageRuns()

    def run(self, key: RunKey) -> RunResult:
        """One run: its files are hashed to see whether they are what the run wrote."""
        if key not in self._runs:
            state = run_state(self.study, self.store, key)
            usable = state.has_result and state.state != "damaged"
            environment = self.store.read(key, "environment.json") if usable else None
            metrics = self.store.read(key, "metrics.json") if usable else None
            commit = str((environment or {}).get("commit") or "")
            self._runs[key] = RunResult(key, state, metrics, commit)
        return self._runs[key]

    def table(self, name: str) -> TableResult:
        """The table `name` with all numbers that the store has."""
        table = self.study.table(name)
        if name not in self._tables:
            cells = {}
            for row in table.rows.values():
                there = self.scale in table.scales
                keys = runs_of_row(self.study, name, row.name, self.scale) if there else ()
                runs = [self.run(key) for key in keys]
                for column in table.columns:
                    published = self._published(row, column)
                    cells[row.name, column.name] = self._cell(row, column, runs, published)
            self._tables[name] = TableResult(table, self.scale, cells, self.store, self.page)
        return self._tables[name]

    def unknown_metrics(self, name: str) -> list[str]:
        """A line for each column whose `metric` no finished run of the table `name` has.

        A metric that is there without a number, such as AP of large objects where none is, counts
        as known.
        """
        lines = []
        table = self.study.table(name)
        for column in table.columns:
            found = []
            for row in table.rows.values():
                path = _path(row, column)
                runs = [self.run(k) for k in runs_of_row(self.study, name, row.name, self.scale)]
                found += [has_metric(run.metrics, path) for run in runs if run.metrics is not None]
            if found and not any(found):
                lines.append(
                    f"table {name!r}: column {column.name!r} asks for the metric "
                    f"{column.metric!r}, which no run has; the metrics.json of a run shows "
                    "those that there are"
                )
        return lines

    def _cell(
        self, row: Row, column: Column, runs: list[RunResult], published: PublishedValue | None
    ) -> Cell:
        """Runs that stand if there are any, else older ones."""
        path = _path(row, column)
        values = [(run, metric_value(run.metrics, path)) for run in runs]
        for stands in (True, False):
            chosen = [(r, v) for r, v in values if r.stands == stands and v is not None]
            if chosen:
                return Cell(
                    row=row.name,
                    column=column,
                    values=tuple(value for _, value in chosen),
                    runs=tuple(self._folder(run.key) for run, _ in chosen),
                    wanted=len(runs),
                    state="done" if stands else "stale",
                    reasons=tuple(run.why for run in runs if not run.stands),
                    commits=tuple(dict.fromkeys(run.commit for run, _ in chosen)),
                    published=published,
                )
        state: CellState = "not run"
        reasons = tuple(run.why for run in runs)
        if runs and all(run.stands for run in runs):
            state, reasons = "absent", (f"its runs have no {path}",)
        return Cell(row.name, column, (), (), len(runs), state, reasons, (), published)

    def _folder(self, key: RunKey) -> str:
        return self.store.folder(key).relative_to(self.store.root).as_posix()

    def _published(self, row: Row, column: Column) -> PublishedValue | None:
        """The paper's number that a cell answers to."""
        if column.published is None or not row.published:
            return None
        where = {str(key): value for key, value in row.published.items()}
        where["metric"] = column.published
        if "paper" not in where:
            raise ValueError(f"row {row.name!r}: published wants 'paper' too")
        paper = where.pop("paper")
        if paper not in self._papers:
            self._papers[paper] = load_published(paper, self.study.root / "papers")
        return find_published(paper, self._papers[paper], where, f"row {row.name!r}")


def _path(row: Row, column: Column) -> str:
    """Where metrics.json has the number of a cell."""
    return (f"{row.view.prefix}." if row.view and row.view.prefix else "") + column.metric


def table_names(study: Study, scale: str, names: Iterable[str] = ()) -> list[str]:
    """`names`, checked; or all tables that have the scale."""
    study.scale(scale)
    asked = [study.table(name).name for name in names]
    return asked or [name for name, table in study.tables.items() if scale in table.scales]


def write_tables(results: Results, names: Iterable[str] = ()) -> list[Path]:
    """Write the CSV of each table; the files that were written."""
    files = []
    for name in table_names(results.study, results.scale, names):
        file = results.store.table_file(name)
        atomic_write(file, results.table(name).long().to_csv(index=False))
        files.append(file)
    return files
