"""Where the numbers of a page come from: one line a run, once a page, folded."""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from wsisbook.runs.stopwatch import duration
from wsisbook.runs.store import RunStore
from wsislib.atomic import read_json
from wsislib.viz.tables import LOOK

COLUMNS = [
    "run", "seed", "commit", "parameters", "data", "versions", "device", "time",
    "peak memory (MiB)", "date",
]  # fmt: skip
_LIBRARIES = ("python", "torch", "torchvision", "faster-coco-eval")


def run_anchor(run: str) -> str:
    """The id of a run's line on a page."""
    return run.replace("/", "-")


@dataclass
class PageRuns:
    """The runs that a page has shown numbers of, and which list on the page has each.

    Each run has one line on a page, so that the links from the numbers have one place to go to.
    """

    shown: dict[tuple[Path, str], RunStore] = field(default_factory=dict)  # in order of appearance
    listed: dict[tuple[Path, str], str] = field(default_factory=dict)  # run -> name of the list

    def show(self, store: RunStore, runs: Iterable[str]) -> None:
        """A table of the page shows numbers of `runs`, folders relative to the store's root."""
        for run in runs:
            self.shown.setdefault((store.root, run), store)

    def take(self, name: str, store: RunStore, runs: Iterable[str]) -> list[str]:
        """Those of `runs` that no other list of the page has; the list `name` has them now."""
        return [r for r in runs if self.listed.setdefault((store.root, r), name) == name]

    def rest(self, name: str) -> pd.DataFrame:
        """`run_lines` of the runs that were shown and are on no list but `name`."""
        frames = [
            run_lines(store, self.take(name, store, [run]))
            for (_, run), store in self.shown.items()
            if self.listed.get((store.root, run), name) == name
        ]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=COLUMNS)


class RunList(pd.DataFrame):
    """`run_lines` of a table; a page shows it folded, without the runs that it listed before."""

    _metadata = ["_list_name", "_store", "_page"]
    _list_name: str
    _store: RunStore
    _page: PageRuns

    @classmethod
    def of(cls, name: str, store: RunStore, runs: Iterable[str], page: PageRuns) -> RunList:
        """The list `name` of a page: a line for each of `runs`, relative to the store's root."""
        made = cls(run_lines(store, runs))
        made._list_name, made._store, made._page = name, store, page
        return made

    def _repr_html_(self) -> str:
        kept = self._page.take(self._list_name, self._store, list(self["run"]))
        return folded(self[self["run"].isin(kept)], self._list_name)


def run_lines(store: RunStore, runs: Iterable[str]) -> pd.DataFrame:
    """One line a run: seed, commit, hashes, versions, device, seconds, peak memory."""
    return pd.DataFrame([_origin(store, run) for run in runs], columns=COLUMNS)


def folded(lines: pd.DataFrame, name: str) -> str:
    """`run_lines` as HTML that opens on a click; each has the id that numbers link to.

    `name` is one of its own on the page.
    """
    if lines.empty:
        return "<p>These runs are listed above, or none was done.</p>"
    text = pd.DataFrame(lines.map(lambda value: html.escape(str(value))))
    text["run"] = [f'<span id="{run_anchor(r)}">{html.escape(r)}</span>' for r in lines["run"]]
    look = text.style.hide(axis="index").set_table_attributes(LOOK).set_uuid(f"p-{name}")
    title = f"{len(lines)} run{'s' if len(lines) > 1 else ''}: commit, parameters, data, machine"
    return f'<details class="runs"><summary>{title}</summary>{look.to_html()}</details>'


def _origin(store: RunStore, run: str) -> tuple[Any, ...]:
    """A line of `COLUMNS`."""
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
