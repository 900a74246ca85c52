"""Categories: unique combinations, shared values, a long tail, and disjoint factor sets."""

import numpy as np
import pytest

from wsislib.data.world import World, WorldSpec
from wsislib.data.world.factors import FACTORS, factor_levels
from wsislib.data.world.outlines import FAMILIES
from wsislib.data.world.textures import PATTERNS, hue_position


@pytest.mark.parametrize("count", [1, 2, 12, 20, 60, 80, 81, 100, 400, 1000, 3000])
def test_every_category_is_its_own_combination(count: int):
    world = World(WorldSpec(categories=count))
    assert len(world.categories) == count
    assert len(np.unique(world.table.values, axis=0)) == count
    assert len({category.name for category in world.categories}) == count
    assert [category.id for category in world.categories] == list(range(1, count + 1))


@pytest.mark.parametrize("count", [12, 20, 24, 80, 100, 500, 3000])
def test_every_factor_value_occurs_in_several_categories(count: int):
    world = World(WorldSpec(categories=count))
    for place, level in enumerate(world.table.levels):
        column = world.table.values[:, place]
        if level:
            assert np.bincount(column, minlength=level).min() >= 2
        else:
            assert (column == -1).all()


def test_factors_appear_as_the_world_grows():
    assert factor_levels(WorldSpec(categories=20)) == (4, 5, 0, 0, 0)
    assert factor_levels(WorldSpec(categories=80)) == (8, 10, 0, 0, 0)
    assert factor_levels(WorldSpec(categories=400)) == (8, 10, 5, 0, 0)
    assert factor_levels(WorldSpec(categories=3000)) == (8, 10, 5, 3, 3)


def test_frequencies_are_a_long_tail_independent_of_factors():
    table = World(WorldSpec(frequency_exponent=1.0)).table
    assert table.frequency.sum() == pytest.approx(1.0)
    ranked = np.sort(table.frequency)[::-1]
    np.testing.assert_allclose(ranked[0] / ranked, np.arange(1, 81))
    rank = np.argsort(np.argsort(table.frequency))
    for place in (0, 1):
        assert abs(np.corrcoef(rank, table.values[:, place])[0, 1]) < 0.3
    assert len(set(World(WorldSpec(frequency_exponent=0.0)).table.frequency)) == 1


def test_scenes_follow_the_frequencies():
    world = World(WorldSpec(categories=12, frequency_exponent=1.0))
    found = np.concatenate([world.scene(1, index).categories for index in range(250)])
    share = np.bincount(found, minlength=12) / len(found)
    np.testing.assert_allclose(share, world.table.frequency, atol=0.05)
    assert share.argmax() == world.table.frequency.argmax()


def test_sizes_and_aspects_are_typical_of_the_category():
    world = World(WorldSpec(categories=4, rider_probability=0.0))
    things = [t for index in range(200) for t in world.scene(2, index).objects]
    for category in range(4):
        aspect = [t.rx / t.ry for t in things if t.category == category]
        assert np.median(aspect) == pytest.approx(world.table.aspect[category], rel=0.06)
        assert np.std(np.log(aspect)) > 0.03
    assert world.table.aspect.max() / world.table.aspect.min() > 1.2


def test_hue_stays_inside_its_bin():
    assert [hue_position(h, 10, 0.0) for h in range(3)] == pytest.approx([0.05, 0.15, 0.25])
    assert hue_position(1, 2, 0.5) == pytest.approx(0.6)  # fewer hues: bins far apart


def test_distance_counts_differing_factors():
    world = World(WorldSpec(categories=3000))
    values = world.table.values
    assert world.distance(5, 5) == 0
    for a, b in [(0, 1), (17, 2000), (2999, 3)]:
        assert world.distance(a, b) == world.distance(b, a) == int((values[a] != values[b]).sum())
    known = list(range(0, 3000, 37))
    slow = [min(world.distance(c, a) for a in known) for c in range(0, 3000, 500)]
    assert world.nearest_distance(known)[::500].tolist() == slow


