"""Regions that two objects share: around both, fullest first, with one of the wanted categories."""

import numpy as np

from wsisbook.part0.world_find import shared_regions
from wsislib.data.world import World, WorldSpec

WORLD = World(WorldSpec(categories=6))
EVERY = range(6)


def test_a_region_holds_both_objects_and_the_fullest_comes_first() -> None:
    regions = shared_regions(WORLD, seed=3, count=40, members=EVERY)
    assert len(regions) > 5
    fills = [region.filled for region in regions]
    assert fills == sorted(fills, reverse=True) and 0 < fills[-1] <= fills[0] <= 1
    for region in regions:
        scene = WORLD.scene(3, region.index)
        first, second = region.pair
        assert scene.groups[first] == scene.groups[second] and first != second
        for instance in region.pair:
            rows, columns = np.nonzero(scene.masks[instance])
            assert region.box[0] <= columns.min() and columns.max() < region.box[2]
            assert region.box[1] <= rows.min() and rows.max() < region.box[3]


def test_one_of_the_two_is_of_the_wanted_categories() -> None:
    regions = shared_regions(WORLD, seed=3, count=40, members={2})
    assert regions
    for region in regions:
        assert 2 in WORLD.scene(3, region.index).categories[list(region.pair)]
    assert shared_regions(WORLD, seed=3, count=40, members=()) == []


def test_pairs_that_overlap_less_are_left_out() -> None:
    near = {r.index for r in shared_regions(WORLD, 3, 40, EVERY, min_iou=0.6)}
    assert near < {r.index for r in shared_regions(WORLD, 3, 40, EVERY, min_iou=0.3)}
