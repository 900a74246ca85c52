"""The world page's figures: they show what they say they show."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from wsisbook.part0 import world_figures as figures
from wsislib.data.world import World, WorldSpec
from wsislib.viz.figure import png_bytes
from wsislib.viz.overlay import tinted

WORLD = World(WorldSpec())


@pytest.mark.parametrize(
    ("draw", "panels"),
    [
        (lambda: figures.factor_figure(World(WorldSpec(categories=6))), 2),
        (lambda: figures.scenes_figure(WORLD, rows=1, columns=2, size=96), 2),
        (lambda: figures.labels_figure(WORLD, columns=2), 6),
        (lambda: figures.resolution_figure(WORLD), 2),
        (lambda: figures.ambiguity_figure(WORLD, regions=2), 6),
        (lambda: figures.part_figure(WORLD), 4),
        (lambda: figures.frequency_figure(WORLD), 1),
        (lambda: figures.distance_figure(WORLD, range(20)), 2),
    ],
)
def test_figures_are_drawn(draw, panels: int):
    figure = draw()
    assert isinstance(figure, Figure) and len(figure.axes) == panels
    assert len(png_bytes(figure)) > 5000


def test_nothing_ambiguous_is_said_clearly():
    calm = World(WorldSpec(hosts=(1, 1), rider_probability=0.0))
    with pytest.raises(ValueError, match="hold only 0 regions"):
        figures.ambiguity_figure(calm, regions=1)


def test_distance_bars_count_the_categories_in_b():
    figure = figures.distance_figure(WORLD, range(20))
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert sum(heights) == 60
    assert heights[0] == 0


def test_tint_marks_exactly_the_mask():
    scene = WORLD.scene(1, 0)
    bare = tinted(scene.image, scene.masks[:0])
    shown = tinted(scene.image, scene.masks[:1])
    assert np.array_equal((bare != shown).any(axis=2), scene.masks[0])
