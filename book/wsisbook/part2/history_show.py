"""What several rows did while they trained, in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from wsisbook.reading import RowResults
from wsislib.viz.curves import Series, curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def rows_in_time(rows: Sequence[RowResults], column: str, smooth: int = 10) -> Figure | str:
    """A column of the histories of some rows: the mean over seeds and one standard deviation.

    Args:
        rows: in the order of the legend.
        column: of `history.csv`, such as "loss_class".
        smooth: logged lines that are averaged.

    Returns:
        The figure, of finished runs alone; "not run" where there are none.
    """
    series = []
    for row in rows:
        done = [seed for seed in row.seeds if row.state(seed).state == "done"]
        found = [row.history(seed) for seed in done]
        held = [one.set_index("step")[column].dropna() for one in found if one is not None]
        if not held:
            continue
        smoothed = [one.rolling(smooth, min_periods=1).mean() for one in held]
        each = pd.concat(smoothed, axis=1)
        spread = each.std(axis=1).tolist() if len(held) > 1 else None
        mean = each.mean(axis=1)
        series.append(Series(row.title, mean.index.tolist(), mean.tolist(), spread))
    return curves(series, "step", column.replace("_", " ")) if series else "not run"
