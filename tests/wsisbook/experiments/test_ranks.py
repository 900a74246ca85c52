"""Rank correlations with their intervals."""

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from wsisbook.experiments.random_splits import rank_correlation


def test_it_is_spearmans_and_the_interval_holds_it() -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=60)
    y = x + draw.normal(size=60)
    found = rank_correlation(x, y)
    rho, p = spearmanr(x, y)
    assert found.rho == pytest.approx(rho) and found.p == pytest.approx(p)
    assert found.low < found.rho < found.high and found.low > 0
    assert found.n == found.groups == 60
    assert rank_correlation(x, y) == found != rank_correlation(x, y, seed=1)
    assert found.brief == f"{rho:+.2f} ({found.low:+.2f} to {found.high:+.2f})"
    assert "n = 60" in str(found) and f"{rho:+.2f}" in str(found)


def test_any_increasing_map_gives_one() -> None:
    x = np.arange(10.0)
    found = rank_correlation(x, np.exp(x))
    assert found.rho == pytest.approx(1) and found.low == pytest.approx(1)
    assert rank_correlation(x, -x).rho == pytest.approx(-1)


def test_noise_has_an_interval_around_nothing_most_of_the_time() -> None:
    draw = np.random.default_rng(1)
    inside = [
        found.low < 0 < found.high
        for found in (rank_correlation(*draw.normal(size=(2, 30)), draws=200) for _ in range(60))
    ]
    assert np.mean(inside) > 0.85


def test_points_that_come_in_groups_have_the_interval_of_their_groups() -> None:
    """Ten copies of every point tell no more than the points."""
    draw = np.random.default_rng(2)
    x, y = draw.normal(size=(2, 15))
    groups = np.repeat(np.arange(15), 10).tolist()
    plain = rank_correlation(x, y)
    copied = rank_correlation(np.repeat(x, 10), np.repeat(y, 10), groups)
    naive = rank_correlation(np.repeat(x, 10), np.repeat(y, 10))
    assert copied.groups == 15 and copied.n == 150
    assert copied.rho == pytest.approx(plain.rho)
    assert copied.high - copied.low == pytest.approx(plain.high - plain.low, rel=0.1)
    assert naive.high - naive.low < 0.5 * (plain.high - plain.low)
    assert "from 15 groups" in str(copied)


def test_what_cannot_be_ranked_is_undefined() -> None:
    for x, y in (([1, 2, 3], [1, 2, 3]), ([1] * 6, range(6)), ([], [])):
        found = rank_correlation(x, list(y))
        assert math.isnan(found.rho) and str(found).startswith("undefined")
        assert found.brief == "undefined"
    gappy = rank_correlation([1, 2, 3, 4, math.nan], [1, 2, 3, 4, 5])
    assert gappy.n == 4 and gappy.rho == pytest.approx(1)
    with pytest.raises(ValueError, match="of one length"):
        rank_correlation([1, 2], [1, 2, 3])
