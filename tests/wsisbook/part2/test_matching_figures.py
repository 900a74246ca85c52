"""Pictures of a matching: what is paired is ringed, what is left out is struck through."""

import numpy as np

from wsisbook.part2.matching_figures import Choice, choices_figure, costs_figure, queries_figure

IMAGE = np.full((16, 16, 3), 128, dtype=np.uint8)
MASKS = np.zeros((3, 16, 16), dtype=bool)
MASKS[0, :4], MASKS[1, 4:8], MASKS[2, 8:] = True, True, True


def test_queries_that_answer_are_framed() -> None:
    titles = ["a 0.9", "b 0.1", "c 0.3"]
    prompts = [[3.0, 4.0], [8.0, 9.0]]
    figure = queries_figure(IMAGE, prompts, MASKS, titles, [(0, 1), (2, 0)], columns=2)
    label, *queries = figure.axes
    assert [text.get_text() for text in label.texts] == ["0", "1"]
    assert [axes.get_title() for axes in queries] == ["0: a 0.9", "1: b 0.1", "2: c 0.3"]
    assert [axes.spines["left"].get_visible() for axes in queries] == [True, False, True]
    coloured = [np.ptp(axes.images[0].get_array(), axis=2).max() > 0 for axes in queries]
    assert coloured == [True, False, True]
    first, last = (queries[i].spines["left"].get_edgecolor() for i in (0, 2))
    assert first != last, "each instance has its own"


def test_panels_that_are_left_over_are_hidden() -> None:
    figure = queries_figure(IMAGE, [[0.0, 0, 4, 4]], MASKS[:2], ["a", "b"], [], columns=2)
    assert [axes.get_visible() for axes in figure.axes] == [True, True, True, False]
    assert len(figure.axes[0].patches) == 2, "a box, drawn on white"


def test_matrices_are_coloured_by_what_decides() -> None:
    flat, steep = np.array([[5.0, 0.1], [5.2, 0.1]]), np.array([[5.0, 1.0], [2.0, 9.0]])
    figure = costs_figure({"flat": flat, "steep": steep}, [(1, 0)], ["0 cup", "1 pan"])
    left, right = figure.axes
    assert left.images[0].get_clim() == right.images[0].get_clim() == (0, 8)
    assert np.allclose(left.images[0].get_array(), [[0, 0], [0.2, 0]])
    assert np.allclose(right.images[0].get_array(), [[3, 0], [0, 8]])
    assert [text.get_text() for text in left.texts] == ["5.00", "0.10", "5.20", "0.10"]
    assert [patch.get_xy() for patch in right.patches] == [(-0.5, 0.5)]
    assert [tick.get_text() for tick in right.get_xticklabels()] == ["0 cup", "1 pan"]


def test_a_candidate_that_is_left_out_says_why() -> None:
    costs, reasons = [0.5, 2.0, 0.25], ["", "", "empty"]
    choice = Choice(IMAGE, 1, [3.0, 4.0], MASKS[0], MASKS, costs, reasons, 0)
    figure = choices_figure([choice, choice])
    assert len(figure.axes) == 8
    titles = [axes.get_title() for axes in figure.axes[:4]]
    assert titles == ["the query for 1", "cost 0.50", "cost 2.00", "cost 0.25, empty"]
    assert [len(axes.lines) for axes in figure.axes[1:4]] == [0, 0, 1]
    framed = [axes.spines["left"].get_visible() for axes in figure.axes[1:4]]
    assert framed == [True, False, False]
