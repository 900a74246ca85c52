"""Pictures of weights: the right rows in the right place, full for A and hollow for B."""

import numpy as np
import pytest
import torch

from tests.numeric import close
from wsisbook.part1.looks import Looks, world_looks
from wsisbook.part1.weight_pictures import category_bars, main_plane, weight_map, weight_planes
from wsislib.data.world import World, WorldSpec
from wsislib.viz.figure import png_bytes
from wsislib.viz.palette import rgb

NAMES = ("ring", "disc", "star", "plus")
DET = torch.arange(4.0)[:, None].expand(4, 6).clone()
SEG = -DET[:, :3]


def test_rows_of_a_stand_above_those_of_b() -> None:
    figure = weight_map(DET, SEG, NAMES, a=(1, 3), split_at=2)
    left, right = figure.axes
    assert [text.get_text() for text in left.get_yticklabels()] == ["disc", "plus", "ring", "star"]
    assert left.images[0].get_array()[:, 0].tolist() == [1, 3, 0, 2]
    assert right.images[0].get_array()[:, 0].tolist() == [-1, -3, 0, -2]
    line = left.lines[0].get_ydata()
    assert list(line) == [1.5, 1.5], "between the second and the third row"
    assert left.get_xlabel() == "2 class weights, 4 box weights"
    assert png_bytes(figure) == png_bytes(weight_map(DET, SEG, NAMES, a=(1, 3), split_at=2))


def test_the_main_plane_keeps_distances_of_rows_that_lie_in_one() -> None:
    generator = np.random.default_rng(0)
    flat = generator.standard_normal((7, 2))
    turn, _ = np.linalg.qr(generator.standard_normal((9, 9)))
    rows = flat @ turn[:2] + 5.0
    points = main_plane(rows)
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1)
    why = "directions of a decomposition"
    close(apart, np.linalg.norm(flat[:, None] - flat[None], axis=-1), why)
    assert points[:, 0].std() >= points[:, 1].std()
    close(main_plane(-rows), points, why)  # no picture hangs on the sign of a direction


def test_two_rows_have_a_plane_too() -> None:
    points = main_plane(np.array([[0.0, 0.0, 0.0], [0.0, 3.0, 4.0]]))
    close(np.abs(points), np.array([[2.5, 0], [2.5, 0]]), "directions of a decomposition")


def test_a_is_full_and_b_is_hollow() -> None:
    looks = Looks(["o", "o", "s", "s"], ["#E69F00", "#56B4E9", "#E69F00", "#56B4E9"])
    figure = weight_planes({"det": DET, "seg": SEG}, NAMES, (1, 3), looks)
    for axes in figure.axes:
        full = [len(dot.get_facecolor()) > 0 for dot in axes.collections[:4]]
        assert full == [False, True, False, True]
    edges = [tuple(dot.get_edgecolor()[0]) for dot in figure.axes[0].collections[:4]]
    assert edges[0] == edges[2] != edges[1] == edges[3]


def test_categories_look_as_they_are_called() -> None:
    world = World(WorldSpec(categories=80))
    looks = world_looks(world)
    for c, category in enumerate(world.categories):
        hue, outline = category.name.split()
        expected = {"square": "s", "disc": "o", "plus": "P"}.get(outline)
        assert expected is None or looks.markers[c] == expected, category.name
        red, green, blue = rgb(looks.tones[c])
        if hue in ("scarlet", "jade", "blue"):
            assert max(red, green, blue) == {"scarlet": red, "jade": green, "blue": blue}[hue]
    assert len(set(looks.tones)) == 10 and len(set(looks.markers)) == 8


def test_bars_stand_in_the_order_of_the_sides() -> None:
    figure = category_bars({"one": [1.0, 2.0, 3.0, 4.0]}, NAMES, (1, 3), "pull")
    (axes,) = figure.axes
    assert [bar.get_height() for bar in axes.patches] == [2, 4, 1, 3]
    assert [text.get_text() for text in axes.texts] == ["A", "B"]
    assert axes.get_ylabel() == "pull"


def test_weights_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match=r"shape \(3, 6\) for 4 categories; give one row"):
        weight_map(DET[:3], SEG, NAMES, (1,))
    with pytest.raises(ValueError, match="'one': 3 values for 4 categories"):
        category_bars({"one": [1.0, 2.0, 3.0]}, NAMES, (1, 3), "pull")
