"""Portraits of categories and of factor values."""

import numpy as np
import pytest

from wsisbook.part0.portrait import portrait
from wsislib.data.world import World, WorldSpec


def test_portraits_show_the_factors():
    world = World(WorldSpec())
    base = portrait(world)
    assert base.shape == (96, 96, 3) and base.dtype == np.uint8
    for change in ({"outline": 1}, {"hue": 4}, {"pattern": 1}, {"part": 2}, {"hole": 1}):
        assert (portrait(world, **change) != base).any(axis=2).sum() > 60
    assert portrait(world, 7, size=128).shape == (128, 128, 3)
    for wrong in ({"category": 80}, {"pattern": 5}, {"hue": 10}, {"smell": 1}):
        with pytest.raises(ValueError):
            portrait(world, **wrong)
