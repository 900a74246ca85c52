"""Pictures of prompts: every panel shows what it was given, at its own scale."""

import numpy as np

from wsisbook.part2.prompt_figures import (
    corners_figure,
    maps_figure,
    pairs_figure,
    place_colours,
    scale_figure,
    shapes_figure,
    similarity_figure,
    space_figure,
)

RNG = np.random.default_rng(0)


def test_places_that_differ_have_colours_that_differ() -> None:
    places = np.array([[x, y] for x in (10.0, 50, 90) for y in (10.0, 50, 90)])
    tones = place_colours(places, 96)
    assert tones.min() >= 0 and tones.max() <= 1
    apart = np.abs(tones[:, None] - tones[None]).max(2) + np.eye(9)
    assert apart.min() > 0.05


def test_the_space_shows_every_kind_and_all_of_the_variance() -> None:
    places = RNG.uniform(0, 96, (12, 2))
    shares = np.array([0.5, 0.3, 0.2])
    kinds = RNG.normal(size=(24, 2))
    figure = space_figure(
        places, RNG.normal(size=(12, 2)), kinds, ["points", "corners"], shares, 96
    )
    together, curve = figure.axes[2], figure.axes[3]
    assert [len(part.get_offsets()) for part in together.collections] == [12, 12]
    assert [text.get_text() for text in together.get_legend().texts] == ["points", "corners"]
    assert np.allclose(curve.lines[0].get_ydata(), [50, 80, 100])


def test_likeness_shows_every_pair_and_the_line() -> None:
    figure = similarity_figure(np.arange(5.0), np.ones(5), np.ones(3), np.arange(3.0))
    (axes,) = figure.axes
    assert len(axes.collections[0].get_offsets()) == 5 and len(axes.lines[0].get_xdata()) == 3


def test_each_map_has_a_scale_of_its_own() -> None:
    rows = {"sure": {"kl": np.full((4, 4), 0.5), "l2": np.full((4, 4), 2.0)}}
    figure = maps_figure(rows, 96, {"sure": [(3.0, 4.0)]})
    *maps, bar = figure.axes
    assert [axes.get_title() for axes in maps] == ["kl", "l2"]
    assert [axes.get_xlabel() for axes in maps] == ["0 to 0.5", "0 to 2"]
    assert [axes.images[0].get_clim() for axes in maps] == [(0, 0.5), (0, 2)]
    assert [label.get_text() for label in bar.get_yticklabels()] == ["0", "largest"]
    assert figure.axes[0].lines[0].get_xydata().tolist() == [[3, 4]]


def test_corners_share_one_scale() -> None:
    maps = [np.full((4, 4), 0.5), np.full((4, 4), 1.0)]
    figure = corners_figure(maps, [(0, 0, 10, 20), (5, 5, 8, 8)], 96)
    *maps, bar = figure.axes
    assert [axes.images[0].get_clim() for axes in maps] == [(0, 1), (0, 1)]
    assert [label.get_text() for label in bar.get_yticklabels()] == ["0", "1"]
    assert figure.axes[0].get_title() == "10 x 20 px"


def test_the_line_of_one_half_passes_where_it_should() -> None:
    sides = [4.0 * k for k in range(1, 20)]
    figure = shapes_figure({"one": RNG.uniform(size=(19, 19))}, sides, [(32.0, 16.0)])
    line = figure.axes[0].collections[1].get_paths()[0].vertices
    x, y = line[np.abs(line[:, 1] - 16) < 0.3].T
    # As high as the box and half or twice as wide; the line is drawn between places 4 px apart.
    assert np.allclose(sorted({round(v) for v in x}), [16, 64], atol=1)


def test_a_pair_fills_its_panel() -> None:
    figure = pairs_figure({"one": [((0, 0, 10, 10), (30, 0, 40, 10), "far")]})
    (axes,) = figure.axes
    assert axes.get_xlim() == (-8, 48) and axes.get_title() == "far" and len(axes.patches) == 2


def test_terms_keep_their_order_and_panels_their_values() -> None:
    values = {
        "points": {"class": 2.0, "kl": 0.5, "l2": 1.0},
        "boxes": {"class": 2.0, "kl": 4.0, "l2": 8},
    }
    figure = scale_figure(values, 1, "cost")
    left, right = figure.axes
    assert [tick.get_text() for tick in left.get_yticklabels()] == ["class", "kl", "l2"]
    assert list(left.lines[1].get_xdata()) == [0.5, 1.0] and list(right.lines[1].get_xdata()) == [
        4,
        8,
    ]
    assert left.get_xscale() == "log"
