"""Maps over images, and small plots side by side."""

import numpy as np
import pytest
import torch

from wsisbook.part2.cams import FADED, STRONGEST, WARM, Heat, heat_grid, warmed
from wsisbook.part2.panels import panels
from wsislib.viz.curves import Series
from wsislib.viz.palette import colour, rgb


def test_a_map_is_spread_over_the_whole_image() -> None:
    pixels = np.full((6, 8, 3), 0.5, dtype=np.float32)
    heights = np.array([[0.0, 1.0], [2.0, -1.0], [0.5, 0.0]])
    shown = warmed(pixels, heights)
    hot = (1 - STRONGEST) * 0.5 + STRONGEST * rgb(WARM)
    assert np.allclose(shown[:2, 4:], hot) and np.allclose(shown[2:4, :4], hot)
    assert np.allclose(shown[:2, :4], 0.5) and np.allclose(shown[2:4, 4:], 0.5)
    coloured = np.zeros((2, 2, 3), dtype=np.float32)
    coloured[..., 0] = 0.9
    pale = warmed(coloured, np.zeros((1, 1)))
    assert pale[0, 0] == pytest.approx([FADED * 0.9 + (1 - FADED) * 0.3] + 2 * [0.55 * 0.3])


def test_a_grid_has_free_places_and_all_marks() -> None:
    image = torch.rand(3, 10, 12)
    mask = np.zeros((1, 10, 12), dtype=bool)
    mask[0, 2:5, 3:6] = True
    full = Heat(image, np.ones((2, 3)), mask, np.array([[3.0, 4.0]]), np.array([[1.0, 1.0]]), "a")
    figure = heat_grid([[full, None], [Heat(image)]], ["one", "two"])
    assert len(figure.axes) == 4 and figure.axes[0].get_title() == "a"
    marks = [c for c in figure.axes[0].collections if len(c.get_offsets())]
    assert [c.get_offsets().tolist() for c in marks[-2:]] == [[[1.0, 1.0]], [[3.0, 4.0]]]
    assert not figure.axes[1].images and not figure.axes[3].images
    assert figure._repr_png_()[:4] == b"\x89PNG"
    for rows, titles in (([], []), ([[None]], []), ([[full]], ["a", "b"])):
        with pytest.raises(ValueError, match="a panel is wanted"):
            heat_grid(rows, titles)


def test_one_name_has_one_colour_in_all_plots() -> None:
    first = [Series("a", [1, 2], [0.5, 0.7]), Series("b", [1, 2], [0.1, float("nan")])]
    figure = panels({"x": first, "y": [Series("b", [1], [3.0])], "z": []}, "step", dots=True)
    tones = [[one.get_color() for one in axes.lines] for axes in figure.axes]
    assert tones[0][:2] == [colour(0), colour(1)] and tones[1] == [colour(1)] and tones[2] == []
    assert [axes.get_title() for axes in figure.axes] == ["x", "y", "z"]
    assert figure.axes[2].texts[0].get_text() == "not logged"
    assert figure.axes[0].get_ylim()[0] == 0 and len(figure.legends) == 1
    with pytest.raises(ValueError, match="no plot"):
        panels({}, "step")
