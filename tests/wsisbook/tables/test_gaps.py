"""Gaps between rows: the interval of Student's t seed by seed, and the rule for unpaired rows."""

import math
import statistics

import pytest
from scipy import stats

from wsisbook.runs.declared import Column
from wsisbook.tables.cells import Cell
from wsisbook.tables.gaps import Gap, gap_between, pooled_std, t_quantile

COLUMN = Column("AP", "AP", "AP")


def cell(*values: float, first: int = 0) -> Cell:
    """A cell with one value a seed, from seed `first` on."""
    runs = tuple(f"runs/table/row/seed-{first + n}" for n in range(len(values)))
    return Cell("row", COLUMN, values, runs, len(values), "done" if values else "not run")


def test_the_interval_is_that_of_a_paired_t_test() -> None:
    low, high = cell(10.0, 11.0, 12.5, 9.0), cell(12.0, 13.5, 13.0, 12.0)
    gap = gap_between(low, high)
    wanted = stats.ttest_rel(high.values, low.values).confidence_interval(0.95)
    assert gap is not None and gap.paired and gap.seeds == 4
    assert (gap.low, gap.high) == pytest.approx((wanted.low, wanted.high))
    assert gap.mean == pytest.approx(statistics.fmean((2.0, 2.5, 0.5, 3.0)))


def test_the_quantile_is_the_tables() -> None:
    assert t_quantile(3) == pytest.approx(4.303, abs=1e-3)
    assert t_quantile(5) == pytest.approx(2.776, abs=1e-3)


def test_what_seeds_share_is_no_noise() -> None:
    """Two rows that move together from seed to seed are told apart though they scatter widely."""
    low, high = cell(10.0, 20.0, 30.0), cell(11.0, 21.1, 30.9)
    gap = gap_between(low, high)
    assert gap is not None and gap.sign == 1
    assert pooled_std(low, high) > 9
    back = gap_between(high, low)
    assert back is not None and back.sign == -1 and back.mean == pytest.approx(-gap.mean)
    noisy = gap_between(cell(10.0, 20.0, 30.0), cell(31.0, 21.0, 11.0))
    assert noisy is not None and noisy.sign == 0


@pytest.mark.parametrize("few", [(), (1.0,), (1.0, 1.1)])
def test_fewer_than_three_seeds_are_not_judged(few: tuple[float, ...]) -> None:
    assert gap_between(cell(*few), cell(50.0, 50.1, 50.2)) is None
    assert gap_between(cell(50.0, 50.1, 50.2), cell(*few)) is None


def test_rows_without_common_seeds_are_judged_by_the_pooled_deviation() -> None:
    low, high = cell(1.0, 2.0, 3.0), cell(5.0, 6.0, 7.0, first=2)
    gap = gap_between(low, high)  # seed 2 alone is common
    assert gap is not None and not gap.paired and gap.seeds == 3
    assert (gap.mean, gap.low, gap.high) == pytest.approx((4.0, 2.0, 6.0))
    # s1 = 1 over 3 seeds, s2 = sqrt(8) over 2: sqrt((2 * 1 + 1 * 8) / 3)
    assert pooled_std(low, cell(10.0, 14.0)) == pytest.approx(math.sqrt(10 / 3))


def test_only_seeds_in_common_count() -> None:
    gap = gap_between(cell(1.0, 1.0, 1.0, 1.0), cell(2.0, 2.0, 2.0, first=1))
    assert gap is not None and gap.seeds == 3 and gap.paired and gap.low == gap.high == 1.0


def test_equal_rows_are_not_told_apart_by_rounding() -> None:
    gap = gap_between(cell(0.1, 0.2, 0.3), cell(0.1 + 1e-16, 0.2, 0.1 + 0.2))
    assert gap is not None and gap.sign == 0


def test_a_gap_is_written_with_its_interval() -> None:
    assert Gap(4.46, 3.2, 5.8, 3, True).text() == "+4.5 [+3.2, +5.8]"
    assert Gap(4.46, 3.2, 5.8, 3, True).text(2) == "+4.46 [+3.20, +5.80]"
    assert Gap(1.0, 0.04, 2.0, 3, True).text() == "+1.0 [+0.04, +2.0]", "no zero that is none"
    assert Gap(1.0, 0.0, 2.0, 3, True).ends() == ("+0.0", "+2.0")
