"""Figures of tables hold every seed and every point."""

import pandas as pd
import pytest

from wsisbook.tables.plots import ap_against_cost, seed_dots


def test_ap_against_cost_orders_points_by_cost() -> None:
    points = pd.DataFrame(
        {"name": ["boxes", "tags", "boxes"], "cost": [24, 5, 12], "ap": [40.0, 20.0, 30.0]}
    )
    figure = ap_against_cost(points)
    drawn = [(list(c[0].get_xdata()), list(c[0].get_ydata())) for c in figure.axes[0].containers]
    assert drawn == [([12, 24], [30, 40]), ([5], [20])]
    assert figure.axes[0].get_xscale() == "log"
    near = pd.DataFrame({"name": ["tags", "boxes"], "cost": [4998, 5004], "ap": [20.0, 30.0]})
    assert ap_against_cost(near).axes[0].get_xlim() == (2499, 10008), "one budget looks like one"
    with pytest.raises(ValueError, match=r"lack the columns \['ap'\]"):
        ap_against_cost(points.drop(columns="ap"))


def test_ap_is_drawn_against_images_too() -> None:
    points = pd.DataFrame(
        {"name": ["boxes"] * 3, "cost": [9, 12, 24], "images": [3, 1, 2], "ap": [30.0, 40.0, 20.0]}
    )
    axes = ap_against_cost(points, x="images").axes[0]
    assert [list(c[0].get_xdata()) for c in axes.containers] == [[1, 2, 3]]
    assert axes.get_xlabel() == "labelled images"
    with pytest.raises(ValueError, match="x is 'hours'; it must be one of"):
        ap_against_cost(points, x="hours")
    with pytest.raises(ValueError, match=r"lack the columns \['images'\]"):
        ap_against_cost(points.drop(columns="images"), x="images")


def test_every_seed_is_a_dot_and_a_row_without_runs_says_so() -> None:
    figure = seed_dots({"agnostic": {"A": [20, 22], "B": [10, 14, 18]}, "specific": {}})
    axes = figure.axes[0]
    dots = [c.get_offsets() for c in axes.collections if len(c.get_offsets())]
    assert sorted(len(offsets) for offsets in dots) == [2, 3]
    means = sorted(one.get_xdata()[0] for one in axes.get_lines())
    assert means == [14, 21]
    assert [text.get_text() for text in axes.texts] == ["not run"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["agnostic", "specific"]
    with pytest.raises(ValueError, match="no row has a metric"):
        seed_dots({"specific": {}})


def test_the_legend_of_seeds_stays_within_its_figure() -> None:
    families = ("one token", "two tokens", "from the mask", "true prompt")
    rows = {f"{'a rather long name of a row ' * 2}{f}": {f: [1.0, 2.0]} for f in families}
    figure = seed_dots(rows)
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(families)
    box, page = legend.get_window_extent(), figure.bbox
    assert page.x0 <= box.x0 and box.x1 <= page.x1 and box.y1 <= page.y1
    assert box.y0 >= figure.axes[0].get_window_extent().y1 - 1
