"""A table with its numbers: what is bold, how it looks, and where the numbers come from."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd
from pandas.io.formats.style import Styler

from wsisbook.runs.declared import Column, Row, Table
from wsisbook.runs.stopwatch import duration
from wsisbook.runs.store import RunStore
from wsisbook.tables.cells import Cell, difference_text
from wsislib.atomic import read_json
from wsislib.viz.tables import LOOK

NO_BREAK = "\u00a0"


@dataclass(frozen=True, repr=False)
class TableResult:
    """A table with its numbers: `cells[row name, column name]`; at the end of a cell it is shown.

    A notebook shows *paper | ours mean ± std (n seeds)* and, folded under it, where the numbers
    come from; a terminal shows the same as text, where `*` marks what is bold in a notebook.
    """

    table: Table
    scale: str
    cells: dict[tuple[str, str], Cell]
    store: RunStore

    def cell(self, row: str, column: str) -> Cell:
        """One cell; ValueError for an unknown row or column names the nearest."""
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

    def paired_difference(
        self, low: str, high: str, columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """How far row `high` lies above row `low`: one line for each of `columns`.

        Columns: "paper" ("+4.5", empty where it gives none) and "ours" (mean and standard deviation
        of the difference seed by seed, or "not run"). `columns` are those with a published number
        if None.
        """
        lines = {}
        for name in columns or [column.name for column in self.table.columns if column.published]:
            first, second = self.cell(low, name), self.cell(high, name)
            published = second.published_number - first.published_number
            lines[first.column.title] = {
                "paper": "" if math.isnan(published) else f"{published:+.1f}",
                "ours": difference_text(second.paired_difference(first)),
            }
        return pd.DataFrame.from_dict(lines, orient="index", columns=["paper", "ours"])

    def paired_differences(
        self, pairs: Sequence[tuple[str, str]], column: str = "AP"
    ) -> pd.DataFrame:
        """Ours of `paired_difference` in one column, a line for each (low, high) of `pairs`."""
        rows, lines = self.table.rows, []
        for low, high in pairs:
            found = self.cell(high, column).paired_difference(self.cell(low, column))
            lines.append((rows[low].title, rows[high].title, difference_text(found)))
        return pd.DataFrame(lines, columns=["from", "to", self.table.column(column).title])

    def share_of_the_way(self, rows: Sequence[str], column: str) -> tuple[float, float]:
        """How much of the way from the first to the third of `rows` lies below the second.

        In the paper, and by our means; NaN where a number is missing or there is no way.
        """
        cells = [self.cell(row, column) for row in rows]
        ways = [c.published_number for c in cells], [c.mean for c in cells]
        papers, ours = (
            (middle - low) / (high - low) if high != low else math.nan for low, middle, high in ways
        )
        return papers, ours

    def long(self) -> pd.DataFrame:
        """One line a cell: what `results/tables/<table>.csv` holds."""
        return pd.DataFrame([self._line(cell) for cell in self.cells.values()])

    def _line(self, cell: Cell) -> dict[str, Any]:
        published = cell.published
        return {
            "table": self.table.name,
            "row": cell.row,
            "column": cell.column.name,
            "metric": cell.column.metric,
            "published": cell.published_number,
            "source": f"{published.paper}:{published.source_tag}" if published else "",
            "mean": round(cell.mean, 4),
            "std": round(cell.std, 4),
            "n": len(cell.values),
            "seeds_wanted": cell.wanted,
            "state": cell.state,
            "runs": " ".join(cell.runs),
            "commits": " ".join(cell.commits),
        }

    def wide(self) -> pd.DataFrame:
        """Rows by columns as text: for each column *paper* (where there is one) and *ours*."""
        lines: dict[str | tuple[str, str], dict[tuple[str, str], str]] = {}
        for row in self.table.rows.values():
            line = {}
            for column in self.table.columns:
                cell = self.cells[row.name, column.name]
                if column.published is not None:
                    number = cell.published_number
                    paper = "–" if math.isnan(number) else f"{number:.{column.digits}f}"
                    line[column.title, "paper"] = paper
                line[column.title, "ours"] = cell.text
            if self._label(row) in lines:
                where = f"table {self.table.name!r}: two rows are titled {row.title!r}"
                raise ValueError(f"{where}; give them different titles or groups")
            lines[self._label(row)] = line
        frame = pd.DataFrame(list(lines.values()), index=pd.Index(list(lines)))
        frame.columns = pd.MultiIndex.from_tuples([tuple(pair) for pair in frame.columns])
        return frame

    def _label(self, row: Row) -> str | tuple[str, str]:
        """A row's title, under its group's in a table that has groups."""
        return (row.group, row.title) if self._grouped else row.title

    @property
    def _grouped(self) -> bool:
        return any(row.group for row in self.table.rows.values())

    def __repr__(self) -> str:
        frame = self.wide()
        for column in self.table.columns:
            for best in self.best(column.name):
                label, cell = self._label(self.table.rows[best]), self.cells[best, column.name]
                frame.loc[label, (column.title, "ours")] = f"{cell.text} *"
        return f"{self.table.title} ({self.table.name}, scale {self.scale})\n{frame.to_string()}"

    def _repr_html_(self) -> str:
        return (
            self.styled().to_html()
            + "<details><summary>Where these numbers come from</summary>"
            + self._styled_provenance().to_html()
            + "</details>"
        )

    def styled(self) -> Styler:
        """The table for a notebook.

        Each of our numbers links to its runs in the folded table; hovering shows the runs and why
        a number is stale or missing.
        """
        frame = self.wide()
        styles = pd.DataFrame("", index=frame.index, columns=frame.columns)
        for column in self.table.columns:
            place, best = (column.title, "ours"), self.best(column.name)
            for row in self.table.rows.values():
                label = self._label(row)
                frame.loc[label, place] = _linked(self.cells[row.name, column.name])
                if row.name in best:
                    styles.loc[label, place] = "font-weight: bold"
        frame.index = styles.index = frame.index.map(_escaped)
        # myst-nb puts many tables on a page: without ids of their own, their styles would mix.
        look = frame.style.set_table_attributes(LOOK).set_uuid(f"t-{self.table.name}")
        others = "all others of its group" if self._grouped else "all others"
        caption = (
            f"{self.table.title}: mean ± standard deviation over seeds, {self.scale} scale. "
            f"Bold: ahead of {others} by more than one standard deviation."
        )
        return look.apply(lambda _: styles, axis=None).set_caption(html.escape(caption))

    @cached_property
    def provenance(self) -> pd.DataFrame:
        """One line a run: seed, commit, hashes, versions, device, seconds, peak memory."""
        runs = dict.fromkeys(run for cell in self.cells.values() for run in cell.runs)
        return pd.DataFrame([_origin(self.store, run) for run in runs], columns=_COLUMNS)

    def _styled_provenance(self) -> Styler:
        """`provenance` with the ids that `styled` links to."""
        text = self.provenance.map(lambda value: html.escape(str(value)))
        text["run"] = [
            f'<span id="{_anchor(run)}">{html.escape(run)}</span>' for run in self.provenance["run"]
        ]
        look = text.style.hide(axis="index").set_table_attributes(LOOK)
        return look.set_uuid(f"p-{self.table.name}")


def _escaped(label: str | tuple[str, ...]) -> str | tuple[str, ...]:
    if isinstance(label, tuple):
        return tuple(html.escape(part) for part in label)
    return html.escape(label)


def _linked(cell: Cell) -> str:
    """A cell's text with its runs on hover and a link to the first of them."""
    hint = html.escape("; ".join((*cell.runs, *cell.reasons)), quote=True)
    # A narrow page breaks the cell before the seeds, and nowhere else.
    number, bracket, seeds = html.escape(cell.text).partition(" (")
    text = number.replace(" ", NO_BREAK) + bracket + seeds.replace(" ", NO_BREAK)
    if not cell.runs:
        return f'<span title="{hint}">{text}</span>'
    return f'<a href="#{_anchor(cell.runs[0])}" title="{hint}">{text}</a>'


def _anchor(run: str) -> str:
    """The id of a run's line in the provenance table."""
    return run.replace("/", "-")


_COLUMNS = [
    "run", "seed", "commit", "parameters", "data", "versions", "device", "time",
    "peak memory (MiB)", "date",
]  # fmt: skip
_LIBRARIES = ("python", "torch", "torchvision", "faster-coco-eval")


def _origin(store: RunStore, run: str) -> tuple[object, ...]:
    """A line of `_COLUMNS`."""
    folder = store.root / run
    params, facts = read_json(folder / "params.json"), read_json(folder / "environment.json")
    commit = str(facts.get("commit") or "none")[:10] + (" + changes" if facts.get("dirty") else "")
    versions = facts["versions"]
    return (
        run,
        params["seed"],
        commit,
        params["hash"][:10],
        ", ".join(f"{name} {value[:8]}" for name, value in facts["data"].items()),
        ", ".join(f"{name} {versions[name]}" for name in _LIBRARIES if name in versions),
        facts["device"],
        duration(facts["seconds"]),
        facts["peak_memory_mib"],
        facts["date"],
    )