def test_unseen_factors():
    world = World(WorldSpec(categories=80))
    outline, hue = world.table.values[0, :2]
    others = [c for c in range(80) if world.table.values[c, 0] != outline]
    assert world.unseen_factors(0, others) == 1
    others = [c for c in others if world.table.values[c, 1] != hue]
    assert world.unseen_factors(0, others) == 2
    assert world.unseen_factors(0, range(80)) == 0
    assert world.unseen_counts(others)[0] == 2
    with pytest.raises(ValueError, match="at least one category"):
        world.unseen_factors(0, [])
    with pytest.raises(ValueError, match="category index 80 is not in this world"):
        world.nearest_distance([3, 80])


def test_a_factor_value_can_be_kept_out():
    world = World(WorldSpec(categories=400))
    without = world.having("pattern", [2])
    assert len(without) == 80
    rest = [c for c in range(400) if c not in without]
    assert (world.unseen_counts(rest)[without] == 1).all()
    with pytest.raises(ValueError, match="'hole' is no factor of this world"):
        world.having("hole", [1])


def test_embedding_is_fixed_and_tells_the_factors():
    world = World(WorldSpec(categories=400))
    embedding = world.embedding()
    assert embedding.shape == (400, 64) and embedding.dtype == np.float32
    assert (embedding == World(WorldSpec(categories=400)).embedding()).all()
    gap = ((embedding[:, None] - embedding[None]) ** 2).sum(axis=2)
    apart = (world.table.values[:, None] != world.table.values[None]).sum(axis=2)
    means = [gap[apart == d].mean() for d in (1, 2, 3)]
    assert means[0] < means[1] < means[2]


def test_factor_sets_share_no_outline_and_no_pattern():
    for table in (FAMILIES, PATTERNS):
        names = [name for family in table.values() for name in family]
        assert len(names) == len(set(names))
    worlds = [World(WorldSpec(factor_set=s)) for s in ("study", "teacher", "pretrain")]
    curves = np.stack([o.radius for world in worlds for o in world.outlines])
    apart = np.abs(curves[:, None] - curves[None]).mean(axis=2) + np.eye(len(curves))
    assert apart.min() > 0.03
    assert all(abs(np.mean(c**2) - 0.85**2) < 1e-3 for c in curves)


def test_teacher_hues_avoid_the_study_hues():
    study, teacher = World(WorldSpec()), World(WorldSpec(factor_set="teacher"))
    centres = [hue_position(h, 10, study.hue_origin) for h in range(10)]
    for h in range(10):
        other = hue_position(h, 10, teacher.hue_origin)
        gap = min(min(abs(other - c), 1 - abs(other - c)) for c in centres)
        assert gap >= 0.5 * (0.056 + 0.040)  # half of each drawn width


def test_another_world_seed_is_another_world():
    a, b = World(WorldSpec()), World(WorldSpec(world_seed=1))
    assert [o.name for o in a.outlines] != [o.name for o in b.outlines]
    assert a.hue_origin != b.hue_origin
    assert not np.allclose(a.table.aspect, b.table.aspect)


def test_factors_is_a_table():
    factors = World(WorldSpec(categories=100)).factors
    assert set(factors) == {*FACTORS, "size", "aspect", "frequency"}
    assert all(len(column) == 100 for column in factors.values())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("categories", 0),
        ("categories", 3001),
        ("categories", 2.5),
        ("size", 10),
        ("world_seed", -1),
        ("factor_set", "exam"),
        ("frequency_exponent", float("nan")),
        ("rider_probability", 1.5),
        ("hosts", (3, 1)),
        ("hosts", (0, 1)),
        ("clutter", 4),
        ("minimum_pixels", 0),
    ],
)
def test_a_specification_that_makes_no_sense(field: str, value: object):
    with pytest.raises(ValueError, match=f"WorldSpec.{field} is "):
        WorldSpec(**{field: value})  # type: ignore[arg-type]
