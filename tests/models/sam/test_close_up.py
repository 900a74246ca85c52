"""The teacher that looks closer: windows around prompts, and answers in the image's pixels."""

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.numeric import close
from wsislib.data.mask_runs import MaskRuns
from wsislib.data.windows import box_window
from wsislib.models.sam.close_up import CloseUpTeacher
from wsislib.models.sam.photo_sam import photo_sam
from wsislib.models.sam.prompts import Prompts
from wsislib.models.sam.sam import Teacher, portions

SIDE = 64
BOXES = torch.tensor([[20.0, 10.0, 50.0, 40.0], [0.0, 0.0, 9.0, 30.0]])
POINTS = torch.tensor([[30.5, 25.5], [3.5, 20.5]])


@pytest.fixture(scope="module")
def teacher() -> CloseUpTeacher:
    return CloseUpTeacher(photo_sam(width=32, side=SIDE, fetch=False), "photo", "one")


@pytest.fixture(scope="module")
def image() -> Tensor:
    return torch.rand(3, 60, 80, generator=torch.Generator().manual_seed(0))


def test_a_box_is_answered_as_its_window_and_the_mirrored_one_are(
    teacher: CloseUpTeacher, image: Tensor
) -> None:
    (found,) = teacher.candidates([image], [Prompts(boxes=BOXES)])
    assert found.logits.shape == (2, 3, 60, 80)
    window = box_window(BOXES[0], teacher.context)
    assert window.left >= 0 and window.top >= 0, "the first box's window lies inside"
    rows = slice(window.top, window.top + window.size)
    columns = slice(window.left, window.left + window.size)
    x0, y0, x1, y1 = (BOXES[0] - torch.tensor([window.left, window.top] * 2)).tolist()
    plain, cut = Teacher(teacher.sam, "photo", "one"), image[:, rows, columns]
    there = torch.tensor([[x0, y0, x1, y1]])
    mirrored = torch.tensor([[window.size - x1, y0, window.size - x0, y1]])
    (alone,) = plain.candidates([cut], [Prompts(boxes=there)])
    (other,) = plain.candidates([cut.flip(-1)], [Prompts(boxes=mirrored)])
    why = "windows are encoded in a batch here, one by one there"
    mean = (alone.logits[0] + other.logits[0].flip(-1)) / 2
    close(found.logits[0, :, rows, columns], mean, why, atol=1e-4)
    close(found.scores[0], (alone.scores[0] + other.scores[0]) / 2, why)
    outside = found.masks[0].clone()
    outside[:, rows, columns] = False
    assert not outside.any()


def test_without_a_closer_look_it_is_the_plain_teacher(
    teacher: CloseUpTeacher, image: Tensor
) -> None:
    plain = Teacher(teacher.sam, "photo", "one")
    for prompts in (Prompts(boxes=BOXES), Prompts(points=POINTS)):
        (ours,) = teacher.candidates(teacher.embed([image]), [prompts], closer=False)
        (theirs,) = plain.candidates([image], [prompts])
        assert torch.equal(ours.logits, theirs.logits)


def test_points_are_answered_within_reach_of_the_first_answer(
    teacher: CloseUpTeacher, image: Tensor
) -> None:
    (found,) = teacher.candidates(teacher.embed([image, image]).one(1), [Prompts(points=POINTS)])
    assert found.masks.shape == (2, 3, 60, 80)
    assert bool(torch.isfinite(found.logits).all())


def test_no_prompt_and_a_point_without_a_mask(teacher: CloseUpTeacher, image: Tensor) -> None:
    assert len(teacher.candidates([image], [Prompts(boxes=torch.zeros(0, 4))])[0]) == 0
    # A first answer that is empty: the window is laid around the point itself.
    head = teacher.sam.mask_decoder.output_hypernetworks_mlps
    before = [[p.clone() for p in mlp.parameters()] for mlp in head]
    with torch.no_grad():
        for mlp in head:
            for parameter in mlp.parameters():
                parameter.zero_()
        (found,) = teacher.candidates([image], [Prompts(points=POINTS)])
        for mlp, old in zip(head, before, strict=True):
            for parameter, value in zip(mlp.parameters(), old, strict=True):
                parameter.copy_(value)
    assert not found.masks.any()
    assert len(found) == 2


@pytest.mark.parametrize("kind", ["boxes", "points"])
@pytest.mark.parametrize("plain", [False, True])
def test_answers_prompt_by_prompt_are_the_same_masks(
    teacher: CloseUpTeacher, image: Tensor, kind: str, plain: bool
) -> None:
    """Crops at their places are the whole masks, whatever the teacher."""
    asked = Teacher(teacher.sam, "photo", "one") if plain else teacher
    prompts = Prompts(boxes=BOXES) if kind == "boxes" else Prompts(points=POINTS)
    embedded = asked.embed([image])
    (whole,) = asked.candidates(embedded, [prompts])
    answers = list(asked.answers(embedded, prompts))
    for masks, scores, answer in zip(whole.masks, whole.scores, answers, strict=True):
        assert torch.equal(scores, answer.scores)
        for mask, crop in zip(masks, answer.crops, strict=True):
            runs = MaskRuns.of_crop(crop, 60, 80)
            assert np.array_equal(runs.mask(0), mask.numpy())


def test_a_large_object_is_looked_at_in_a_smaller_image(
    teacher: CloseUpTeacher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mask is about the same, at the image's own size (no multiple of the factor)."""
    image = torch.zeros(3, 121, 160)
    image[:, 20:90, 30:120] = 1.0
    prompts = Prompts(boxes=torch.tensor([[30.0, 20.0, 120.0, 90.0], [0.0, 0.0, 160.0, 121.0]]))
    embedded = teacher.embed([image])
    exact = list(teacher.answers(embedded, prompts))
    monkeypatch.setattr("wsislib.models.sam.close_up.MOST_WINDOW", 60)
    coarse = list(teacher.answers(embedded, prompts))
    for one, other in zip(exact, coarse, strict=True):
        for first, second in zip(one.crops, other.crops, strict=True):
            masks = [MaskRuns.of_crop(crop, 121, 160).mask(0) for crop in (first, second)]
            assert second.top + second.mask.shape[0] <= 121
            assert second.left + second.mask.shape[1] <= 160
            assert (masks[0] == masks[1]).mean() > 0.8


def test_few_prompts_of_a_large_image_are_answered_together() -> None:
    boxes = Prompts(boxes=torch.zeros(100, 4))
    assert [len(some) for some in portions(boxes, (320, 320))] == [64, 36]
    assert [len(some) for some in portions(boxes, (4000, 6000))] == [1] * 100
