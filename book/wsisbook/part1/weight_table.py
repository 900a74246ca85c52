"""What the weight space of a row's runs looks like, as numbers over seeds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wsisbook.part1.weight_space import (
    Members,
    apart,
    detection_weights,
    length_ratio,
    linear_probe_r2,
    reach,
)
from wsisbook.reading import RowResults
from wsisbook.tables.cells import mean_std
from wsislib.data.world import World
from wsislib.labels.splits import Split

COLUMNS = {
    "auc": "A told from B (0.5 is guessing)",
    "p": "p",
    "reach": "reach of B over that of A",
    "length": "length of A over that of B",
    "own": "R² on A, left out",
    "other": "R² on B",
}


def weight_numbers(row: RowResults, split: Split, world: World, what: str = "cls") -> pd.DataFrame:
    """One line a seed that was run, with the columns of `COLUMNS`; see `weight_space.py` for each.

    Args:
        row: its runs are of experiment `maskx`.
        split: of the row.
        world: what the categories are made of.
        what: which weights, as in `detection_weights`.
    """
    in_a: Members = split.mask_categories().numpy()
    embedding = world.embedding().astype(np.float64)
    lines = {}
    for seed in row.seeds:
        rows = detection_weights(row.folder(seed), what)
        if rows is not None:
            lines[seed] = _numbers(rows, embedding, in_a)
    return pd.DataFrame.from_dict(lines, orient="index", columns=list(COLUMNS))


def summary_table(rows: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """`weight_numbers` of several rows as text: mean and standard deviation over seeds."""
    lines = {
        title: {
            COLUMNS[name]: mean_std(frame[name].tolist(), 2) if len(frame) else "not run"
            for name in COLUMNS
        }
        for title, frame in rows.items()
    }
    return pd.DataFrame.from_dict(lines, orient="index", columns=list(COLUMNS.values()))


def _numbers(
    rows: NDArray[np.float64], embedding: NDArray[np.float64], in_a: Members
) -> dict[str, float]:
    told = apart(rows, in_a)
    own, other = linear_probe_r2(rows, embedding, in_a)
    return {
        "auc": told.auc,
        "p": told.p,
        "reach": reach(rows, in_a),
        "length": length_ratio(rows, in_a),
        "own": own,
        "other": other,
    }
