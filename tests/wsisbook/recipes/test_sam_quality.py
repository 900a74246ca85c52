"""The judge of teachers, on teachers whose worth is known."""

import pytest
import torch
from torch import Tensor

from wsisbook.part2.teacher_show import heads_table, meanings_table, quality_table
from wsisbook.recipes.sam_quality import candidate_iou, measure_teacher
from wsislib.data.sample import Label, LabelKind, Sample
from wsislib.models.sam.prompts import Prompts
from wsislib.models.sam.sam import MaskCandidates


def scene() -> Sample:
    """A rim and what it encloses, their object, a second object, and the group of both."""
    y, x = torch.meshgrid(torch.arange(40), torch.arange(40), indexing="ij")
    square = (x >= 4) & (x < 20) & (y >= 4) & (y < 20)
    inner = (x >= 8) & (x < 16) & (y >= 8) & (y < 16)
    other = (x >= 20) & (x < 30) & (y >= 4) & (y < 20)
    masks = torch.stack([square & ~inner, inner, square, other, square | other])
    boxes = torch.tensor(
        [[4, 4, 20, 20], [8, 8, 16, 16], [4, 4, 20, 20], [20, 4, 30, 20], [4, 4, 30, 20]]
    )
    levels = torch.tensor([0, 0, 1, 1, 2])
    label = Label(LabelKind.MASK, levels, boxes=boxes.float(), masks=masks)
    return Sample(torch.zeros(3, 40, 40), 1, label)


class Scripted:
    """Answers every prompt, the i-th being about mask i, with given masks and scores."""

    def __init__(self, answers: Tensor, scores: list[float]) -> None:
        self.answers, self.scores = answers, torch.tensor(scores)

    def embed(self, images: list[Tensor]) -> list[Tensor]:
        return images

    def candidates(self, images: list[Tensor], prompts: list[Prompts]) -> list[MaskCandidates]:
        logits = self.answers.float() - 0.5
        assert len(prompts[0]) == len(logits)
        return [MaskCandidates(logits, self.scores.expand(len(logits), 3), logits)]


def judged(answers: Tensor, scores: list[float]) -> dict:
    teacher = Scripted(answers, scores)
    return measure_teacher(teacher, [scene()], torch.Generator().manual_seed(0))  # type: ignore


def test_a_perfect_second_candidate_is_best_but_not_chosen() -> None:
    masks = scene().label.masks
    answers = torch.stack([torch.zeros_like(masks), masks, torch.ones_like(masks)], dim=1)
    found = judged(answers, [0.9, 0.5, 0.1])
    for kind in ("box", "point"):
        for level, count in (("part", 2), ("object", 2), ("group", 1)):
            assert found[kind][level] == {"best": 1.0, "chosen": 0.0, "masks": count}
    assert [head["iou"] for head in found["heads"][:2]] == [0.0, 1.0]
    assert [head["chosen"] for head in found["heads"]] == [1.0, 0.0, 0.0]
    assert found["score_error"] == pytest.approx(0.9)
    chosen = judged(answers, [0.1, 0.9, 0.5])
    assert chosen["point"]["object"] == {"best": 1.0, "chosen": 1.0, "masks": 2}


def test_meanings_tell_equal_candidates_from_different_ones() -> None:
    """Every point of the second object means it and the group; one of the first means three."""
    masks = scene().label.masks
    equal = masks[:, None].expand(-1, 3, -1, -1)
    found = judged(equal, [0.9, 0.5, 0.1])["meanings"]
    assert set(found) == {"2", "3"}
    assert [values["alike"] for values in found.values()] == [1.0, 1.0]
    assert all(values["covered"] < 1 for values in found.values())
    group, nothing = masks[4].expand(5, -1, -1), masks[3].expand(5, -1, -1)
    both = judged(torch.stack([nothing, group, group], dim=1), [0.9, 0.5, 0.1])["meanings"]
    assert both["2"]["covered"] == 1.0
    assert both["2"]["alike"] == pytest.approx((1 + 2 * 160 / 416) / 3, abs=1e-4)


def test_candidate_iou_is_intersection_over_union() -> None:
    masks = scene().label.masks
    table = candidate_iou(masks[None], masks)[0]  # (5, 5)
    for i, one in enumerate(masks):
        for j, other in enumerate(masks):
            wanted = float((one & other).sum()) / float((one | other).sum())
            assert float(table[i, j]) == pytest.approx(wanted)
    within = candidate_iou(masks[None], masks[None])
    assert torch.equal(within[0], table)
    assert float(candidate_iou(torch.zeros(1, 1, 4, 4) > 0, torch.zeros(1, 4, 4) > 0)) == 0.0


def test_tables_hold_what_was_measured() -> None:
    masks = scene().label.masks
    found = judged(masks[:, None].expand(-1, 3, -1, -1), [0.9, 0.5, 0.1])
    table = quality_table({"study": found})
    assert table.loc[("the study", "box", "object"), "best of three"] == 1.0
    assert meanings_table(found)["points"].sum() == 5
    assert heads_table(found)["IoU"].tolist() == [1.0, 1.0, 1.0]
