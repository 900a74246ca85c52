"""What `book/study.yml` declares, as frozen dataclasses; `spec.py` reads it into these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from wsislib.strict import did_you_mean


@dataclass(frozen=True)
class RunKey:
    """The name of one run: a row of a table, one seed, at one scale."""

    scale: str
    table: str
    row: str
    seed: int

    def __str__(self) -> str:
        return f"{self.table}/{self.row}/seed-{self.seed}"


@dataclass(frozen=True)
class Scale:
    """One size at which the study can be run, and the seeds that its rows have by default."""

    name: str
    seeds: tuple[int, ...]
    about: str = ""


@dataclass(frozen=True)
class Column:
    """One column of a table: a number in the runs' metrics.

    Attributes:
        name: short name by which claims and code ask for it, such as `AP_B`.
        metric: dotted path into metrics.json, such as `segm.B.AP`.
        title: what the reader sees.
        published: the metric's name in the paper's published.csv, None where the paper gives
            nothing to compare with.
        better: which way is better.
        digits: digits after the point.
    """

    name: str
    metric: str
    title: str
    published: str | None = None
    better: Literal["higher", "lower"] = "higher"
    digits: int = 1


@dataclass(frozen=True)
class Need:
    """Another run whose weights or files a row needs; `seed=None` means the row's own seed."""

    table: str
    row: str
    seed: int | None = None


@dataclass(frozen=True)
class View:
    """A row that has no run of its own: it shows numbers of another row's runs.

    `prefix` goes before the columns' metrics; so one run that trains many heads side by side
    can fill many rows.
    """

    table: str
    row: str
    prefix: str = ""


@dataclass(frozen=True)
class Row:
    """One row of a table and what it changes from the table's settings.

    `compare=False` keeps a row, such as an upper line, out of the search for the best one.
    """

    name: str
    title: str
    compare: bool = True
    about: str = ""
    group: str = ""
    experiment: str = ""
    change: Mapping[str, Any] = field(default_factory=dict)
    scales: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    seeds: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    needs: Mapping[str, Need] = field(default_factory=dict)
    view: View | None = None
    published: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """One table of the book."""

    name: str
    title: str
    experiment: str
    about: str = ""
    notebook: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    scales: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    seeds: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    columns: tuple[Column, ...] = ()
    rows: Mapping[str, Row] = field(default_factory=dict)

    def row(self, name: str) -> Row:
        """The row called `name`.

        Raises:
            ValueError: there is none; names the nearest.
        """
        if name not in self.rows:
            raise ValueError(
                f"table {self.name!r} has no row {name!r}{did_you_mean(name, self.rows)}"
            )
        return self.rows[name]

    def column(self, name: str) -> Column:
        """The column called `name`.

        Raises:
            ValueError: there is none; names the nearest.
        """
        for column in self.columns:
            if column.name == name:
                return column
        names = [column.name for column in self.columns]
        raise ValueError(f"table {self.name!r} has no column {name!r}{did_you_mean(name, names)}")


@dataclass(frozen=True)
class Study:
    """The whole of `book/study.yml`.

    Attributes:
        file: the file that was asked for; messages name it.
        scales: scale name -> its seeds.
        tables: table name -> its declaration.
        included: the further files that tables were read from.
    """

    file: Path
    scales: Mapping[str, Scale]
    tables: Mapping[str, Table]
    included: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that the study was read from."""
        return (self.file, *self.included)

    @property
    def root(self) -> Path:
        """The repository's root: the folder that holds `book/`."""
        return self.file.parent.parent

    def table(self, name: str) -> Table:
        """The table called `name`.

        Raises:
            ValueError: there is none; names the nearest.
        """
        if name not in self.tables:
            raise ValueError(
                f"{self.file.name}: no table {name!r}{did_you_mean(name, self.tables)}"
            )
        return self.tables[name]

    def scale(self, name: str) -> Scale:
        """The scale called `name`.

        Raises:
            ValueError: there is none; names the nearest.
        """
        if name not in self.scales:
            raise ValueError(
                f"{self.file.name}: no scale {name!r}{did_you_mean(name, self.scales)}"
            )
        return self.scales[name]

    def seeds(self, table: str, row: str, scale: str) -> tuple[int, ...]:
        """The seeds of a row at a scale: the row's own, else the table's, else the scale's."""
        declared = self.table(table)
        own = declared.row(row)
        return own.seeds.get(scale) or declared.seeds.get(scale) or self.scale(scale).seeds
