"""Costs of a perfect student: against what each of the matcher's terms must be."""

import pytest
import torch

from tests.numeric import close
from wsisbook.part2.prompt_space import (
    LOGIT,
    Option,
    all_options,
    confusable_pairs,
    cost_table,
    sampling_noise,
    tokens_of,
)
from wsislib.data.sample import Label, LabelKind, Sample
from wsislib.losses.prompts import PromptDistance
from wsislib.models.sam.prompts import Prompts
from wsislib.models.sam.sam import Teacher
from wsislib.models.sam.tiny_sam import tiny_sam

SIZE = (48, 48)
WEIGHTS = {"class": 2.0, "mask": 5.0, "dice": 5.0, "prompt": 5.0}
BOXES = torch.tensor([[4.0, 4, 12, 12], [24, 28, 44, 40]])


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    return Teacher(tiny_sam(1, 64, 48, (4, 4, 4, 4)), "random", "0")


def scene(categories: list[int], number: int = 1) -> Sample:
    masks = torch.zeros(len(categories), *SIZE, dtype=torch.bool)
    boxes = BOXES[: len(categories)]
    for mask, (x0, y0, x1, y1) in zip(masks, boxes.int().tolist(), strict=True):
        mask[y0:y1, x0:x1] = True
    label = Label(LabelKind.MASK, torch.tensor(categories), boxes=boxes, masks=masks)
    return Sample(torch.zeros(3, *SIZE), number, label)


def test_every_term_of_a_wrong_pair(teacher: Teacher) -> None:
    options = all_options((1.0,))
    table = cost_table(teacher, [scene([0, 1]), scene([0])], options, WEIGHTS)
    assert list(table.index[:3]) == ["class", "mask cross-entropy", "mask Dice"]
    assert list(table.index[3:]) == [option.name for option in options]
    boxes = table["boxes"]
    assert boxes.loc["class", "more"] == 2
    areas, pixels = 64 + 240, 48 * 48
    wrong = LOGIT * areas / pixels  # softplus(x) - softplus(-x) is x, for every pixel of either
    why = "means of 2304 softplus values in float32, here a formula"
    close(boxes.loc["mask cross-entropy", "more"], 5 * wrong, why, rtol=1e-4)
    assert 4.5 < boxes.loc["mask Dice", "more"] < 5
    z = tokens_of(teacher, Prompts(boxes=BOXES), SIZE)
    one, other = (float(PromptDistance()(z[i], z[1 - i])) for i in (0, 1))
    own = boxes.loc["kl, T = 1, one token"]
    why = "distances of all pairs at once, here of one pair at a time"
    close(own["more"], 5 * (one + other) / 2, why, rtol=1e-4)
    found = torch.tensor([0.0, 0, 5 * one, 5 * other])
    close(own["spread"], found.std().item(), why, rtol=1e-4)


def test_the_second_token_of_a_point_tells_nothing(teacher: Teacher) -> None:
    points = cost_table(teacher, [scene([0, 1])], all_options((1.0,)), WEIGHTS)["points"]["more"]
    one, both = points["kl, T = 1, one token"], points["kl, T = 1, two tokens"]
    assert both == pytest.approx(one / 2, rel=1e-4)


def test_a_wrong_pair_of_one_category_has_the_right_class(teacher: Teacher) -> None:
    table = cost_table(teacher, [scene([3, 3])], (), WEIGHTS)
    assert table["points"].loc["class", "more"] == 0


def test_one_object_is_near_itself_and_a_box_is_no_point(teacher: Teacher) -> None:
    table = sampling_noise(teacher, [scene([0, 1])] * 8, PromptDistance())["mean distance"]
    assert table["two pixels of one object"] < table["pixels of two objects"]
    assert table["a pixel and the box of one object"] > table["boxes of two objects"]


def test_strangers_overlap_little_and_are_found_once(teacher: Teacher) -> None:
    boxes = torch.tensor([[4.0, 4, 12, 12], [5, 4, 13, 12], [8, 8, 16, 16], [30, 30, 44, 44]])
    (nearest,) = confusable_pairs(teacher, boxes, SIZE, Option(PromptDistance("l2")), 1)
    assert nearest.iou < 0.4 and {tuple(nearest.one.tolist()), tuple(nearest.other.tolist())} in (
        {(4, 4, 12, 12), (8, 8, 16, 16)},
        {(5, 4, 13, 12), (8, 8, 16, 16)},
    )
    assert 0 < nearest.distance < 1
    with pytest.raises(ValueError, match="4 boxes hold only 2 pairs"):
        confusable_pairs(teacher, boxes, SIZE, Option(PromptDistance()), 3)
