"""Pictures of a teacher's answers: the believed candidate stands out, prompts are drawn."""

from dataclasses import replace

import numpy as np

from wsisbook.part2.candidate_figures import Answer, candidates_figure, course_figure

IMAGE = np.full((8, 8, 3), 120, dtype=np.uint8)
MASKS = np.stack([np.eye(8, k=k, dtype=bool) for k in range(3)])
POINT = Answer(IMAGE, MASKS, [0.2, 0.9, 0.5], [3.0, 4.0], [0.1, 0.7, 0.6])


def test_the_highest_score_is_bold_and_every_candidate_is_shown() -> None:
    figure = candidates_figure([POINT, replace(POINT, truths=None)])
    titles = [axes.title for axes in figure.axes]
    assert [t.get_text() for t in titles[:4]] == [
        "", "score 0.20, IoU 0.10", "score 0.90, IoU 0.70", "score 0.50, IoU 0.60"
    ]  # fmt: skip
    assert [t.get_text() for t in titles[5:]] == ["score 0.20", "score 0.90", "score 0.50"]
    assert [t.get_fontweight() for t in titles[1:4]] == ["normal", "bold", "normal"]
    for axes, mask in zip(figure.axes[1:4], MASKS, strict=True):
        coloured = np.ptp(axes.images[0].get_array(), axis=2) > 0
        assert np.array_equal(coloured, mask)


def test_a_point_is_a_mark_and_a_box_is_a_frame() -> None:
    figure = candidates_figure([POINT, replace(POINT, prompt=[1.0, 2.0, 5.0, 6.0])])
    assert figure.axes[0].lines[0].get_xydata().tolist() == [[3, 4]]
    frame = figure.axes[4].patches[0]
    assert (frame.get_xy(), frame.get_width(), frame.get_height()) == ((1, 2), 4, 4)


def test_each_loss_has_a_panel() -> None:
    curve = [{"step": 5.0, "mask": 2.0, "iou": 0.5}, {"step": 10.0, "mask": 1.0, "iou": 0.25}]
    figure = course_figure(curve, {"mask": "mask loss", "iou": "score loss"})
    left, right = figure.axes
    assert (left.get_title(), right.get_title()) == ("mask loss", "score loss")
    assert left.lines[0].get_xydata().tolist() == [[5, 2], [10, 1]]
    assert right.get_ylim()[0] == 0
