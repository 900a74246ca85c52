"""Where detection weights of categories with masks and without lie: what the gradient stop does.

Learning to Segment Every Thing, section 3.2, stops the gradient of the mask loss because it would
reach the detection weights of A alone and set them apart from those of B, of which T is asked.
Here that is measured, on the rows w_cls that an end-to-end run ends with and on how far its rows of
class and box weights moved from those of the detector that it began with.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.stats import rankdata

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
    kept = load_file(file) if file.is_file() else {}
    return kept[what][1:].astype(np.float64) if what in kept else None


@dataclass(frozen=True)
class Apart:
    """How well a linear classifier tells A from B by rows that it was not fitted on.

    Attributes:
        auc: chance that it ranks a category of A above one of B; 0.5 is guessing.
        chance: mean of the same for labels dealt at random.
        p: share of dealt labels that are told apart at least as well.
    """

    auc: float
    chance: float
    p: float


def apart(rows: Rows, in_a: Members, deals: int = 200, repeats: int = 5, seed: int = 0) -> Apart:
    """Try to tell A from B by their rows.

    Args:
        rows: (C, D).
        in_a: (C,) bool; both sides must hold two categories or more.
        deals: how often labels are dealt at random, for comparison.
        repeats: how often the categories are divided into folds anew.
        seed: of all draws.

    Raises:
        ValueError: a side has fewer than two categories.
    """
    generator = np.random.default_rng(seed)
    own = _mean_auc(rows, in_a, repeats, generator)
    dealt = [_mean_auc(rows, generator.permutation(in_a), 1, generator) for _ in range(deals)]
    p = (1 + sum(other >= own for other in dealt)) / (1 + deals)
    return Apart(own, float(np.mean(dealt)), p)


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


def moves(rows: Rows, in_a: Members, seed: int = 0) -> Rows:
    """(C, 2) a picture of how far rows moved: held-out score of being in A, and length.

    With more dimensions than categories some direction separates any two groups; the score is
    therefore each category's by a classifier that did not see it.
    """
    score = held_out_scores(rows, in_a, np.random.default_rng(seed))
    return np.stack([score, np.linalg.norm(rows, axis=1)], axis=1)


def reach(rows: Rows, in_a: Members) -> float:
    """How much farther B lies from A than A's own categories do from one another.

    Median distance of B's rows to the nearest of A, over the median distance of A's rows to the
    nearest other one of A; about 1 where T is asked about rows like those that it learnt from.
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
    """How well a linear map from rows to what the categories are, fitted on A, fits A and B.

    Ridge regression; the penalty is the best by leaving out one category of A at a time.

    Args:
        rows: (C, D).
        embedding: (C, E) what each category is made of.
        in_a: (C,) bool.

    Returns:
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
        own = 1 - (left_out**2).sum() / ((others * (y - mean)) ** 2).sum()
        fits.append((own, (across + free) @ weights))
    own, predicted = max(fits, key=lambda fit: fit[0])
    truth = embedding[~in_a]
    return float(own), float(1 - ((truth - predicted) ** 2).sum() / ((truth - mean) ** 2).sum())


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
