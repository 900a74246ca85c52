"""Distances of prompt tokens: as torch computes them, for pairs and for all pairs."""

import math

import pytest
import torch
from torch.nn.functional import cosine_similarity, kl_div, mse_loss

from tests.numeric import OTHER_CODE, OTHER_SHAPE, close
from wsislib.losses.prompts import PromptDistance, prompt_loss, prompt_term
from wsislib.losses.targets import Targets

KINDS = ("kl", "reverse-kl", "l2", "cosine")


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def targets_of(counts):
    masks = tuple(torch.ones(n, 1, 4, 4, dtype=torch.bool) for n in counts)
    ids = tuple(range(1, len(counts) + 1))
    return Targets(ids, tuple(counts), torch.zeros(sum(counts), dtype=torch.long), masks)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_kl_is_torchs(temperature):
    said, wanted = draw(5, 1, 16), draw(5, 1, 16, seed=1)
    one = (said[:, 0] / temperature).log_softmax(-1)
    other = (wanted[:, 0] / temperature).log_softmax(-1)
    forward = kl_div(other, one, reduction="none", log_target=True).sum(-1)  # KL(said || wanted)
    backward = kl_div(one, other, reduction="none", log_target=True).sum(-1)
    found = PromptDistance("kl", temperature)(said, wanted)
    close(found, forward, OTHER_CODE)
    close(PromptDistance("reverse-kl", temperature)(said, wanted), backward, OTHER_CODE)
    assert (forward - backward).abs().max() > 0.1, "the directions differ"


def test_kl_by_hand():
    even, uneven = torch.zeros(1, 2), torch.tensor([[math.log(3.0), 0.0]])  # 1/2, 1/2; 3/4, 1/4
    forward = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    close(PromptDistance("kl")(even, uneven).item(), forward, "float32, here float64")
    backward = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    close(PromptDistance("reverse-kl")(even, uneven).item(), backward, "float32, here float64")


def test_l2_is_the_mean_squared_error_of_both_tokens():
    said, wanted = draw(3, 2, 8), draw(3, 2, 8, seed=1)
    found = PromptDistance("l2")(said, wanted)
    close(found[1], mse_loss(said[1], wanted[1]), OTHER_CODE)


def test_cosine_is_torchs():
    said, wanted = draw(3, 2, 8), draw(3, 2, 8, seed=1)
    found = PromptDistance("cosine")(said, wanted)
    close(found, 1 - cosine_similarity(said, wanted, dim=-1).mean(-1), OTHER_CODE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tokens", [1, 2])
def test_all_pairs_are_the_pairs(kind, tokens):
    said, wanted = draw(2, 3, tokens, 12), draw(4, tokens, 12, seed=1)
    distance = PromptDistance(kind)
    table = distance.between(said, wanted)
    pairs = distance(said.unsqueeze(2).expand(-1, -1, 4, -1, -1), wanted.expand(2, 3, 4, -1, -1))
    close(table, pairs, OTHER_CODE, rtol=1e-4, atol=1e-5)
    same = distance.between(wanted.unsqueeze(0), wanted)[0]
    assert same.diagonal().abs().max() < 1e-5 and (same >= 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_the_cost_of_matched_pairs(kind):
    said, wanted, targets = draw(2, 3, 5, 1, 8), draw(4, 1, 8, seed=1), targets_of((3, 0, 1))
    distance = PromptDistance(kind)
    cost = prompt_term(said, wanted, targets, distance)
    assert cost.shape == (2, 5, 4)
    query = torch.tensor([[4, 0, 2, 2], [1, -1, 0, 3]])
    paid = cost.gather(1, query.clamp(min=0).unsqueeze(1)).squeeze(1) * (query >= 0)
    found = prompt_loss(said, wanted, targets, query, distance)
    close(found, paid.sum(1) / 4, OTHER_CODE, rtol=1e-4, atol=1e-5)


def test_an_instance_is_compared_with_the_token_of_its_kind_alone():
    said, wanted, targets = draw(2, 3, 5, 2, 8), draw(4, 1, 8, seed=1), targets_of((3, 0, 1))
    distance, token = PromptDistance("kl"), torch.tensor([0, 1, 1, 0])
    said.requires_grad_()
    cost = prompt_term(said, wanted, targets, distance, token)
    each = [prompt_term(said[..., t : t + 1, :], wanted, targets, distance) for t in (0, 1)]
    for instance, own in enumerate(token.tolist()):
        close(cost[..., instance], each[own][..., instance], OTHER_SHAPE, atol=1e-5)
    query = torch.tensor([[4, 0, 2, 2], [1, -1, 0, 3]])
    paid = cost.gather(1, query.clamp(min=0).unsqueeze(1)).squeeze(1) * (query >= 0)
    found = prompt_loss(said, wanted, targets, query, distance, token)
    close(found, paid.sum(1) / 4, OTHER_CODE, rtol=1e-4, atol=1e-5)
    found.sum().backward()
    told = said.grad.abs().sum(-1) > 0  # (L, B, Q, T)
    assert told[0, 0, 4].tolist() == [True, False] and told[0, 0, 0].tolist() == [False, True]
    assert int(told.sum()) == 7, "one token of each matched query, no other"


def test_no_instance_leaves_a_gradient_path():
    said = draw(2, 1, 5, 1, 8).requires_grad_()
    targets = targets_of((0,))
    empty = torch.zeros(2, 0, dtype=torch.long)
    assert prompt_term(said, said.new_zeros(0, 1, 8), targets, PromptDistance()).shape == (2, 5, 0)
    loss = prompt_loss(said, said.new_zeros(0, 1, 8), targets, empty, PromptDistance())
    assert loss.tolist() == [0, 0]
    loss.sum().backward()
    assert (said.grad == 0).all()


@pytest.mark.parametrize("kind", ["KL", "l1"])
def test_an_unknown_distance_is_refused(kind):
    with pytest.raises(ValueError, match=f"'{kind}'.*'kl', 'reverse-kl', 'l2', 'cosine'"):
        PromptDistance(kind)


def test_a_temperature_of_zero_is_refused():
    with pytest.raises(ValueError, match="temperature is 0"):
        PromptDistance(temperature=0)
