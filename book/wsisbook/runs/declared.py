"""What `book/study.yml` declares, as frozen dataclasses; `spec.py` reads it into these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, StrictBool, StrictInt, ValidationInfo

from wsislib.strict import did_you_mean

T = TypeVar("T")
PHOTO = "photo"  # the scale whose tables stand on pages of every scale


def _different(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if not seeds or len(set(seeds)) != len(seeds) or min(seeds) < 0:
        raise ValueError(f"expected a list of different seeds >= 0, not {list(seeds)}")
    return seeds


def _known_scales(value: Mapping[str, T], info: ValidationInfo) -> Mapping[str, T]:
    for scale in value:
        if scale not in (info.context or ()):
            raise ValueError(f"unknown key {scale!r}{did_you_mean(scale, info.context or ())}")
    return value


def _not_none(value: Any) -> Any:
    return {} if value is None else value


# Types of entries. Where text is expected, YAML's 3 counts as '3'; nothing counts as no settings.
Text = Annotated[str, BeforeValidator(str)]
Seeds = Annotated[tuple[StrictInt, ...], AfterValidator(_different)]
Settings = Annotated[Mapping[str, Any], BeforeValidator(_not_none)]
PerScale = Annotated[Mapping[str, T], BeforeValidator(_not_none), AfterValidator(_known_scales)]
PublishedKey = Literal["paper", "table", "row", "direction", "dataset", "backbone"]


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
    seeds: Seeds
    about: Text = ""


@dataclass(frozen=True)
class Column:
    """One column of a table: a number in the runs' metrics."""

    name: str  # by which claims and code ask for it, such as AP_B
    metric: str  # dotted path into metrics.json, such as segm.B.AP
    title: str
    published: str | None = None  # the metric's name in the paper's published.csv, if it is there
    better: Literal["higher", "lower"] = "higher"
    digits: StrictInt = 1  # after the point


@dataclass(frozen=True)
class Need:
    """Another run whose weights or files a row needs; `seed=None` means the row's own seed."""

    table: str
    row: str
    seed: StrictInt | None = None


@dataclass(frozen=True)
class View:
    """A row that has no run of its own: it shows numbers of another row's runs."""

    table: str
    row: str
    prefix: Text = ""  # of the columns' metrics, so that a run of many heads fills many rows


@dataclass(frozen=True)
class Row:
    """One row of a table and what it changes from the table's settings."""

    name: str
    title: Text
    compare: StrictBool = True  # False: an upper bound, which is no candidate for the best row
    about: Text = ""
    group: Text = ""
    experiment: str = ""
    change: Settings = field(default_factory=dict)
    scales: PerScale[Settings] = field(default_factory=dict)
    seeds: PerScale[Seeds] = field(default_factory=dict)
    needs: Mapping[str, Need] = field(default_factory=dict)
    view: View | None = None
    published: Mapping[PublishedKey, Text] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key in ("change", "scales", "needs", "experiment"):
            if self.view and getattr(self, key):
                raise ValueError(f"a row with `view` has no run, so no {key!r}")


@dataclass(frozen=True)
class Table:
    """One table of the book."""

    name: str
    title: str
    experiment: str
    scales: PerScale[Settings]
    columns: tuple[Column, ...]
    rows: Mapping[str, Row]
    about: Text = ""
    notebook: str = ""
    settings: Settings = field(default_factory=dict)
    seeds: PerScale[Seeds] = field(default_factory=dict)

    def row(self, name: str) -> Row:
        """The row called `name`; where there is none, a ValueError names the nearest."""
        return _named(self.rows, name, f"table {self.name!r} has no row")

    def column(self, name: str) -> Column:
        """The column called `name`; where there is none, a ValueError names the nearest."""
        columns = {column.name: column for column in self.columns}
        return _named(columns, name, f"table {self.name!r} has no column")

    def check_scale(self, scale: str) -> None:
        """Raise a ValueError unless the table can be run at `scale`."""
        if scale not in self.scales:
            known = ", ".join(self.scales) or "none"
            raise ValueError(f"table {self.name!r} has no {scale!r} scale; it has {known}")


@dataclass(frozen=True)
class Study:
    """The whole of `book/study.yml`: scales, tables and experiments by name."""

    file: Path
    scales: Mapping[str, Scale]
    tables: Mapping[str, Table]
    experiments: Mapping[str, str] = field(default_factory=dict)  # values: package.module:NAME
    included: tuple[Path, ...] = ()  # further files that tables were read from

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that the study was read from."""
        return (self.file, *self.included)

    @property
    def root(self) -> Path:
        """The repository's root: the folder that holds `book/`."""
        return self.file.parent.parent

    def table(self, name: str) -> Table:
        """The table called `name`; where there is none, a ValueError names the nearest."""
        return _named(self.tables, name, f"{self.file.name}: no table")

    def scale(self, name: str) -> Scale:
        """The scale called `name`; where there is none, a ValueError names the nearest."""
        return _named(self.scales, name, f"{self.file.name}: no scale")

    def seeds(self, table: str, row: str, scale: str) -> tuple[int, ...]:
        """The seeds of a row at a scale: the row's own, else the table's, else the scale's."""
        declared = self.table(table)
        seeds = declared.row(row).seeds.get(scale) or declared.seeds.get(scale)
        return seeds or self.scale(scale).seeds


def _named(items: Mapping[str, T], name: str, no_such: str) -> T:
    if name not in items:
        raise ValueError(f"{no_such} {name!r}{did_you_mean(name, items)}")
    return items[name]
