"""How far categories lie from those with masks, and ranks of quality against it."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from tests.numeric import close
from wsisbook.experiments.settings import PartialDataConfig
from wsisbook.part1.beyond import (
    COLUMNS,
    MEASURES,
    correlation_table,
    correlations,
    demeaned,
    detection_weights,
    distances,
    drift,
    held_out_scores,
    length_ratio,
    linear_probe_r2,
    nn_distance_ratio,
    separability,
    split_quality,
    summary_table,
    weight_numbers,
    world_of,
)
from wsislib.data.world import World, WorldSpec
from wsislib.labels.splits import make_split, world_split

WORLD = World(WorldSpec(categories=12))


def test_a_category_is_as_far_as_its_factors_say() -> None:
    split = world_split(12, 4, seed=3)
    found = distances(WORLD, split)
    assert list(found.index) == [WORLD.categories[c].name for c in split.b]
    assert list(found.columns) == list(MEASURES)
    assert (found["nearest"] <= found["three_nearest"]).all() and (found["nearest"] > 0).all()
    values = WORLD.table.values
    for c in split.b:
        own = found.loc[WORLD.categories[c].name]
        assert own["unseen"] == WORLD.unseen_factors(c, split.a)
        sharing = [sum(values[a, f] == values[c, f] for a in split.a) for f in (0, 1)]
        assert own["rarity"] == pytest.approx(1 / (1 + min(sharing)))
        assert (own["unseen"] > 0) == (own["rarity"] == 1)
    everyone_else = make_split("s", [c for c in range(12) if c != split.b[0]], 12)
    closer = distances(WORLD, everyone_else)
    name = WORLD.categories[split.b[0]].name
    assert (closer.loc[name] <= found.loc[name]).all()
    with pytest.raises(ValueError, match="it has 8 categories, the data set 12"):
        distances(WORLD, world_split(8, 4, seed=0))


def test_quality_that_falls_with_distance_is_seen_to_fall() -> None:
    frame = distances(WORLD, world_split(12, 4, seed=3))
    frame["falling"] = -frame["nearest"]
    frame["category"] = frame.index
    found = correlations(frame, ["falling"], "category")
    assert set(found) == {("falling", measure) for measure in MEASURES}
    assert found["falling", "nearest"].rho == pytest.approx(-1)
    assert found["falling", "nearest"].n == 8


def fake_metrics(splits: dict) -> dict:
    """AP that is hard for some categories and falls by 10 a unit of distance for transfer."""
    metrics: dict = {"splits": {}}
    for name, split in splits.items():
        nearest = distances(WORLD, split)["nearest"]
        hard = {c.name: 30.0 + 2 * c.id for c in WORLD.categories}
        metrics["splits"][name] = {
            "class-agnostic": {"per_category": {n: hard[n] for n in nearest.index}},
            "transfer": {"per_category": {n: hard[n] + 5 - 10 * d for n, d in nearest.items()}},
        }
    return metrics


def test_a_category_compared_with_itself_shows_what_categories_hide() -> None:
    splits = {f"{n}-{t}": world_split(12, n, seed=t) for n in (4, 6) for t in range(4)}
    frame = split_quality(WORLD, splits, [fake_metrics(splits), fake_metrics(splits)])
    assert len(frame) == sum(len(split.b) for split in splits.values())
    why = "differences of numbers around thirty, in doubles"
    close(frame["gain"].to_numpy(), (5 - 10 * frame["nearest"]).to_numpy(), why)
    columns = ["transfer", "gain", *MEASURES]
    left = demeaned(frame, ["category", "a_count"], columns)
    assert len(left) < len(frame)  # a category that is in B once for a size is left out
    assert left.groupby(["category", "a_count"])["nearest"].mean().abs().max() < 1e-9
    across, within = (
        correlations(part, ["transfer"], "category")["transfer", "nearest"]
        for part in (frame, left)
    )
    assert within.rho < -0.9 < across.rho
    assert within.groups == left["category"].nunique()


def test_without_runs_there_are_no_lines() -> None:
    frame = split_quality(WORLD, {"s": world_split(12, 4, seed=0)}, [])
    assert frame.empty and set(MEASURES) < set(frame.columns)
    assert math.isnan(correlations(frame, ["gain"], "category")["gain", "nearest"].rho)
    assert demeaned(frame, ["category"], ["gain"]).empty


def test_undefined_numbers_stay_undefined() -> None:
    split = world_split(12, 4, seed=0)
    metrics = fake_metrics({"s": split})
    first = WORLD.categories[split.b[0]].name
    metrics["splits"]["s"]["transfer"]["per_category"][first] = None
    frame = split_quality(WORLD, {"s": split}, [metrics]).set_index("category")
    assert pd.isna(frame.loc[first, "gain"]) and frame["gain"].notna().sum() == len(split.b) - 1


def test_only_the_drawn_world_knows_distances() -> None:
    assert len(world_of(PartialDataConfig(categories=12)).categories) == 12
    with pytest.raises(ValueError, match="the data are 'coco', but distance"):
        world_of(PartialDataConfig(data="coco"))


def test_the_table_says_each_correlation() -> None:
    frame = distances(WORLD, world_split(12, 4, seed=3))
    frame["falling"] = -frame["nearest"]
    shown = correlation_table(frame, ["falling"])
    assert list(shown.index) == list(MEASURES.values())
    assert shown.iloc[0].tolist() == ["-1.00 (-1.00 to -1.00)", 8]


IN_A = np.arange(80) < 20


def rows(shift: float = 0.0, seed: int = 0) -> np.ndarray:
    """80 rows of 256 values; A's lie `shift` standard deviations further along one direction."""
    draw = np.random.default_rng(seed)
    found = draw.normal(size=(80, 256))
    found[:20, 7] += shift
    return found


