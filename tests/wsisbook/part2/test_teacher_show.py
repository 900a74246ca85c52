"""What the chapters on SAM show: the right prompts asked, the right answers beside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.models.drawn_teacher import DrawnTeacher, drawn_teacher
from wsisbook.part2.teacher_show import (
    Answer,
    ask_box,
    ask_point,
    candidates_figure,
    loss_figure,
    photo_quality_table,
    points_that_mean,
)
from wsislib.data.world import WorldSpec
from wsislib.data.world.levels import LevelScenes
from wsislib.labels.weaken import inscribed_centre
from wsislib.models.sam.sam import Teacher


@pytest.fixture(scope="module")
def scenes() -> LevelScenes:
    return LevelScenes(WorldSpec(), seed=2, count=60)


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    return drawn_teacher()


@pytest.mark.parametrize("meanings", [1, 2, 3])
def test_points_mean_as_many_masks_as_was_asked(scenes: LevelScenes, meanings: int) -> None:
    found = points_that_mean(scenes, meanings, 3)
    assert len({sample.image_id for sample, _ in found}) == 3
    for sample, entry in found:
        masks = sample.label.masks
        assert masks is not None
        x, y = (int(value) for value in inscribed_centre(masks[entry].numpy()))
        held = masks[masks[:, y, x]].flatten(1).sum(1).sort().values
        assert len(held) == meanings and held[0] == masks[entry].sum()
        assert all(b >= 1.5 * a for a, b in zip(held, held[1:], strict=False))


def test_too_few_scenes_are_told(scenes: LevelScenes) -> None:
    few = LevelScenes(WorldSpec(), seed=2, count=1)
    with pytest.raises(ValueError, match="1 scenes hold only"):
        points_that_mean(few, 3, 4)


def test_an_answer_is_judged_by_what_was_asked(scenes: LevelScenes, teacher: Teacher) -> None:
    ((sample, entry),) = points_that_mean(scenes, 1, 1)
    assert sample.label.boxes is not None and sample.label.masks is not None
    boxed = ask_box(teacher, sample, entry)
    assert list(boxed.prompt) == sample.label.boxes[entry].tolist()
    assert list(boxed.scores) == pytest.approx(DrawnTeacher.scores)
    mask = sample.label.masks[entry].numpy()
    for found, said in zip(boxed.masks, boxed.iou, strict=True):
        assert said == pytest.approx((found & mask).sum() / (found | mask).sum(), abs=1e-6)
    point = ask_point(teacher, sample, entry)
    assert list(point.prompt) == list(inscribed_centre(sample.label.masks[entry].numpy()))
    assert boxed.image.shape == (96, 96, 3)


def test_a_point_is_judged_by_the_nearest_thing_it_may_mean(
    scenes: LevelScenes, teacher: Teacher
) -> None:
    ((sample, entry),) = points_that_mean(scenes, 3, 1)
    answer, mask = ask_point(teacher, sample, entry), sample.label.masks[entry].numpy()
    own = [(m & mask).sum() / (m | mask).sum() for m in answer.masks]
    assert all(a >= b - 1e-6 for a, b in zip(answer.iou, own, strict=True))
    alone = replace(sample.label, **{
        name: getattr(sample.label, name)[[entry]] for name in ("categories", "boxes", "masks")
    })  # fmt: skip
    same = ask_point(teacher, replace(sample, label=alone), 0)
    assert same.iou == pytest.approx(own, abs=1e-6)


IMAGE = np.full((8, 8, 3), 120, dtype=np.uint8)
MASKS = np.stack([np.eye(8, k=k, dtype=bool) for k in range(3)])
POINT = Answer(IMAGE, MASKS, [0.2, 0.9, 0.5], [3.0, 4.0], [0.1, 0.7, 0.6])


def test_the_highest_score_is_bold_and_every_candidate_is_shown() -> None:
    figure = candidates_figure([POINT, replace(POINT, iou=None)])
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
    figure = loss_figure(curve, {"mask": "mask loss", "iou": "score loss"})
    left, right = figure.axes
    assert (left.get_title(), right.get_title()) == ("mask loss", "score loss")
    assert left.lines[0].get_xydata().tolist() == [[5, 2], [10, 1]]
    assert right.get_ylim()[0] == 0


def test_teachers_on_photographs_stand_beside_what_needs_no_training() -> None:
    frame = photo_quality_table()
    best = frame["best of three"]
    assert best["photo SAM", "box", "all"] > best["no training", "GrabCut", "all"]
    assert best["tiny SAM", "box", "all"] < best["no training", "filled box", "all"]
    assert ("tiny SAM", "GrabCut", "all") not in frame.index  # said once
    assert (frame["best of three"] >= frame["chosen by score"]).all()
