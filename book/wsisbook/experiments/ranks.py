"""Rank correlation with the interval in which another draw of the same size would leave it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

DRAWS = 1000
LEAST = 4  # points; with fewer a rank correlation says nothing


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rank correlation.

    Attributes:
        rho: -1..1; NaN where it is undefined (too few points, or all alike on one axis).
        p: chance of so large a correlation among n unrelated points (two-sided, by Student's t).
        low, high: 95 % percentile bootstrap interval of `rho`.
        n: points.
        groups: what was drawn in the bootstrap; equal to n where every point stands for itself.
    """

    rho: float
    p: float
    low: float
    high: float
    n: int
    groups: int

    def numbers(self) -> dict[str, float]:
        """As plain numbers by name."""
        return asdict(self)

    @property
    def brief(self) -> str:
        """'-0.27 (-0.34 to -0.19)', for a table."""
        if math.isnan(self.rho):
            return "undefined"
        return f"{self.rho:+.2f} ({self.low:+.2f} to {self.high:+.2f})"

    def __str__(self) -> str:
        if math.isnan(self.rho):
            return f"undefined (n = {self.n})"
        interval = f"95 % interval {self.low:+.2f} to {self.high:+.2f}"
        of = "" if self.groups == self.n else f" from {self.groups} groups"
        return f"{self.rho:+.2f} ({interval}, p = {self.p:.2g}, n = {self.n}{of})"


def rank_correlation(
    x: ArrayLike,
    y: ArrayLike,
    groups: Sequence[object] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> RankCorrelation:
    """Spearman's correlation of `x` and `y`, pairs with a NaN left out.

    Args:
        x: (n,) numbers.
        y: (n,) numbers.
        groups: (n,) what each pair belongs to, where pairs are not independent: the bootstrap
            then draws whole groups. `p` knows nothing of groups; trust the interval.
        draws: of the bootstrap.
        seed: of the draws.

    Raises:
        ValueError: the lengths differ.
    """
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    names = np.arange(len(a)) if groups is None else np.unique(list(groups), return_inverse=True)[1]
    if not a.shape == b.shape == names.shape or a.ndim != 1:
        raise ValueError(
            f"rank_correlation wants x, y and groups of one length, got {a.shape}, {b.shape} "
            f"and {names.shape}"
        )
    known = np.isfinite(a) & np.isfinite(b)
    a, b, names = a[known], b[known], names[known]
    members = [np.flatnonzero(names == name) for name in np.unique(names)]
    if len(a) < LEAST or np.ptp(a) == 0 or np.ptp(b) == 0:
        return RankCorrelation(math.nan, math.nan, math.nan, math.nan, len(a), len(members))
    rho, p = stats.spearmanr(a, b)
    generator = np.random.default_rng(seed)
    drawn = [_drawn(a, b, members, generator) for _ in range(draws)]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return RankCorrelation(float(rho), float(p), float(low), float(high), len(a), len(members))


def _drawn(
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    members: list[NDArray[np.intp]],
    generator: np.random.Generator,
) -> float:
    """The correlation of one bootstrap draw of groups; NaN where it has only one value."""
    chosen = generator.integers(len(members), size=len(members))
    pairs = np.concatenate([members[group] for group in chosen])
    with np.errstate(invalid="ignore"):
        ranks = stats.rankdata(a[pairs]), stats.rankdata(b[pairs])
        return float(np.corrcoef(*ranks)[0, 1])
