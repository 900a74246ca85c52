"""What notebooks read of the study: its rows, tables and verdicts, and where a page comes from.

    from wsisbook import reading

    study = reading.open_study(scale)
    study.table("maskx-transfer-input")
    study["maskx-heads", "few"].history(seed)

Tables of photographs, which exist at the scale `photo` alone, are shown at every scale:

    study.photographs("part2_wish/table_1")

Study, runs and tables are read once; open the study again to see what was run since.
"""

from __future__ import annotations

import html
import textwrap
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from IPython.core.getipython import get_ipython
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from wsisbook.experiments.partial_data import chosen_split, data_sets
from wsisbook.photographs.photo_tables import PhotoTables
from wsisbook.runs.declared import PHOTO, RunKey
from wsisbook.runs.environment import code_version, library_versions, machine_text
from wsisbook.runs.injected import check_injected
from wsisbook.runs.resolve import keys_of, resolve, source_key
from wsisbook.runs.spec import load_study
from wsisbook.runs.state import RunState
from wsisbook.runs.stopwatch import duration
from wsisbook.runs.store import now, open_store
from wsisbook.tables.cells import mean_std, metric_value
from wsisbook.tables.claims import Verdicts, judge_claims
from wsisbook.tables.key_results import KeyResults, answer
from wsisbook.tables.plots import ap_against_cost, seed_dots
from wsisbook.tables.provenance import PageRuns, RunList, folded
from wsisbook.tables.tables import Results
from wsisbook.trying import ChangedRow, train_missing, try_changed_row
from wsislib.data.sample import Dataset
from wsislib.engine.device import describe_device, pick_device
from wsislib.labels.splits import Split
from wsislib.viz import pictures
from wsislib.viz.overlay import Style
from wsislib.viz.pictures import Panel, read_detections

__all__ = [
    "RowResults", "StudyResults", "ap_against_cost", "notebook_provenance", "open_study",
    "seed_dots",
]  # fmt: skip

# A notebook imports this module in its first cell, so that its clock is the notebook's.
_OPENED = time.monotonic()
if (_shell := get_ipython()) is not None:
    # Here, so that a misspelt parameter ends every notebook in its first cell.
    check_injected(_shell.user_ns.get("In", []))
_PAGE = PageRuns()  # of this notebook: the runs that the notebook shows
SURE = 0.5  # a detection is drawn from this score on
TITLE_WIDTH = 26  # letters of a line above a panel


