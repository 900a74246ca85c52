"""Rules that choose one of a teacher's candidates, by hand."""

import pytest
import torch

from tests.models.wish.gate_scenes_for_tests import filled
from wsislib.data.sample import Candidates
from wsislib.models.wish.candidate_choice import choose

BOXES = ((0, 0, 2, 2), (0, 0, 8, 8), (0, 0, 4, 4))  # 4, 64 and 16 pixels


def offered(*quality):
    return Candidates(filled(*BOXES)[None], torch.tensor([quality]))


@pytest.mark.parametrize(
    ("choice", "kept"), [("best", 0), ("largest", 1), ("smallest", 0), ("adaptive", None)]
)
def test_one_is_left(choice, kept):
    some, all_three = offered(0.9, 0.2, 0.5), torch.ones(1, 3, dtype=torch.bool)
    masks, allowed = choose(some, all_three, choice)
    assert torch.equal(masks, some.masks)
    assert allowed.tolist() == [[kept is None or place == kept for place in range(3)]]


@pytest.mark.parametrize(("choice", "kept"), [("best", 2), ("largest", 2), ("smallest", 2)])
def test_what_the_gate_left_out_is_not_chosen(choice, kept):
    gate = torch.tensor([[False, False, True]])
    _, allowed = choose(offered(0.9, 0.95, 0.1), gate, choice)
    assert allowed.tolist() == [[place == kept for place in range(3)]]


def test_the_average_is_of_those_allowed():
    masks, allowed = choose(offered(0.9, 0.9, 0.9), torch.tensor([[True, True, False]]), "average")
    assert masks.shape == (1, 1, 32, 32) and allowed.tolist() == [[True]]
    assert masks[0, 0, 1, 1] == 1 and masks[0, 0, 3, 3] == 0.5 and masks[0, 0, 9, 9] == 0


def test_nothing_to_choose_from():
    none = Candidates(torch.zeros(0, 3, 8, 8, dtype=torch.bool), torch.zeros(0, 3))
    for choice in ("adaptive", "best", "largest", "smallest", "average"):
        masks, allowed = choose(none, torch.zeros(0, 3, dtype=torch.bool), choice)
        assert len(masks) == len(allowed) == 0
