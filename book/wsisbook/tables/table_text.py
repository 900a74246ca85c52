"""How a table looks: plain text, a styled table for notebooks, and where its numbers come from."""

from __future__ import annotations

import html
from dataclasses import dataclass

import pandas as pd
from pandas.io.formats.style import Styler

from wsisbook.runs.declared import Row
from wsisbook.runs.stopwatch import duration
from wsisbook.tables.tables import Cell, TableResult
from wsislib.viz.tables import LOOK

NO_BREAK = "\u00a0"


def wide(result: TableResult) -> pd.DataFrame:
    """Rows by columns as text: for each column *paper* (where there is one) and *ours*."""
    lines: dict[str | tuple[str, str], dict[tuple[str, str], str]] = {}
    for row in result.table.rows.values():
        line = {}
        for column in result.table.columns:
            cell = result.cells[row.name, column.name]
            if column.published is not None:
                line[column.title, "paper"] = paper_text(cell)
            line[column.title, "ours"] = cell.text
        if _label(result, row) in lines:
            raise ValueError(
                f"table {result.table.name!r}: two rows are titled {row.title!r}; give them "
                "different titles or groups"
            )
        lines[_label(result, row)] = line
    frame = pd.DataFrame(list(lines.values()), index=pd.Index(list(lines)))
    frame.columns = pd.MultiIndex.from_tuples([tuple(pair) for pair in frame.columns])
    return frame


def _label(result: TableResult, row: Row) -> str | tuple[str, str]:
    """A row's title, under its group's in a table that has groups."""
    return (row.group, row.title) if _has_groups(result) else row.title


def _has_groups(result: TableResult) -> bool:
    return any(row.group for row in result.table.rows.values())


def paper_text(cell: Cell) -> str:
    """The paper's number, or a dash."""
    return "–" if cell.published is None else f"{cell.published.value:.{cell.column.digits}f}"


def plain_text(result: TableResult) -> str:
    """The table for a terminal; `*` marks what notebooks set in bold."""
    frame = wide(result)
    for column in result.table.columns:
        for best in result.best(column.name):
            cell = result.cells[best, column.name]
            label = _label(result, result.table.rows[best])
            frame.loc[label, (column.title, "ours")] = f"{cell.text} *"
    head = f"{result.table.title} ({result.table.name}, scale {result.scale})"
    return f"{head}\n{frame.to_string()}"


def styled(result: TableResult) -> Styler:
    """The table for a notebook: *paper | ours mean ± std (n seeds)*.

    Each of our numbers links to its runs in the table that `provenance_styled` makes; hovering
    shows the runs and why a number is stale or missing.
    """
    frame = wide(result)
    styles = pd.DataFrame("", index=frame.index, columns=frame.columns)
    for row in result.table.rows.values():
        for column in result.table.columns:
            place = (column.title, "ours")
            label = _label(result, row)
            frame.loc[label, place] = _linked(result, result.cells[row.name, column.name])
            if row.name in result.best(column.name):
                styles.loc[label, place] = "font-weight: bold"
    frame.index = frame.index.map(_escaped)
    styles.index = frame.index
    # myst-nb puts many tables on a page: without ids of their own, their styles would mix.
    look = frame.style.set_table_attributes(LOOK).set_uuid(f"t-{result.table.name}")
    look = look.apply(lambda _: styles, axis=None)
    return look.set_caption(html.escape(_caption(result)))


def _escaped(label: str | tuple[str, ...]) -> str | tuple[str, ...]:
    if isinstance(label, tuple):
        return tuple(html.escape(part) for part in label)
    return html.escape(label)


def _linked(result: TableResult, cell: Cell) -> str:
    """A cell's text with its runs on hover and a link to the first of them."""
    hint = html.escape("; ".join((*cell.runs, *cell.reasons)), quote=True)
    # A narrow page breaks the cell before the seeds, and nowhere else.
    number, bracket, seeds = html.escape(cell.text).partition(" (")
    text = number.replace(" ", NO_BREAK) + bracket + seeds.replace(" ", NO_BREAK)
    if not cell.runs:
        return f'<span title="{hint}">{text}</span>'
    return f'<a href="#{anchor(cell.runs[0])}" title="{hint}">{text}</a>'


def anchor(run: str) -> str:
    """The id of a run's line in the provenance table."""
    return run.replace("/", "-")


def _caption(result: TableResult) -> str:
    text = f"{result.table.title}: mean ± standard deviation over seeds, {result.scale} scale."
    others = "all others of its group" if _has_groups(result) else "all others"
    return f"{text} Bold: ahead of {others} by more than one standard deviation."


def provenance(result: TableResult) -> pd.DataFrame:
    """One line a run: seed, commit, hashes, versions, device, seconds, peak memory."""
    runs = dict.fromkeys(run for cell in result.cells.values() for run in cell.runs)
    return pd.DataFrame([_origin(result, run) for run in runs], columns=list(_COLUMNS))


_COLUMNS = (
    "run", "seed", "commit", "parameters", "data", "versions", "device", "time",
    "peak memory (MiB)", "date",
)  # fmt: skip


def _origin(result: TableResult, run: str) -> dict[str, object]:
    from wsislib.atomic import read_json

    folder = result.store.root / run
    params, facts = read_json(folder / "params.json"), read_json(folder / "environment.json")
    commit = str(facts.get("commit") or "none")[:10] + (" + changes" if facts.get("dirty") else "")
    data = ", ".join(f"{name} {value[:8]}" for name, value in facts["data"].items())
    versions = facts["versions"]
    shown = ("python", "torch", "torchvision", "faster-coco-eval")
    values = (
        run,
        params["seed"],
        commit,
        params["hash"][:10],
        data,
        ", ".join(f"{name} {versions[name]}" for name in shown if name in versions),
        facts["device"],
        duration(facts["seconds"]),
        facts["peak_memory_mib"],
        facts["date"],
    )
    return dict(zip(_COLUMNS, values, strict=True))


def provenance_styled(result: TableResult) -> Styler:
    """`provenance` for a notebook, with the ids that `styled` links to."""
    frame = provenance(result)
    text = frame.map(lambda value: html.escape(str(value)))
    text["run"] = [f'<span id="{anchor(run)}">{html.escape(run)}</span>' for run in frame["run"]]
    look = text.style.hide(axis="index").set_table_attributes(LOOK)
    return look.set_uuid(f"p-{result.table.name}")


@dataclass(frozen=True)
class Shown:
    """A table and, folded under it, where its numbers come from; for the end of a cell."""

    result: TableResult

    def _repr_html_(self) -> str:
        return (
            styled(self.result).to_html()
            + "<details><summary>Where these numbers come from</summary>"
            + provenance_styled(self.result).to_html()
            + "</details>"
        )

    def __repr__(self) -> str:
        return plain_text(self.result)