class RowResults:
    """One row of a table and the runs that fill it, for a row with `view` those of another row."""

    def __init__(self, results: Results, table: str, row: str) -> None:
        self._results, self._table = results, table
        declared = results.study.table(table).row(row)
        self.name, self.title = declared.name, declared.title
        self._prefix = declared.view.prefix.split(".") if declared.view else []
        # The head that the row shows of a run that trains several; "" where it shows a whole run.
        # A prefix may go on after the head: `oracle.reversed` is it in the other direction.
        self._head = self._prefix[0] if self._prefix else ""

    def _key(self, seed: int) -> RunKey:
        key = RunKey(self._results.scale, self._table, self.name, seed)
        return source_key(self._results.study, key)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that the study asks of the row; none at a scale that the table lacks."""
        study, scale = self._results.study, self._results.scale
        there = scale in study.table(self._table).scales
        return study.seeds(self._table, self.name, scale) if there else ()

    @cached_property
    def config(self) -> Any:
        """The settings of its runs, which are the same for every seed."""
        return resolve(self._results.study, self._key(0)).config

    def data_sets(self) -> tuple[Dataset, Dataset]:
        """Training and validation data of its runs, with every mask there is."""
        return data_sets(self.config)

    def split(self) -> Split:
        """The categories with masks (A) and without (B) in its runs."""
        return chosen_split(self.config, self.config.categories)

    def state(self, seed: int = 0) -> RunState:
        """Whether a run is done, missing, stale, and why."""
        return self._results.run(self._key(seed)).state

    def folder(self, seed: int = 0) -> Path:
        """The folder of a run; it need not be there."""
        return self._results.store.folder(self._key(seed))

    def metrics(self, seed: int = 0) -> Any:
        """metrics.json of a run, whole; None where it was not run."""
        return self._results.store.read(self._key(seed), "metrics.json")

    @cached_property
    def metrics_by_seed(self) -> dict[int, Any]:
        """Seed -> metrics.json, whole; seeds that were not run are absent."""
        found = {seed: self.metrics(seed) for seed in self.seeds}
        return {seed: metrics for seed, metrics in found.items() if metrics is not None}

    def category_ap(self, kind: str = "segm") -> pd.DataFrame:
        """AP of every category (`kind` "segm" or "bbox"): a line a category, a column a seed.

        NaN where it is undefined. A row that shows one head of a run, or a run with A and B
        exchanged, has the categories of that head; they do not depend on what is called A.
        """
        columns: dict[int, dict[str, float]] = {}
        for seed, metrics in self.metrics_by_seed.items():
            columns[seed] = {}
            for name in ["", *self._prefix]:  # the last place on the way that has any
                metrics = metrics.get(name, {}) if name else metrics
                columns[seed] = metrics.get("per_category", {}).get(kind, columns[seed])
        return pd.DataFrame(columns, dtype=float)

    def history(self, seed: int = 0) -> pd.DataFrame | None:
        """The training history of a run, None where it has none.

        Where the row shows one of several heads, columns such as `loss_mask.<head>` of that head
        are called `loss_mask`, and those of the other heads are left out.
        """
        file = self.folder(seed) / "history.csv"
        if not file.is_file():
            return None
        frame, own = pd.read_csv(file), f".{self._head}"
        columns = [str(column) for column in frame.columns]
        if not any(column.endswith(own) for column in columns):
            return frame
        kept = [column for column in columns if "." not in column or column.endswith(own)]
        return frame[kept].rename(columns=lambda column: column.removesuffix(own))

    def examples(self, seed: int = 0) -> list[dict[str, Any]]:
        """What a run found in the first validation images, as COCO results; empty if not run.

        Where the row shows one of several heads, that head's masks; where it is the run of several
        heads, those of all, with the name of each under "head".
        """
        found = self._results.store.read(self._key(seed), "examples.json") or []
        head = self._head
        return [result for result in found if not head or result.get("head", head) == head]


class StudyResults(Results):
    """The study at one scale, as notebooks read it: `study[table, row]`, `study.table(table)`."""

    def __getitem__(self, place: tuple[str, str]) -> RowResults:
        """A row of a table by its name; ValueError for an unknown one names the nearest."""
        return RowResults(self, *place)

    def at(self, scale: str) -> StudyResults:
        """The same study at another scale."""
        return StudyResults(self.study, open_store(scale, self.study.root), scale, self.page)

    def train_missing(self, *tables: str, asked: bool = False) -> None:
        """Do the unfinished runs of `tables` where `asked`, or at the scale "smoke".

        Says first what they cost. Call it before the tables are read.
        """
        if train_missing(self.study, self.scale, tables, asked):
            self._runs.clear()
            self._tables.clear()

    def changed_row(self, table: str, override: str, seed: int = 0) -> ChangedRow | None:
        """A row with changed settings, trained and laid beside the declared one.

        `override` names row and changes: "boxes prompt_weight:0 steps:400"; "" is None. A
        misspelt row or setting is a ValueError that names the nearest.
        """
        return try_changed_row(self, table, override, seed)

    def settings(self, table: str, row: str) -> pd.DataFrame:
        """Every setting of a row's runs with its value, one line each."""
        values = {name: str(value) for name, value in vars(self[table, row].config).items()}
        return pd.DataFrame({"value": pd.Series(values, dtype=object)})

    def photographs(self, page: str) -> PhotoTables:
        """The tables of photographs that belong to a page, such as "part2_wish/table_1".

        Shown at the end of a cell: every such table that the study has, with the numbers of the
        committed runs.
        """
        photo = self.at(PHOTO)
        return PhotoTables(page, photo, self, lambda table, row: photo[table, row])

    def progress(self) -> pd.DataFrame:
        """Per scale: how many runs the tables ask for, and how many of them are committed."""
        lines = {}
        for scale in self.study.scales:
            results = self.at(scale)
            states = [results.run(key).state for key in keys_of(self.study, scale)]
            done = sum(state.state == "done" for state in states)
            lines[scale] = {"runs": len(states), "done": done}
        return pd.DataFrame.from_dict(lines, orient="index")

    def key_results(self, page: str) -> KeyResults:
        """The box for the top of a table page, such as "part2_wish/table_1"; for the end of a cell.

        The questions of `book/questions.yml` that name the page, answered from the runs at the
        page's scale and on photographs, with the verdicts on their claims.
        """
        photo = self.at(PHOTO) if PHOTO in self.study.scales else None
        return KeyResults(answer(self, photo, page), self.scale)

    def provenance(self, table: str) -> RunList:
        """Where the numbers of a table come from, one line a run; a page shows it folded."""
        return self.table(table).provenance

    def verdicts(self, *tables: str) -> Verdicts:
        """Every claim that one of `tables` answers, judged by our runs; for the end of a cell."""
        return judge_claims(self, [self.study.table(name).name for name in tables])

    def numbers(
        self, table: str, rows: Sequence[str], columns: Mapping[str, str], digits: int = 2
    ) -> pd.DataFrame:
        """Numbers of runs that are no column of their table: 'mean ± deviation (seeds)' as text.

        One line for each of `rows`, under its title; `columns` is heading -> dotted path in
        metrics.json. "" where the runs have no such number, "not run" where there are none.
        """
        lines = {}
        for row in (self[table, name] for name in rows):
            runs = row.metrics_by_seed.values()
            line = lines[row.title] = dict.fromkeys(columns, "" if runs else "not run")
            for heading, path in columns.items():
                values = [v for run in runs if (v := metric_value(run, path)) is not None]
                if values:
                    line[heading] = f"{mean_std(values, digits)} ({len(values)})"
        return pd.DataFrame.from_dict(lines, orient="index", columns=list(columns))

    def category_ap(self, table: str, rows: Mapping[str, str]) -> pd.DataFrame:
        """Mask AP of every category, mean over seeds: a line a category, a column a row.

        `rows` is column name -> row. Empty where none of them was run.
        """
        means = {name: self[table, row].category_ap().mean(axis=1) for name, row in rows.items()}
        return pd.DataFrame(means, columns=list(rows), dtype=float)

    def qualitative_figure(
        self, table: str, rows: Mapping[str, str] | Iterable[str], scenes: Iterable[int],
        seed: int = 0,
    ) -> Figure:  # fmt: skip
        """One line a scene: ground truth, and what each row found with a score of 0.5 or more.

        `rows` are names, at least one, or title -> name; names are shown by the rows' titles. Above
        a row that was not run, that is said. `scenes` are indices of validation scenes, counted
        round; a run keeps what it found in the first few.
        """
        if isinstance(rows, Mapping):
            shown = {title: self[table, row] for title, row in rows.items()}
        else:
            shown = {self._full_title(table, row): self[table, row] for row in rows}
        first = next(iter(shown.values()))
        truth, side = first.data_sets()[1], first.config.image_size
        found = [row.examples(seed) for row in shown.values()]
        lines = []
        for sample in (truth[index % len(truth)] for index in scenes):
            where = (sample.image_id, truth.categories, side, side)
            own = [Panel(sample.image, read_detections(seen, *where)) for seen in found]
            lines.append([Panel(sample.image, sample.label), *own])
        titles = ["ground truth"]
        for title, row in shown.items():
            said = title if row.state(seed).has_result else f"{title} (not run)"
            titles.append(textwrap.fill(said, TITLE_WIDTH))
        style = Style(show_names=False, min_score=SURE)
        return pictures.pictures(lines, truth.categories, titles=titles, style=style)

    def _full_title(self, table: str, row: str) -> str:
        """A row's title; with its group's first words where another group has the same title."""
        declared = self.study.table(table)
        own = declared.row(row)
        alone = [one.title for one in declared.rows.values()].count(own.title) == 1
        return own.title if alone else f"{own.title}, {own.group.split(',')[0]}"


