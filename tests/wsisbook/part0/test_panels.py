"""Panels of points."""

import pytest

from wsisbook.part0.panels import ScatterPanel, scatter_panels
from wsislib.viz.figure import png_bytes


def panel(title: str, **groups: tuple[list[float], list[float]]) -> ScatterPanel:
    return ScatterPanel(title, groups, "x", "y", level=0.0)


def test_every_point_is_drawn_and_a_group_keeps_its_colour() -> None:
    figure = scatter_panels(
        [
            panel("paper", small=([1.0, 2.0], [3.0, 4.0]), large=([5.0], [6.0])),
            panel("ours", large=([7.0, 8.0, 9.0], [1.0, 2.0, 3.0])),
        ]
    )
    left, right = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["paper", "ours"]
    drawn = [dots for dots in left.collections if len(dots.get_offsets())]
    assert [len(dots.get_offsets()) for dots in drawn] == [2, 1]
    (other,) = right.collections
    assert len(other.get_offsets()) == 3
    assert (other.get_facecolor() == drawn[1].get_facecolor()).all()
    assert (other.get_facecolor() != drawn[0].get_facecolor()).any()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["small", "large"]
    assert png_bytes(figure) == png_bytes(figure)


def test_a_panel_without_points_says_so_and_one_group_needs_no_legend() -> None:
    figure = scatter_panels([panel("ours", all=([], [])), panel("paper", all=([1.0], [2.0]))])
    assert [text.get_text() for text in figure.axes[0].texts] == ["not run"]
    assert not figure.axes[1].texts and not figure.legends


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="no panel to draw"):
        scatter_panels([])
    with pytest.raises(ValueError, match="group 'a': 2 x for 1 y"):
        scatter_panels([panel("t", a=([1.0, 2.0], [3.0]))])
