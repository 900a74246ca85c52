"""The points of figure 3: ours from the store, the paper's from its folder."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from wsisbook.experiments.random_splits import relative_gain
from wsisbook.reading import StudyResults
from wsisbook.tables.published import load_figure

HEADS = "maskx-transfer-input"
PAPER = "learning-to-segment-every-thing"
COLUMNS = ("seed", "split", "a_count", "instances", "class-agnostic", "transfer", "relative_gain")


def split_points(metrics_by_seed: Mapping[int, Any]) -> pd.DataFrame:
    """One line a seed and split, with the columns of `COLUMNS`; empty if nothing was run.

    `instances` are those in the training data, mean over the categories of A; the two heads' values
    are mask AP on B; `relative_gain` is in percent, NaN where the class-agnostic head has AP 0.
    """
    lines = [
        (seed, name, split["a_count"], split["instances"],
         split["class-agnostic"]["AP"], split["transfer"]["AP"], split["relative_gain"])
        for seed, metrics in metrics_by_seed.items()
        for name, split in metrics["splits"].items()
    ]  # fmt: skip
    frame = pd.DataFrame(lines, columns=list(COLUMNS))
    return frame.astype(dict.fromkeys(COLUMNS[2:], float))


def mean_points(points: pd.DataFrame) -> pd.DataFrame:
    """`split_points` averaged over seeds: one line a split, in the order of the splits."""
    numbers = points.drop(columns="seed").groupby("split", sort=False)
    return numbers.mean(numeric_only=True).reset_index()


def main_points(study: StudyResults, runs: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """The points of table 1's split and its reverse, with the columns of `published_points`.

    Instances are those that `runs` (the metrics of each) counted in the training data; the gain is
    that of the heads of table 1, over means of seeds. Directions that were not run are left out.
    """
    counts = [run["category_instances"] for run in runs if "category_instances" in run]
    result, lines = study.table(HEADS), []
    for name, way, end in (("voc-20", "few", ""), ("nonvoc-60", "many", "-reversed")):
        low, high = (result.cell(head + end, "AP_B").mean for head in ("class-agnostic", "cls-box"))
        members = study["maskx-heads", way].split().a
        if counts and not math.isnan(high - low):
            seen = statistics.fmean(counts[0][category] for category in members)
            lines.append((name, len(members), seen, relative_gain(high, low)))
    return pd.DataFrame(lines, columns=["split", "a_count", "instances", "relative_gain"])


def published_points() -> pd.DataFrame:
    """The paper's: split ("random-20", "voc-20", ...), a_count, instances, relative_gain."""
    figure = load_figure(PAPER, "figure-3")
    return figure.rename(columns={"instances_per_class": "instances"})[
        ["split", "a_count", "instances", "relative_gain"]
    ]
