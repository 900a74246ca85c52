"""The teacher that looks closer: windows around prompts, and answers in the image's pixels."""

import pytest
import torch
from torch import Tensor

from tests.numeric import close
from wsislib.data.windows import box_window
from wsislib.models.sam.close_up import CloseUpTeacher
from wsislib.models.sam.photo_sam import photo_sam
from wsislib.models.sam.prompts import Prompts
from wsislib.models.sam.sam import Teacher

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
