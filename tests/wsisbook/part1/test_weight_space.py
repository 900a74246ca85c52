"""The weight space of made-up categories, where the answers are known."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.numeric import close
from wsisbook.part1.weight_space import (
    apart,
    detection_weights,
    held_out_scores,
    length_ratio,
    linear_probe_r2,
    moves,
    reach,
)

IN_A = np.arange(80) < 20


def rows(shift: float = 0.0, seed: int = 0) -> np.ndarray:
    """80 rows of 256 values; A's lie `shift` standard deviations further along one direction."""
    draw = np.random.default_rng(seed)
    found = draw.normal(size=(80, 256))
    found[:20, 7] += shift
    return found


def test_groups_of_one_kind_are_not_told_apart_and_shifted_ones_are() -> None:
    alike = [apart(rows(seed=s), IN_A, deals=20, seed=s) for s in range(6)]
    assert abs(np.mean([found.auc for found in alike]) - 0.5) < 0.12  # 0.04 a deviation
    assert abs(np.mean([found.chance for found in alike]) - 0.5) < 0.03
    assert min(found.p for found in alike) > 0.02
    other = apart(rows(shift=20.0), IN_A, deals=40)
    assert other.auc > 0.95 and other.p == pytest.approx(1 / 41)


def test_an_unseen_row_is_never_scored_by_its_own_label() -> None:
    """With 256 dimensions for 80 rows a fit on all of them would tell any two groups apart."""
    draw = np.random.default_rng(0)
    sides = [held_out_scores(rows(seed=s), IN_A, draw) for s in range(8)]
    gap = np.mean([score[IN_A].mean() - score[~IN_A].mean() for score in sides])
    assert abs(gap) < 0.4
    shifted = held_out_scores(rows(shift=20.0), IN_A, draw)
    assert shifted[IN_A].mean() - shifted[~IN_A].mean() > 1


def test_the_picture_has_a_score_and_a_length() -> None:
    found = rows(shift=20.0)
    picture = moves(found, IN_A)
    assert picture.shape == (80, 2)
    close(picture[:, 1] ** 2, (found**2).sum(axis=1), "a root that is squared again")
    assert picture[IN_A, 0].min() > picture[~IN_A, 0].max(), "far apart, so told apart"


def test_reach_and_length_say_how_far_b_lies_from_a() -> None:
    assert reach(rows(), IN_A) == pytest.approx(1, abs=0.05)
    assert reach(rows(shift=30.0), IN_A) > 1.3
    longer = rows()
    longer[IN_A] *= 2
    assert length_ratio(longer, IN_A) == pytest.approx(2, rel=0.05)
    assert length_ratio(rows(), IN_A) == pytest.approx(1, abs=0.05)


def test_what_rows_are_made_of_is_read_out_where_the_map_holds() -> None:
    draw = np.random.default_rng(1)
    embedding = draw.normal(size=(80, 6))
    plain = embedding @ draw.normal(size=(6, 256)) + 0.1 * draw.normal(size=(80, 256)) + 3
    own, other = linear_probe_r2(plain, embedding, IN_A)
    assert own > 0.9 and other > 0.9
    turned = plain.copy()
    turned[~IN_A] = embedding[~IN_A] @ draw.normal(size=(6, 256)) + 3  # another map on B
    own, other = linear_probe_r2(turned, embedding, IN_A)
    assert own > 0.9 and other < 0.5
    own, other = linear_probe_r2(rows(), embedding, IN_A)
    assert abs(own) < 0.15 and abs(other) < 0.15


def test_leaving_one_out_is_what_it_says() -> None:
    """The short formula against eight fits, each without one category."""
    draw = np.random.default_rng(2)
    embedding, in_a = draw.normal(size=(12, 3)), np.arange(12) < 8
    made = embedding @ draw.normal(size=(3, 20)) + 0.5 * draw.normal(size=(12, 20))
    own, _ = linear_probe_r2(made, embedding, in_a)
    x, y = made[:8], embedding[:8]
    best = -np.inf
    scale = np.trace(x @ x.T - (x @ x.T).mean(axis=0)) / 8
    for factor in np.logspace(-4, 2, 13):
        left = []
        for out in range(8):
            seen = np.arange(8) != out
            middle, mean = x[seen].mean(axis=0), y[seen].mean(axis=0)
            centred = x[seen] - middle
            weights = np.linalg.solve(
                centred @ centred.T + factor * scale * np.eye(7), y[seen] - mean
            )
            left.append(y[out] - mean - (x[out] - middle) @ centred.T @ weights)
        others = (8 / 7) * (y - y.mean(axis=0))
        best = max(best, 1 - (np.array(left) ** 2).sum() / (others**2).sum())
    assert own == pytest.approx(best, abs=0.02)


def test_a_side_of_one_is_refused() -> None:
    lonely = np.arange(80) < 1
    for measure in (reach, moves, apart):
        with pytest.raises(ValueError, match="A has 1 categories and B 79"):
            measure(rows(), lonely)


def test_weights_come_from_the_run_without_background(tmp_path: Path) -> None:
    assert detection_weights(tmp_path) is None
    whole = np.arange(12, dtype=np.float16).reshape(4, 3)
    save_file({"cls": whole}, tmp_path / "detection_weights.safetensors")
    found = detection_weights(tmp_path)
    assert found is not None and found.dtype == np.float64
    assert (found == whole[1:]).all()
    assert detection_weights(tmp_path, "box_moved") is None
