"""Tables: runs joined over seeds, beside the published numbers. No number is typed by hand.

A cell is the mean and the sample standard deviation over the seeds whose runs stand. Where none
stands but older ones do, it shows those, marked stale. A cell knows the runs it comes from.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from wsisbook.runs.declared import Column, Row, RunKey, Study, Table
from wsisbook.runs.resolve import runs_of_row
from wsisbook.runs.state import run_state
from wsisbook.runs.store import RunStore
from wsisbook.tables.published import PublishedValue, published_value
from wsislib.atomic import atomic_write

CellState = Literal["done", "stale", "not run", "absent"]


@dataclass(frozen=True)
class Cell:
    """One number of a table.

    Attributes:
        row, column: where it stands.
        values: one number a seed, in the order of `runs`; empty where nothing was run.
        runs: the runs that the values come from, relative to the results folder.
        wanted: how many seeds the study asks for.
        state: "done" if every value stands, "stale" if the values come from older code or
            other parameters, "not run" if there are none, "absent" if the row's runs stand and have
            no such number.
        reasons: why it is stale or not run.
        commits: git commits of the runs.
        published: the paper's number, None where it gives none.
    """

    row: str
    column: Column
    values: tuple[float, ...]
    runs: tuple[str, ...]
    wanted: int
    state: CellState
    reasons: tuple[str, ...] = ()
    commits: tuple[str, ...] = ()
    published: PublishedValue | None = None

    @property
    def mean(self) -> float:
        """Mean over seeds, NaN without any."""
        return statistics.fmean(self.values) if self.values else math.nan

    @property
    def std(self) -> float:
        """Sample standard deviation over seeds (n - 1), NaN for fewer than two."""
        return statistics.stdev(self.values) if len(self.values) > 1 else math.nan

    @property
    def text(self) -> str:
        """What a reader sees: '12.3 ± 0.4 (3 seeds)', 'not run', '... stale'."""
        if not self.values:
            return "–" if self.state == "absent" else "not run"
        digits, n = self.column.digits, len(self.values)
        shown = f"{self.mean:.{digits}f}"
        if n > 1:
            shown += f" ± {self.std:.{digits}f}"
        seeds = f"{n}" if n == self.wanted else f"{n} of {self.wanted}"
        shown += f" ({seeds} seed{'s' if self.wanted > 1 else ''})"
        return shown + (" stale" if self.state == "stale" else "")


@dataclass(frozen=True)
class TableResult:
    """A table with its numbers: `cells[row name, column name]`."""

    table: Table
    scale: str
    cells: dict[tuple[str, str], Cell]
    store: RunStore

    def cell(self, row: str, column: str) -> Cell:
        """One cell.

        Raises:
            ValueError: no such row or column; names the nearest.
        """
        return self.cells[self.table.row(row).name, self.table.column(column).name]

    def best(self, column: str) -> tuple[str, ...]:
        """The rows to set in bold: ahead of every other of its group by over one deviation.

        The standard deviation is the larger one of the two rows compared. A group has none where
        the lead is smaller, where a deviation is unknown (one seed), or where any compared cell
        is stale.
        """
        groups = dict.fromkeys(row.group for row in self.table.rows.values())
        leads = (self._lead(self.table.column(column), group) for group in groups)
        return tuple(row for row in leads if row is not None)

    def _lead(self, column: Column, group: str) -> str | None:
        sign = 1.0 if column.better == "higher" else -1.0
        cells = [
            self.cells[name, column.name]
            for name, row in self.table.rows.items()
            if row.compare and row.group == group and self.cells[name, column.name].values
        ]
        if len(cells) < 2 or any(c.state != "done" or math.isnan(c.std) for c in cells):
            return None
        first, *others = sorted(cells, key=lambda cell: sign * cell.mean, reverse=True)
        if all(sign * (first.mean - c.mean) > max(first.std, c.std) for c in others):
            return first.row
        return None

    def long(self) -> pd.DataFrame:
        """One line a cell: what `results/tables/<table>.csv` holds."""
        return pd.DataFrame([_line(self.table, cell) for cell in self.cells.values()])


def build_table(study: Study, store: RunStore, name: str, scale: str) -> TableResult:
    """The table `name` with all numbers that the store has.

    Raises:
        ValueError: unknown table or scale, or a published number that does not exist.
    """
    table = study.table(name)
    study.scale(scale)
    papers = study.root / "papers"
    cells = {}
    for row in table.rows.values():
        found = _row_results(study, store, name, row.name, scale)
        for column in table.columns:
            published = _published(papers, row, column)
            cells[row.name, column.name] = _cell(row, column, found, store, published)
    return TableResult(table, scale, cells, store)


@dataclass(frozen=True)
class _Result:
    """What one run has to offer."""

    key: RunKey
    state: str
    why: str
    metrics: Any
    commit: str


def _row_results(study: Study, store: RunStore, table: str, row: str, scale: str) -> list[_Result]:
    if scale not in study.table(table).scales:
        return []
    found = []
    for key in runs_of_row(study, table, row, scale):
        state = run_state(study, store, key)
        usable = state.has_result and state.state != "damaged"
        environment = store.read(key, "environment.json") if usable else None
        found.append(
            _Result(
                key,
                "fresh" if state.state == "done" else "old" if usable else "none",
                f"seed {key.seed}: {state.why or state.state}",
                store.read(key, "metrics.json") if usable else None,
                str((environment or {}).get("commit") or ""),
            )
        )
    return found


def _cell(
    row: Row,
    column: Column,
    found: list[_Result],
    store: RunStore,
    published: PublishedValue | None,
) -> Cell:
    """Fresh runs if there are any, else old ones."""
    path = f"{row.view.prefix}.{column.metric}" if row.view and row.view.prefix else column.metric
    for wanted, state in (("fresh", "done"), ("old", "stale")):
        chosen = [
            (result, value)
            for result in found
            if result.state == wanted and (value := metric_value(result.metrics, path)) is not None
        ]
        if chosen:
            return Cell(
                row=row.name,
                column=column,
                values=tuple(value for _, value in chosen),
                runs=tuple(_relative(store, result.key) for result, _ in chosen),
                wanted=len(found),
                state="done" if state == "done" else "stale",
                reasons=tuple(result.why for result in found if result.state != "fresh"),
                commits=tuple(dict.fromkeys(result.commit for result, _ in chosen)),
                published=published,
            )
    reasons = tuple(result.why for result in found)
    none: CellState = "not run"
    if found and all(result.state == "fresh" for result in found):
        none, reasons = "absent", (f"its runs have no {path}",)
    return Cell(row.name, column, (), (), len(found), none, reasons, (), published)


def metric_value(metrics: Any, path: str) -> float | None:
    """The number at a dotted path of metrics.json; None where there is none."""
    for name in path.split("."):
        if not isinstance(metrics, dict) or name not in metrics:
            return None
        metrics = metrics[name]
    if isinstance(metrics, bool) or not isinstance(metrics, (int, float)):
        return None
    return float(metrics)


def _relative(store: RunStore, key: RunKey) -> str:
    return store.folder(key).relative_to(store.root).as_posix()


def _published(papers: Path, row: Row, column: Column) -> PublishedValue | None:
    """The paper's number that a cell answers to."""
    if column.published is None or not row.published:
        return None
    where = dict(row.published)
    try:
        paper, table, name = where.pop("paper"), where.pop("table"), where.pop("row")
    except KeyError as error:
        raise ValueError(f"row {row.name!r}: published wants {error} too") from None
    return published_value(paper, table, name, column.published, papers, **where)


