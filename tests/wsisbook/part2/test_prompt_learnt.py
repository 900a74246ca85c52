"""What one answer for all prompts costs, and runs beside it."""

import pytest
import torch

from wsisbook.part2 import wish_show as learnt
from wsisbook.part2.prompt_space import tokens_of
from wsisbook.reading import open_study
from wsislib.data.sample import Label, LabelKind, Sample
from wsislib.losses.prompts import PromptDistance
from wsislib.models.sam.prompts import Prompts
from wsislib.models.sam.sam import Teacher
from wsislib.models.sam.tiny_sam import tiny_sam

PLACES = torch.tensor([[4.5, 4.5], [20.5, 40.5], [44.5, 9.5]])


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    return Teacher(tiny_sam(1, 64, 48, (4, 4, 4, 4)), "random", "0")


def pointed(*points: list[float]) -> Sample:
    label = Label(LabelKind.POINT, torch.zeros(len(points), dtype=torch.int64))
    if points:
        label = Label(LabelKind.POINT, label.categories, points=torch.tensor(points))
    return Sample(torch.zeros(3, 48, 48), 1, label)


@pytest.mark.parametrize("tokens", ["mean", "both"])
def test_no_single_answer_is_nearer_than_the_mean(teacher: Teacher, tokens: str) -> None:
    distance = PromptDistance()
    images = [pointed(*PLACES[:2].tolist()), pointed(*PLACES[2:].tolist())]
    found = learnt.constant_baseline(teacher, images, distance, tokens)
    z = tokens_of(teacher, Prompts(points=PLACES), (48, 48), tokens)
    generator = torch.Generator().manual_seed(0)
    for size in (0.03, 0.3):
        other = z.mean(0) + size * torch.randn(z.shape[1:], generator=generator)
        assert found < float(distance(other.expand_as(z), z).mean())


def test_prompts_that_are_all_alike_are_said_for_nothing(teacher: Teacher) -> None:
    images = [pointed([9.5, 9.5]), pointed([9.5, 9.5])]
    assert learnt.constant_baseline(teacher, images, PromptDistance()) == pytest.approx(0, abs=1e-6)
    both = [pointed([9.5, 9.5]), pointed([30.5, 9.5])]
    assert learnt.constant_baseline(teacher, both, PromptDistance(), count=1) < 1e-6


def test_tags_have_no_prompt(teacher: Teacher) -> None:
    tagged = Sample(torch.zeros(3, 48, 48), 1, Label(LabelKind.TAG, torch.tensor([0])))
    with pytest.raises(ValueError, match="there is no prompt to predict"):
        learnt.constant_baseline(teacher, [tagged], PromptDistance())


def test_a_run_stands_beside_its_one_answer() -> None:
    study = open_study()
    rows = [study["wish-label-kinds", row] for row in ("points", "boxes")]
    found = learnt.prompt_learnt(rows, count=20)
    assert list(found.index) == ["points", "boxes"]
    assert set(found.columns) == {"constant predictor", "prompt head"}
    assert ((found > 0) & (found < 1)).all(axis=None)
