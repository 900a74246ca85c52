"""The points of figure 3: ours from the store, the paper's from its folder."""

from __future__ import annotations

import pandas as pd

from wsislib.study.published import load_figure
from wsislib.study.run_metrics import seed_metrics

PAPER = "learning-to-segment-every-thing"
COLUMNS = ("seed", "split", "a_count", "instances", "class-agnostic", "transfer", "relative_gain")


def split_points(table: str, row: str, scale: str = "lab") -> pd.DataFrame:
    """One line a seed and split, with the columns of `COLUMNS`; empty if nothing was run.

    `instances` are those in the training data, mean over the categories of A; the two heads' values
    are mask AP on B; `relative_gain` is in percent, NaN where the class-agnostic head has AP 0.
    """
    lines = [
        (seed, name, own["a_count"], own["instances"],
         own["class-agnostic"]["AP"], own["transfer"]["AP"], own["relative_gain"])
        for seed, metrics in seed_metrics(table, row, scale).items()
        for name, own in metrics["splits"].items()
    ]  # fmt: skip
    frame = pd.DataFrame(lines, columns=list(COLUMNS))
    return frame.astype(dict.fromkeys(COLUMNS[3:], float))


def mean_points(points: pd.DataFrame) -> pd.DataFrame:
    """`split_points` averaged over seeds: one line a split, in the order of the splits."""
    numbers = points.drop(columns="seed").groupby("split", sort=False)
    return numbers.mean(numeric_only=True).reset_index()


def published_points() -> pd.DataFrame:
    """The paper's: split ("random-20", "voc-20", ...), a_count, instances, relative_gain."""
    figure = load_figure(PAPER, "figure-3")
    return figure.rename(columns={"instances_per_class": "instances"})[
        ["split", "a_count", "instances", "relative_gain"]
    ]
