"""How far one row of a table lies above another, column by column, ours beside the paper's."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import pandas as pd

from wsisbook.tables.tables import Cell, TableResult


def paired(low: Cell, high: Cell) -> list[float]:
    """`high` minus `low` in every seed that both have, in the order of seeds."""
    first, second = _by_seed(low), _by_seed(high)
    return [second[seed] - first[seed] for seed in sorted(first.keys() & second.keys())]


def gap_table(
    result: TableResult, low: str, high: str, columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """The gap from row `low` to row `high`, as a reader sees it.

    Args:
        result: a table with its numbers.
        low: the row to start from.
        high: the row to arrive at.
        columns: of the table; all that have a published number if None.

    Returns:
        One line a column: "paper" ("+4.5", empty where it gives none) and "ours" (mean and standard
        deviation of the difference seed by seed, or "not run").

    Raises:
        ValueError: no such row or column.
    """
    wanted = columns or [column.name for column in result.table.columns if column.published]
    lines = {}
    for name in wanted:
        first, second = result.cell(low, name), result.cell(high, name)
        published = _published(second) - _published(first)
        lines[first.column.title] = {
            "paper": "" if math.isnan(published) else f"{published:+.1f}",
            "ours": gap_text(paired(first, second)),
        }
    return pd.DataFrame.from_dict(lines, orient="index", columns=["paper", "ours"])


def gap_lines(
    result: TableResult, pairs: Sequence[tuple[str, str]], column: str = "AP"
) -> pd.DataFrame:
    """Several gaps of one column, a line each.

    Args:
        result: a table with its numbers.
        pairs: (row to start from, row to arrive at).
        column: of the table.

    Returns:
        "from" and "to" by their titles, and the column: mean and standard deviation of the
        difference seed by seed, or "not run".

    Raises:
        ValueError: no such row or column.
    """
    rows = result.table.rows
    lines = []
    for low, high in pairs:
        first, second = result.cell(low, column), result.cell(high, column)
        lines.append((rows[low].title, rows[high].title, gap_text(paired(first, second))))
    title = next(one.title for one in result.table.columns if one.name == column)
    return pd.DataFrame(lines, columns=["from", "to", title])


def gap_text(gaps: Sequence[float]) -> str:
    """'+4.5 ± 0.3 (3 seeds)'; 'not run' without any, and without a deviation for one."""
    if not gaps:
        return "not run"
    spread = f" ± {statistics.stdev(gaps):.1f}" if len(gaps) > 1 else ""
    return f"{statistics.fmean(gaps):+.1f}{spread} ({len(gaps)} seed{'s' if len(gaps) > 1 else ''})"


def share_of_the_way(low: Cell, middle: Cell, high: Cell) -> tuple[float, float]:
    """How much of the way from `low` to `high` lies below `middle`: in the paper, and by our means.

    NaN where a number is missing or there is no way.
    """
    papers = _share(_published(low), _published(middle), _published(high))
    return papers, _share(low.mean, middle.mean, high.mean)


def _published(cell: Cell) -> float:
    """The paper's number, NaN where it gives none."""
    return math.nan if cell.published is None else cell.published.value


def _share(low: float, middle: float, high: float) -> float:
    return (middle - low) / (high - low) if high != low else math.nan


def _by_seed(cell: Cell) -> dict[int, float]:
    seeds = (int(run.rsplit("seed-", 1)[1]) for run in cell.runs)
    return dict(zip(seeds, cell.values, strict=True))