def test_groups_of_one_kind_are_not_told_apart_and_shifted_ones_are() -> None:
    alike = [separability(rows(seed=s), IN_A, permuted=20, seed=s) for s in range(6)]
    assert abs(np.mean([found.auc for found in alike]) - 0.5) < 0.12  # 0.04 a deviation
    assert abs(np.mean([found.random_auc for found in alike]) - 0.5) < 0.03
    assert min(found.p for found in alike) > 0.02
    other = separability(rows(shift=20.0), IN_A, permuted=40)
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
    picture = drift(found, IN_A)
    assert picture.shape == (80, 2)
    close(picture[:, 1] ** 2, (found**2).sum(axis=1), "a root that is squared again")
    assert picture[IN_A, 0].min() > picture[~IN_A, 0].max(), "far apart, so told apart"


def test_distance_and_length_say_how_far_b_lies_from_a() -> None:
    assert nn_distance_ratio(rows(), IN_A) == pytest.approx(1, abs=0.05)
    assert nn_distance_ratio(rows(shift=30.0), IN_A) > 1.3
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
    for measure in (nn_distance_ratio, drift, separability):
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


def test_seeds_that_were_run_are_measured(tmp_path: Path) -> None:
    world, split = World(WorldSpec(categories=20)), world_split(20, 8, seed=0)
    embedding = world.embedding().astype(np.float64)
    rows = embedding @ np.random.default_rng(0).normal(size=(64, 32))
    shown = {0: rows, 2: rows + 9.0 * split.mask_categories().numpy()[:, None]}
    for seed, own in shown.items():
        (tmp_path / str(seed)).mkdir()
        kept = {"cls": np.concatenate([own[:1], own])}  # the first row is of background
        save_file(kept, tmp_path / str(seed) / "detection_weights.safetensors")
    row = SimpleNamespace(seeds=(0, 1, 2), folder=lambda seed: tmp_path / str(seed))
    found = weight_numbers(row, split, world)
    assert list(found.index) == [0, 2] and list(found.columns) == list(COLUMNS)
    assert found.loc[2, "auc"] > 0.95 > found.loc[0, "auc"]
    assert found.loc[2, "distance"] > 2 * found.loc[0, "distance"]
    assert found.loc[0, "r2_b"] > 0.8 > found.loc[2, "r2_b"]
    text = summary_table({"with": found, "without": found.iloc[:0]})
    assert set(text.loc["without"]) == {"not run"}
    assert " ± " in text.loc["with", COLUMNS["auc"]]
