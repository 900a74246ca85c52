from __future__ import annotations

import errno
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from PIL import Image

from wsislib.viz import figure as figure_module
from wsislib.viz.curves import Series, curves, history_curves
from wsislib.viz.figure import PAGE_WIDTH, BookFigure, png_bytes, save_figure


def lines_of(figure) -> dict[str, tuple[list[float], list[float]]]:
    lines = figure.axes[0].get_lines()
    return {str(one.get_label()): (list(one.get_xdata()), list(one.get_ydata())) for one in lines}


def test_each_series_is_drawn_with_its_values() -> None:
    figure = curves([Series("a", [1, 2], [3, 4], [0.1, 0.2]), Series("b", [1], [5])], "x", "AP")
    assert lines_of(figure) == {"a": ([1, 2], [3, 4]), "b": ([1], [5])}
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x", "AP")
    styles = {(one.get_color(), one.get_linestyle()) for one in axes.get_lines()}
    assert len(styles) == 2


def test_a_few_whole_numbers_are_the_ticks() -> None:
    whole = curves([Series("a", [1, 2, 3], [5.0, 6.0, 7.0])], "factors", "AP", dots=True)
    assert [tick.get_text() for tick in whole.axes[0].get_xticklabels()] == ["1", "2", "3"]
    parts = curves([Series("a", [1, 2.5], [5.0, 6.0])], "factors", "AP", dots=True)
    assert len(parts.axes[0].get_xticks()) > 2


def test_series_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="series 'a': x, y and spread differ in length"):
        curves([Series("a", [1, 2], [3])], "x", "y")
    with pytest.raises(ValueError, match="series 'a'"):
        curves([Series("a", [1, 2], [3, 4], [1])], "x", "y")
    with pytest.raises(ValueError, match="no series"):
        curves([], "x", "y")


def test_history_is_smoothed_by_the_mean_of_the_rows_before() -> None:
    rows = [{"step": step, "loss": float(step % 2)} for step in range(6)]
    assert lines_of(history_curves(rows, ["loss"]))["loss"][1] == [0, 1, 0, 1, 0, 1]
    assert lines_of(history_curves(rows, ["loss"], smooth=2))["loss"][1] == [
        0,
        0.5,
        0.5,
        0.5,
        0.5,
        0.5,
    ]
    with pytest.raises(ValueError, match=r"no column \['loss_mask'\]"):
        history_curves(rows, ["loss_mask"])
    with pytest.raises(ValueError, match="smooth is 0"):
        history_curves(rows, ["loss"], smooth=0)


def test_the_same_figure_is_saved_as_the_same_bytes(tmp_path: Path) -> None:
    def draw() -> BookFigure:
        return curves([Series("a", [1, 2], [3, 4])], "x", "y")

    one = save_figure(draw(), tmp_path / "deep" / "one.png")
    other = save_figure(draw(), tmp_path / "other.png")
    assert one.read_bytes() == other.read_bytes() == draw()._repr_png_()
    with Image.open(one) as image:
        assert image.width == round(PAGE_WIDTH * 0.8 * 144)
        assert "Software" not in image.info
    with pytest.raises(ValueError, match="end the name in .png"):
        save_figure(draw(), tmp_path / "one.jpg")


def test_a_full_disk_leaves_no_half_a_picture(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "one.png"
    save_figure(BookFigure(1, 1), path)
    before = path.read_bytes()

    def full(target: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "no space", str(target))

    monkeypatch.setattr(figure_module, "atomic_write", full)
    with pytest.raises(OSError, match="no space"):
        save_figure(curves([Series("a", [1], [2])], "x", "y"), path)
    assert path.read_bytes() == before


def test_nothing_is_left_open_and_no_setting_is_changed() -> None:
    before = dict(plt.rcParams)
    png_bytes(curves([Series("a", [1, 2], [3, 4])], "x", "y"))
    assert plt.get_fignums() == []
    assert dict(plt.rcParams) == before
