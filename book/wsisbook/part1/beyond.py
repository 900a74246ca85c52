"""How far categories without masks lie from those with: what they are made of, what is learnt.

Photographs give no scale for distance; the drawn world does, because it knows what every category
is made of. Learning to Segment Every Thing, section 3.2, stops the gradient of the mask loss
because it would reach the detection weights of A alone and set them apart from those of B, of
which T is asked. Here that is measured, on the rows w_cls that an end-to-end run ends with and on
how far its rows of class and box weights moved from those of the detector that it began with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.stats import rankdata

from wsisbook.experiments.random_splits import RankCorrelation, rank_correlation
from wsisbook.experiments.settings import PartialDataConfig
from wsisbook.reading import RowResults
from wsisbook.tables.cells import mean_std
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
    """How far each category of B lies from A: a line each, by name, with the columns of `MEASURES`.

    In the world's embedding outline and hue weigh alike, size and aspect ratio less.
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

    `runs` are the metrics of a run each; values are means over them. One line a split and category
    of B: split, a_count, category, "class-agnostic", "transfer", gain and those of `MEASURES`.
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


def demeaned(frame: pd.DataFrame, by: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    """`columns` less their mean among the lines that agree in `by`; lines that stand alone go.

    By category and size of A, what is left compares a category with itself under other choices of
    A: how hard it is to outline, and how many masks there are, are the same on both sides.
    """
    groups = frame.groupby(list(by))
    several = groups["split"].transform("size") > 1
    left = frame[list(columns)] - groups[list(columns)].transform("mean")
    return frame.assign(**{name: left[name] for name in columns})[several]


def correlations(
    frame: pd.DataFrame, values: Sequence[str], groups: str | None = None
) -> dict[tuple[str, str], RankCorrelation]:
    """(value, measure) -> rank correlation of each of `values` with each of `MEASURES`.

    `groups` is the column that names what a line belongs to, where lines are not independent.
    """
    names = None if groups is None else frame[groups].tolist()
    return {
        (value, measure): rank_correlation(frame[measure], frame[value], names)
        for value in values
        for measure in MEASURES
    }


def correlation_table(
    frame: pd.DataFrame, values: Sequence[str], groups: str | None = None
) -> pd.DataFrame:
    """`correlations` as text: a line a measure, a column a value, and the number of points."""
    found = correlations(frame, values, groups)
    lines = {
        meaning: [*(found[value, name].brief for value in values), found[values[0], name].n]
        for name, meaning in MEASURES.items()
    }
    return pd.DataFrame.from_dict(lines, orient="index", columns=[*values, "n"])


Rows = NDArray[np.float64]
Members = NDArray[np.bool_]
DETECTION_WEIGHTS = "detection_weights.safetensors"
FOLDS = 5


def detection_weights(run: Path, what: str = "cls") -> Rows | None:
    """(C, D) weights that a run of experiment `maskx` left in its folder, background left out.

    `what` is "cls", the class weights that it ended with, or "cls_moved" or "box_moved", how far
    the weights moved from the detector that it began with. None where there are none.
    """
    from safetensors.numpy import load_file

    file = run / DETECTION_WEIGHTS
    weights = load_file(file) if file.is_file() else {}
    return weights[what][1:].astype(np.float64) if what in weights else None


@dataclass(frozen=True)
class Separability:
    """How well a linear classifier tells A from B by rows that it was not fitted on."""

    auc: float  # chance that it ranks a category of A above one of B; 0.5 is guessing
    random_auc: float  # mean of the same for random labels
    p: float  # share of random labels that are told apart at least as well


def separability(
    rows: Rows, in_a: Members, repeats: int = 5, seed: int = 0, permuted: int = 200
) -> Separability:
    """Tell A, (C,) bool, from B by their rows (C, D), against `permuted` random labellings.

    The categories are divided into folds anew in each of `repeats`.
    """
    generator = np.random.default_rng(seed)
    auc = _mean_auc(rows, in_a, repeats, generator)
    random = [_mean_auc(rows, generator.permutation(in_a), 1, generator) for _ in range(permuted)]
    p = (1 + sum(other >= auc for other in random)) / (1 + permuted)
    return Separability(auc, float(np.mean(random)), p)


def held_out_scores(rows: Rows, in_a: Members, generator: np.random.Generator) -> Rows:
    """(C,) how much each row looks like A's, by a classifier that did not see it.

    Ridge regression on the class, both classes weighing alike, in `FOLDS` folds; the penalty is the
    rows' mean variance. Scores are centred and scaled fold by fold, so that folds can be compared.
    """
    _require_both(in_a)
    folds = _folds(in_a, generator)
    scores = np.zeros(len(rows))
    for fold in np.unique(folds):
        held, seen = folds == fold, folds != fold
        middle = (rows[seen & in_a].mean(axis=0) + rows[seen & ~in_a].mean(axis=0)) / 2
        x = rows[seen] - middle  # (n, D)
        share = np.where(in_a[seen], 0.5 / (seen & in_a).sum(), -0.5 / (seen & ~in_a).sum())
        gram = x @ x.T  # (n, n): as many unknowns as rows, however wide they are
        penalty = np.trace(gram) / len(gram)
        direction = x.T @ np.linalg.solve(gram + penalty * np.eye(len(gram)), share * len(share))
        fitted = x @ direction
        scores[held] = (rows[held] - middle) @ direction / max(fitted.std(), 1e-12)
    return scores


def drift(rows: Rows, in_a: Members, seed: int = 0) -> Rows:
    """(C, 2) of how far each category's row moved: held-out score of being in A, and length.

    With more dimensions than categories some direction separates any two groups; the score is
    therefore each category's by a classifier that did not see it.
    """
    score = held_out_scores(rows, in_a, np.random.default_rng(seed))
    return np.stack([score, np.linalg.norm(rows, axis=1)], axis=1)


def nn_distance_ratio(rows: Rows, in_a: Members) -> float:
    """Median distance of B's rows to the nearest of A, over that of A's to the nearest other of A.

    About 1 where T is asked about rows like those that it learnt from.
    """
    _require_both(in_a)
    inside = cdist(rows[in_a], rows[in_a])
    np.fill_diagonal(inside, np.inf)
    outside = cdist(rows[~in_a], rows[in_a])
    return float(np.median(outside.min(axis=1)) / np.median(inside.min(axis=1)))


def length_ratio(rows: Rows, in_a: Members) -> float:
    """Mean length of A's rows over that of B's."""
    lengths = np.linalg.norm(rows, axis=1)
    return float(lengths[in_a].mean() / lengths[~in_a].mean())


def linear_probe_r2(rows: Rows, embedding: Rows, in_a: Members) -> tuple[float, float]:
    """How well a linear map from rows (C, D) to an embedding (C, E), fitted on A, fits A and B.

    Ridge regression; the penalty is the best by leaving out one category of A at a time.
    R^2 on A with each category left out in turn, and R^2 on B; 0 is no better than A's mean.
    """
    _require_both(in_a)
    x, y = rows[in_a], embedding[in_a]  # (A, D), (A, E)
    gram, across = x @ x.T, rows[~in_a] @ x.T  # (A, A), (B, A)
    scale = np.trace(gram - gram.mean(axis=0)) / len(gram)  # mean variance of A's rows
    free = 1000 * scale  # the fit's constant is as good as free of penalty
    mean, others = y.mean(axis=0), len(y) / (len(y) - 1)
    fits = []
    for factor in np.logspace(-4, 2, 13):
        inverse = np.linalg.inv(gram + free + factor * scale * np.eye(len(gram)))
        weights = inverse @ y
        left_out = weights / np.diag(inverse)[:, None]  # residual of each by a fit without it
        r2_a = 1 - (left_out**2).sum() / ((others * (y - mean)) ** 2).sum()
        fits.append((r2_a, (across + free) @ weights))
    r2_a, predicted = max(fits, key=lambda fit: fit[0])
    truth = embedding[~in_a]
    return float(r2_a), float(1 - ((truth - predicted) ** 2).sum() / ((truth - mean) ** 2).sum())


def _mean_auc(rows: Rows, in_a: Members, repeats: int, generator: np.random.Generator) -> float:
    scores = [held_out_scores(rows, in_a, generator) for _ in range(repeats)]
    return float(np.mean([_auc(score, in_a) for score in scores]))


def _auc(score: Rows, in_a: Members) -> float:
    ranks, n = rankdata(score), in_a.sum()
    return float((ranks[in_a].sum() - n * (n + 1) / 2) / (n * (~in_a).sum()))


def _folds(in_a: Members, generator: np.random.Generator) -> NDArray[np.int64]:
    """(C,) fold of each category; each side is spread over the folds as evenly as can be."""
    folds = np.zeros(len(in_a), dtype=np.int64)
    for side in (in_a, ~in_a):
        members = generator.permutation(np.flatnonzero(side))
        folds[members] = np.arange(len(members)) % min(FOLDS, in_a.sum(), (~in_a).sum())
    return folds


def _require_both(in_a: Members) -> None:
    if min(in_a.sum(), (~in_a).sum()) < 2:
        raise ValueError(
            f"A has {in_a.sum()} categories and B {(~in_a).sum()}; each needs two or more to be "
            "compared with the other"
        )


COLUMNS = {
    "auc": "AUC of A against B (0.5 is guessing)",
    "p": "p",
    "distance": "distance to the nearest of A, B over A",
    "length": "length, A over B",
    "r2_a": "R² on A, left out",
    "r2_b": "R² on B",
}


def weight_numbers(row: RowResults, split: Split, world: World, what: str = "cls") -> pd.DataFrame:
    """A line a seed that was run, columns `COLUMNS`; `what` as in `detection_weights`."""
    in_a: Members = split.mask_categories().numpy()
    embedding = world.embedding().astype(np.float64)
    lines = {}
    for seed in row.seeds:
        rows = detection_weights(row.folder(seed), what)
        if rows is not None:
            linear = separability(rows, in_a)
            distance, length = nn_distance_ratio(rows, in_a), length_ratio(rows, in_a)
            probe = linear_probe_r2(rows, embedding, in_a)
            lines[seed] = (linear.auc, linear.p, distance, length, *probe)
    return pd.DataFrame.from_dict(lines, orient="index", columns=list(COLUMNS))


def summary_table(rows: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """`weight_numbers` of several rows as text: mean and standard deviation over seeds."""
    lines = {
        title: [mean_std(frame[n].tolist(), 2) if len(frame) else "not run" for n in COLUMNS]
        for title, frame in rows.items()
    }
    return pd.DataFrame.from_dict(lines, orient="index", columns=list(COLUMNS.values()))
