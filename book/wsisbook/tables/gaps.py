"""Whether one number of a table lies above another, or seeds alone could have made the gap.

Rows of one seed share their data, its order and, where they start from one, their detector. So a
gap is judged by the differences seed by seed, d_1 ... d_n over the n seeds that both rows have:

    mean(d) ± t(0.975; n - 1) s(d) / sqrt(n),

the 95 % interval of Student's t, with s(d) the sample standard deviation of the differences. A gap
counts where its interval lies on one side of zero. With fewer than three seeds in a row nothing is
judged: one or two differences say next to nothing about their spread.

Rows that have three seeds each but fewer than three in common are not paired. Their gap is the
difference of the means, give or take two pooled standard deviations,

    s = sqrt(((n1 - 1) s1^2 + (n2 - 1) s2^2) / (n1 + n2 - 2)),

with s1, s2 the sample standard deviations over n1, n2 seeds.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from scipy.special import stdtrit

from wsisbook.tables.cells import Cell

LEAST_SEEDS = 3  # of a row, for a verdict
LEVEL = 0.95  # of the interval
ROUNDING = 1e-9  # a difference below this is that of sums, not of runs
RULE = (
    "Rows of one seed share their data and its order, so a gap is judged by the differences seed "
    f"by seed: it counts where their {LEVEL:.0%} interval, mean(d) ± t s(d) / √n with Student's t "
    f"over n seeds, lies on one side of zero. A row with fewer than {LEAST_SEEDS} seeds has no "
    f"verdict. Rows with fewer than {LEAST_SEEDS} seeds in common are not paired; their gap counts "
    "where it exceeds two pooled standard deviations."
)


@dataclass(frozen=True)
class Gap:
    """How far one number lies above another, in the numbers' own unit."""

    mean: float
    low: float  # ends of the interval
    high: float
    seeds: int  # in common; of the row with fewer where they are not paired
    paired: bool

    @property
    def sign(self) -> int:
        """1 where it lies above, -1 below, 0 where seeds alone could have made the gap."""
        return 1 if self.low > ROUNDING else -1 if self.high < -ROUNDING else 0

    def text(self, digits: int = 1) -> str:
        """'+4.5 [+3.2, +5.8]', the gap and its interval."""
        low, high = self.ends(digits)
        return f"{self.mean:+.{digits}f} [{low}, {high}]"

    def ends(self, digits: int = 1) -> tuple[str, str]:
        """The interval's ends; with a digit more where an end would look like zero and is not."""
        low, high = (_signed(value, digits) for value in (self.low, self.high))
        return low, high


def gap_between(low: Cell, high: Cell) -> Gap | None:
    """How far `high` lies above `low`; None where a row has fewer than `LEAST_SEEDS` seeds."""
    fewest = min(len(low.values), len(high.values))
    if fewest < LEAST_SEEDS:
        return None
    differences = high.paired_difference(low)
    n = len(differences)
    if n >= LEAST_SEEDS:
        mean = statistics.fmean(differences)
        half = t_quantile(n) * statistics.stdev(differences) / math.sqrt(n)
        return Gap(mean, mean - half, mean + half, n, paired=True)
    mean, half = high.mean - low.mean, 2 * pooled_std(low, high)
    return Gap(mean, mean - half, mean + half, fewest, paired=False)


def _signed(value: float, digits: int) -> str:
    near = ROUNDING < abs(value) < 0.5 * 10**-digits
    return f"{value:+.{digits + near}f}"


def t_quantile(seeds: int) -> float:
    """t(0.975; seeds - 1): 4.30 for three seeds, 2.78 for five."""
    return float(stdtrit(seeds - 1, (1 + LEVEL) / 2))


def pooled_std(first: Cell, second: Cell) -> float:
    """The pooled standard deviation s of the module's head; each cell has at least two values."""
    freedom = sum(len(cell.values) - 1 for cell in (first, second))
    squares = sum((len(cell.values) - 1) * cell.std**2 for cell in (first, second))
    return math.sqrt(squares / freedom)