def open_study(scale: str = "lab") -> StudyResults:
    """The study of this repository at a scale: "smoke", "lab", "photo" or "paper"."""
    study = load_study()
    return StudyResults(study, open_store(scale, study.root), scale, _PAGE)


@dataclass(frozen=True)
class PageProvenance:
    """Where a page comes from; shown with the runs that no other list of the page has, folded."""

    facts: Styler

    def _repr_html_(self) -> str:
        rest = _PAGE.rest("page")
        return self.facts.to_html() + (folded(rest, "page") if len(rest) else "")


def notebook_provenance(**facts: Any) -> PageProvenance:
    """This execution of a notebook as a table: code, time, machine, device, versions.

    `facts` are what else decides the page's numbers, such as `scale` and `seed`; shown first. The
    runs of the tables that the page showed follow, as far as the page has not listed them before.
    """
    study = load_study()
    code = code_version(study.root, study.files)
    commit = str(code["commit"] or "not in a git repository")[:10]
    shown = {
        **facts,
        "commit": commit + (" + changes" if code["dirty"] else ""),
        "executed": now(),
        "time from first import": duration(time.monotonic() - _OPENED),
        "device": describe_device(pick_device("auto")),
        "machine": machine_text(),
        "versions": ", ".join(f"{name} {version}" for name, version in library_versions().items()),
    }
    rows = {html.escape(str(k)): html.escape(str(value)) for k, value in shown.items()}
    frame = pd.DataFrame({"this page": pd.Series(rows, dtype=object)})
    look = frame.style.set_table_attributes('class="dataframe provenance"')
    return PageProvenance(look.set_uuid("notebook-provenance"))
