"""How far a category without masks lies from those with masks, and what that costs.

A question that Learning to Segment Every Thing leaves open. Photographs give no scale for it; the
drawn world does, because it knows what every category is made of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist

from wsisbook.experiments.random_splits import RankCorrelation, rank_correlation
from wsisbook.experiments.settings import PartialDataConfig
from wsislib.data.world import World, WorldSpec
from wsislib.labels.splits import Split

# How a category of B lies to A, each the larger the farther.
MEASURES = {
    "nearest": "embedding distance to the nearest category of A",
    "three_nearest": "mean embedding distance to the three nearest of A",
    "rarity": "one over 1 + the categories of A that share its rarest factor value",
    "unseen": "factor values that no category of A has",
}


def world_of(config: PartialDataConfig) -> World:
    """The world that a run's settings name.

    Raises:
        ValueError: its data are photographs, of which nobody knows what categories are made of.
    """
    if config.data != "world":
        raise ValueError(
            f"the data are {config.data!r}, but distance between categories is measured by what "
            "they are made of, which only the drawn world knows; use scale 'lab'"
        )
    return World(WorldSpec(config.categories, config.image_size, config.world_seed))


def distances(world: World, split: Split) -> pd.DataFrame:
    """How far each category of B lies from A.

    Args:
        world: whose embedding measures; outline and hue each weigh alike in it, size and aspect
            ratio less.
        split: of its categories.

    Returns:
        One line a category of B, by name, with the columns of `MEASURES`.

    Raises:
        ValueError: the split is of another number of categories.
    """
    split.check(len(world.categories))
    a, b = list(split.a), list(split.b)
    embedding = world.embedding().astype(np.float64)  # (C, D)
    gaps = np.sort(cdist(embedding[b], embedding[a]), axis=1)  # (B, A)
    values = world.table.values[:, [level > 0 for level in world.table.levels]]  # (C, factors)
    shared = (values[b][:, None] == values[a][None]).sum(axis=1)  # (B, factors), categories of A
    columns = {
        "nearest": gaps[:, 0],
        "three_nearest": gaps[:, :3].mean(axis=1),
        "rarity": 1 / (1 + shared.min(axis=1)),
        "unseen": world.unseen_counts(a)[b].astype(np.float64),
    }
    return pd.DataFrame(columns, index=[world.categories[c].name for c in b])


def split_quality(
    world: World, splits: Mapping[str, Split], runs: Iterable[Mapping[str, Any]]
) -> pd.DataFrame:
    """Mask AP on B of both heads of every random split, with the distances of that split.

    `runs` are the metrics of a run each; values are means over them.

    Returns:
        One line a split and category of B: split, a_count, category, "class-agnostic", "transfer",
        gain and the columns of `MEASURES`.
    """
    heads, seeds = ["class-agnostic", "transfer"], list(runs)
    parts = []
    for name, split in splits.items() if seeds else ():
        found = [
            pd.DataFrame({head: run["splits"][name][head]["per_category"] for head in heads})
            for run in seeds
        ]
        mean = pd.concat(found).astype(float).groupby(level=0).mean()
        part = distances(world, split).join(mean)
        parts.append(part.assign(split=name, a_count=len(split.a), category=part.index))
    columns = ["split", "a_count", "category", *heads, "gain", *MEASURES]
    if not parts:
        return pd.DataFrame(columns=columns)
    whole = pd.concat(parts, ignore_index=True)
    return whole.assign(gain=whole["transfer"] - whole["class-agnostic"])[columns]


def centred(frame: pd.DataFrame, by: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    """`columns` less their mean among the lines that agree in `by`; lines that stand alone go.

    By category and size of A, what is left compares a category with itself under other choices of
    A: how hard it is to outline, and how many masks there are, are the same on both sides.
    """
    groups = frame.groupby(list(by))
    several = groups["split"].transform("size") > 1
    left = frame[list(columns)] - groups[list(columns)].transform("mean")
    return frame.assign(**{name: left[name] for name in columns})[several]


def falls(
    frame: pd.DataFrame, values: Sequence[str], groups: str | None = None
) -> dict[tuple[str, str], RankCorrelation]:
    """Rank correlation of each of `values` with each of `MEASURES`.

    Args:
        frame: with these columns.
        values: what may fall with distance.
        groups: the column that names what a line belongs to, where lines are not independent.
    """
    names = None if groups is None else frame[groups].tolist()
    return {
        (value, measure): rank_correlation(frame[measure], frame[value], names)
        for value in values
        for measure in MEASURES
    }


def falls_table(
    frame: pd.DataFrame, values: Sequence[str], groups: str | None = None
) -> pd.DataFrame:
    """`falls` as text: one line a measure, one column a value, and how many points there are."""
    found = falls(frame, values, groups)
    lines = {
        MEASURES[measure]: [
            *(found[value, measure].brief for value in values),
            found[values[0], measure].n,
        ]
        for measure in MEASURES
    }
    return pd.DataFrame.from_dict(lines, orient="index", columns=[*values, "n"])