def _line(table: Table, cell: Cell) -> dict[str, Any]:
    digits = {"mean": cell.mean, "std": cell.std}
    published = cell.published
    return {
        "table": table.name,
        "row": cell.row,
        "column": cell.column.name,
        "metric": cell.column.metric,
        "published": published.value if published else math.nan,
        "source": f"{published.paper}:{published.source_tag}" if published else "",
        **{name: round(value, 4) for name, value in digits.items()},
        "n": len(cell.values),
        "seeds_wanted": cell.wanted,
        "state": cell.state,
        "runs": " ".join(cell.runs),
        "commits": " ".join(cell.commits),
    }


def table_names(study: Study, scale: str, names: Iterable[str] = ()) -> list[str]:
    """`names`, checked; or all tables that have the scale.

    Raises:
        ValueError: an unknown table or scale.
    """
    study.scale(scale)
    asked = [study.table(name).name for name in names]
    return asked or [name for name, table in study.tables.items() if scale in table.scales]


def write_tables(
    study: Study, store: RunStore, scale: str, names: Iterable[str] = ()
) -> list[Path]:
    """Write the CSV of each table; the files that were written."""
    files = []
    for name in table_names(study, scale, names):
        file = store.table_file(name)
        atomic_write(file, build_table(study, store, name, scale).long().to_csv(index=False))
        files.append(file)
    return files
