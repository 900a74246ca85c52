"""How far categories lie from those with masks, and ranks of quality against it."""

import math

import pandas as pd
import pytest

from tests.numeric import close
from wsisbook.experiments.settings import PartialDataConfig
from wsisbook.part1.distance import (
    MEASURES,
    centred,
    distances,
    falls,
    falls_table,
    split_quality,
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
    with pytest.raises(ValueError, match="in neither A nor B"):
        distances(WORLD, world_split(8, 4, seed=0))


def test_quality_that_falls_with_distance_is_seen_to_fall() -> None:
    frame = distances(WORLD, world_split(12, 4, seed=3))
    frame["falling"] = -frame["nearest"]
    frame["category"] = frame.index
    found = falls(frame, ["falling"], "category")
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
    left = centred(frame, ["category", "a_count"], columns)
    assert len(left) < len(frame)  # a category that is in B once for a size is left out
    assert left.groupby(["category", "a_count"])["nearest"].mean().abs().max() < 1e-9
    across, within = (
        falls(part, ["transfer"], "category")["transfer", "nearest"] for part in (frame, left)
    )
    assert within.rho < -0.9 < across.rho
    assert within.groups == left["category"].nunique()


def test_without_runs_there_are_no_lines() -> None:
    frame = split_quality(WORLD, {"s": world_split(12, 4, seed=0)}, [])
    assert frame.empty and set(MEASURES) < set(frame.columns)
    assert math.isnan(falls(frame, ["gain"], "category")["gain", "nearest"].rho)
    assert centred(frame, ["category"], ["gain"]).empty


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
    shown = falls_table(frame, ["falling"])
    assert list(shown.index) == list(MEASURES.values())
    assert shown.iloc[0].tolist() == ["-1.00 (-1.00 to -1.00)", 8]
