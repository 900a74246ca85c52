"""A table with its numbers: what is bold, and how it looks."""

from __future__ import annotations

import html
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd
from pandas.io.formats.style import Styler

from wsisbook.runs.declared import Column, Row, Table
from wsisbook.runs.store import RunStore
from wsisbook.tables.cells import Cell, difference_text
from wsisbook.tables.gaps import LEAST_SEEDS, LEVEL, gap_between
from wsisbook.tables.provenance import PageRuns, RunList, run_anchor
from wsislib.viz.tables import LOOK

NO_BREAK = "\u00a0"
WIDE = 7  # columns of numbers; a table of more says that it scrolls, as it may not fit a page


@dataclass(frozen=True, repr=False)
class TableResult:
    """A table with its numbers: `cells[row name, column name]`; at the end of a cell it is shown.

    A notebook shows *paper | ours mean ± std*, with the number of seeds in the caption; a terminal
    shows the same as text, where `*` marks what is bold in a notebook. `page` learns which runs
    were shown, so that the page can list them at its end.
    """

    table: Table
    scale: str
    cells: dict[tuple[str, str], Cell]
    store: RunStore
    page: PageRuns = field(default_factory=PageRuns)

    def cell(self, row: str, column: str) -> Cell:
        """One cell; ValueError for an unknown row or column names the nearest."""
        return self.cells[self.table.row(row).name, self.table.column(column).name]

    def best(self, column: str) -> tuple[str, ...]:
        """The rows to set in bold: ahead of every other of its group by more than noise.

        `gaps.py` judges the leads. Reference rows (`compare: false`) take no part. A group has no
        such row where a lead is within noise, or where any compared cell is stale or has fewer than
        three seeds.
        """
        groups = dict.fromkeys(row.group for row in self.table.rows.values())
        leads = (self._lead(self.table.column(column), group) for group in groups)
        return tuple(row for row in leads if row is not None)

    def _lead(self, column: Column, group: str) -> str | None:
        sign = 1 if column.better == "higher" else -1
        cells = [
            self.cells[name, column.name]
            for name, row in self.table.rows.items()
            if row.compare and row.group == group and self.cells[name, column.name].values
        ]
        if len(cells) < 2 or any(c.state != "done" or len(c.values) < LEAST_SEEDS for c in cells):
            return None
        first, *others = sorted(cells, key=lambda cell: sign * cell.mean, reverse=True)
        gaps = [gap_between(other, first) for other in others]
        return first.row if all(gap and gap.sign == sign for gap in gaps) else None

    @cached_property
    def seeds_note(self) -> str:
        """Of how many seeds most numbers are, such as '3 seeds'; '' without any number."""
        notes = Counter(cell.seeds_note for cell in self.cells.values() if cell.values)
        return notes.most_common(1)[0][0] if notes else ""

    def seed_values(self, column: str) -> dict[str, dict[str, tuple[float, ...]]]:
        """Title -> group -> values of every seed, as `plots.seed_dots` draws them.

        A group goes by its words before the first comma; without groups it is the column's title.
        """
        shown: dict[str, dict[str, tuple[float, ...]]] = {}
        for name, row in self.table.rows.items():
            group = row.group.split(",")[0] or self.table.column(column).title
            shown.setdefault(row.title, {})[group] = self.cell(name, column).values
        return shown

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
                line[column.title, "ours"] = cell.text_beside(self.seeds_note)
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
                shown = cell.text_beside(self.seeds_note)
                frame.loc[label, (column.title, "ours")] = f"{shown} *"
        facts = [self.table.name, f"scale {self.scale}", *filter(None, [self.seeds_note])]
        return f"{self.table.title} ({', '.join(facts)})\n{frame.to_string()}"

    def _repr_html_(self) -> str:
        self.page.show(self.store, self.runs)
        return self.styled().to_html()

    def styled(self) -> Styler:
        """The table for a notebook.

        Each of our numbers links to its run in the list that the page has at its end; hovering
        shows the runs and why a number is stale or missing.
        """
        frame = self.wide()
        styles = pd.DataFrame("", index=frame.index, columns=frame.columns)
        for column in self.table.columns:
            place, best = (column.title, "ours"), self.best(column.name)
            for row in self.table.rows.values():
                label = self._label(row)
                cell = self.cells[row.name, column.name]
                frame.loc[label, place] = _linked(cell, self.seeds_note)
                if row.name in best:
                    styles.loc[label, place] = "font-weight: bold"
                elif not row.compare:
                    styles.loc[label, place] = "font-style: italic"
        frame.index = styles.index = frame.index.map(_escaped)
        # myst-nb puts many tables on a page: without ids of their own, their styles would mix.
        look = frame.style.set_table_attributes(LOOK).set_uuid(f"t-{self.table.name}")
        caption = html.escape(self._caption())
        return look.apply(lambda _: styles, axis=None).set_caption(caption)

    def _caption(self) -> str:
        """What the numbers are, of how many seeds, what is bold and what is in italics."""
        rows = self.table.rows.values()
        seeds = f", {self.seeds_note}" if self.seeds_note else ""
        if any(c.values and c.seeds_note != self.seeds_note for c in self.cells.values()):
            seeds += " unless a cell says otherwise"
        what = f"mean ± standard deviation over seeds{seeds}; {self.scale} scale"
        text = f"{self.table.title}: {what}."
        if sum(row.compare for row in rows) > 1:
            group = " of its group" if self._grouped else ""
            upright = "" if all(row.compare for row in rows) else " upright"
            text += (
                f" Bold: ahead of all other{upright} rows{group}, the {LEVEL:.0%} interval of the "
                "differences seed by seed on one side of zero."
            )
        if not all(row.compare for row in rows):
            text += " Italics: for reference, with labels or inputs that the other rows lack."
        if sum(1 + (column.published is not None) for column in self.table.columns) > WIDE:
            text += " The table is wide: scroll sideways for its last columns."
        return text

    @cached_property
    def runs(self) -> tuple[str, ...]:
        """The runs that the numbers come from, each once; folders relative to the store's root."""
        return tuple(dict.fromkeys(run for cell in self.cells.values() for run in cell.runs))

    @property
    def provenance(self) -> RunList:
        """One line a run: seed, commit, hashes, versions, device, seconds, peak memory."""
        return RunList.of(self.table.name, self.store, self.runs, self.page)


def _escaped(label: str | tuple[str, ...]) -> str | tuple[str, ...]:
    if isinstance(label, tuple):
        return tuple(html.escape(part) for part in label)
    return html.escape(label)


def _linked(cell: Cell, note: str) -> str:
    """A cell's text with its runs on hover and a link to the first of them."""
    hint = html.escape("; ".join((*cell.runs, *cell.reasons)), quote=True)
    # A narrow page breaks the cell before the seeds, and nowhere else.
    number, bracket, seeds = html.escape(cell.text_beside(note)).partition(" (")
    text = number.replace(" ", NO_BREAK) + bracket + seeds.replace(" ", NO_BREAK)
    if not cell.runs:
        return f'<span title="{hint}">{text}</span>'
    return f'<a href="#{run_anchor(cell.runs[0])}" title="{hint}">{text}</a>'
