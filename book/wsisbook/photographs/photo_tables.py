"""Tables of photographs on the pages of the book, whatever scale a page is built at.

Such a table exists at the scale `photo` alone. Its first column is its declared metric. Runs come
from `results/photo`.
"""

from __future__ import annotations

import html
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from matplotlib.figure import Figure

from wsisbook.photographs.photo_pictures import SURE, photo_figure
from wsisbook.runs.declared import PHOTO
from wsisbook.tables.cells import Cell
from wsisbook.tables.claims import judge_claims
from wsisbook.tables.gaps import LEAST_SEEDS, gap_between
from wsisbook.tables.table_result import TableResult
from wsisbook.tables.tables import Results

MOST_COLUMNS = 4  # of rows in a figure, beside the ground truth
_NO_TABLE = "The study has no table on photographs for this page yet."


@dataclass(frozen=True)
class Note:
    """A text for the end of a cell, in Markdown."""

    text: str

    def _repr_markdown_(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text


@dataclass(frozen=True)
class PhotoTables:
    """The tables of photographs that belong to a page; shown at the end of a cell.

    `photo` are the results at the scale `photo`, `beside` those at the page's own, and `row` gives
    a row of photographs by table and name (`reading.RowResults`).
    """

    page: str  # path in the book, without ending
    photo: Results
    beside: Results
    row: Callable[[str, str], Any]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The tables, in the order of the study; empty if it has none for this page."""
        tables = self.photo.study.tables.values()
        return tuple(t.name for t in tables if PHOTO in t.scales and t.notebook == self.page)

    @property
    def tables(self) -> list[TableResult]:
        """The tables with the numbers of the committed runs."""
        return [self.photo.table(name) for name in self.names]

    def _repr_html_(self) -> str:
        parts = []
        for result in self.tables:
            about = f"{result.table.about} {_declared(result)}".strip()
            parts.append(f"<p>{html.escape(about)}</p>{result._repr_html_()}")
        return "".join(parts) or f"<p>{_NO_TABLE}</p>"

    def __repr__(self) -> str:
        return "\n\n".join(f"{_declared(r)}\n{r!r}" for r in self.tables) or _NO_TABLE

    def comparison(self) -> Note | None:
        """What the runs say on photographs, and where they say another thing at the page's scale.

        Claims with both verdicts; then, of the rows that two tables of this page share, whether
        their order by each table's first column is the same. Nothing is said of rows with fewer
        than three seeds. None where the page has no such table.
        """
        if not self.names:
            return None
        start = (
            f"What the runs say at the scale {self.beside.scale} and on photographs. A row with "
            f"fewer than {LEAST_SEEDS} seeds has no verdict.\n"
        )
        return Note("\n".join([start, *(x for r in self.tables for x in self._compared(r))]))

    def _compared(self, result: TableResult) -> list[str]:
        title = f"*{result.table.title}*"
        cells = _first_column(result)
        if not any(cell.values for cell in cells.values()):
            return [f"- {title}: no run on photographs is committed yet, so nothing is compared."]
        lines = [
            f"- {one.claim.statement} {self.beside.scale.capitalize()}: "
            f"**{one.shown_verdict}**; photographs: **{one.photo.shown_verdict}**."
            for one in judge_claims(self.beside, photo=self.photo)
            if one.photo is not None and one.photo.claim.check.table == result.table.name
        ]
        for name, table in self.beside.study.tables.items():
            here = table.notebook == self.page and self.beside.scale in table.scales
            if here and name not in self.names and len(table.rows.keys() & cells.keys()) > 1:
                lines.append(self._orders(title, cells, self.beside.table(name)))
        return lines or [f"- {title}: no table of this page has the same rows."]

    def _orders(self, title: str, photo: Mapping[str, Cell], other: TableResult) -> str:
        scale, others = self.beside.scale, _first_column(other)
        start = f"- {title} and *{other.table.title}* ({scale}): "
        shared = [
            name
            for name, cell in photo.items()
            if name in others and min(len(cell.values), len(others[name].values)) >= LEAST_SEEDS
        ]
        if len(shared) < 2:
            return f"{start}fewer than two rows have {LEAST_SEEDS} seeds in both, so no order yet."
        titles = {name: row.title for name, row in other.table.rows.items()}
        counts = dict.fromkeys(("alike", "turned", "there", "here"), 0)
        turned = []
        for a, b in itertools.combinations(shared, 2):
            there, here = _order(others[a], others[b]), _order(photo[a], photo[b])
            if there * here < 0:
                counts["turned"] += 1
                low, high = (a, b) if there > 0 else (b, a)
                turned.append(
                    f"*{titles[high]}* is above *{titles[low]}* at the scale {scale} "
                    f"({others[high].mean:.1f} and {others[low].mean:.1f}) and below it on "
                    f"photographs ({photo[high].mean:.1f} and {photo[low].mean:.1f})"
                )
            else:
                kind = "alike" if there == here else "there" if there else "here"
                counts[kind] += 1
        text = (
            f"of the pairs of rows, {counts['alike']} stand alike, "
            f"{counts['turned']} the other way round; {counts['there']} differ by more than noise "
            f"at the scale {scale} alone, {counts['here']} on photographs alone."
        )
        return start + text + "".join(f" {one}." for one in turned)

    def pictures(
        self,
        table: str = "",
        rows: Iterable[str] = (),
        images: Iterable[int] = range(4),
        seed: int = 0,
        sure: float = SURE,
    ) -> Figure | Note | None:
        """One line an image: the ground truth, and what rows found with a score of `sure` or more.

        Silhouettes coloured by category; over the photograph where the data folder has it, else on
        plain ground. Without `table` it is the page's first that was run, without `rows` its first
        four that were. `images` count the validation images that a run keeps results of. A Note
        where no run is committed, None where the page has no such table.
        """
        for name in [table] if table else self.names:
            found = self._examples(name, rows, seed)
            if found:
                return photo_figure(self.photo.store.root, found, list(images), seed, sure)
        return Note("No run to draw from is committed yet.") if self.names else None

    def _examples(self, table: str, rows: Iterable[str], seed: int) -> list[tuple[Any, list]]:
        names = list(rows) or list(self.photo.study.table(table).rows)
        found = [(row, row.examples(seed)) for row in (self.row(table, name) for name in names)]
        return [(row, seen) for row, seen in found if seen][:MOST_COLUMNS]


def _declared(result: TableResult) -> str:
    """The declared metric and how many runs there are."""
    first = result.table.columns[0]
    cells = [result.cell(row, first.name) for row in result.table.rows]
    done, wanted = sum(len(cell.values) for cell in cells), sum(cell.wanted for cell in cells)
    seeds = sorted({len(cell.values) for cell in cells})
    text = f"Declared metric: {first.title}. "
    if not done:
        return text + f"None of its {wanted} runs is committed yet."
    many = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    return text + f"{done} of {wanted} runs are committed, {many} a row."


def _first_column(result: TableResult) -> dict[str, Cell]:
    """Row -> its number in the declared column."""
    return {row: result.cell(row, result.table.columns[0].name) for row in result.table.rows}


def _order(low: Cell, high: Cell) -> int:
    """1 where `high` is above `low` by more than noise, -1 below, else 0."""
    gap = gap_between(low, high)
    return 0 if gap is None else gap.sign
