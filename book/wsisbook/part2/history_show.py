"""What several rows did while they trained, in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from wsisbook.tables import show
from wsislib.viz.curves import Series, curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def rows_in_time(
    table: str, rows: Sequence[str], column: str, scale: str = "lab", smooth: int = 10
) -> Figure | str:
    """A column of the histories of some rows: the mean over seeds and one standard deviation.

    Args:
        table: of the rows.
        rows: by name.
        column: of `history.csv`, such as "loss_class".
        scale: of the runs.
        smooth: logged lines that are averaged.

    Returns:
        The figure, of finished runs alone; "not run" where there are none.
    """
    titles = show.table_result(table, scale).table.rows
    series = []
    for row in rows:
        seeds = show.seeds(table, row, scale)
        done = [seed for seed in seeds if show.state_of(table, row, seed, scale).state == "done"]
        found = [show.history(table, row, seed, scale) for seed in done]
        held = [one.set_index("step")[column].dropna() for one in found if one is not None]
        if not held:
            continue
        smoothed = [one.rolling(smooth, min_periods=1).mean() for one in held]
        each = pd.concat(smoothed, axis=1)
        spread = each.std(axis=1).tolist() if len(held) > 1 else None
        mean = each.mean(axis=1)
        series.append(Series(titles[row].title, mean.index.tolist(), mean.tolist(), spread))
    return curves(series, "step", column.replace("_", " ")) if series else "not run"
