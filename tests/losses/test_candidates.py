"""Losses of a segmenter with several answers, against plain loops."""

from itertools import permutations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from tests.numeric import OTHER_CODE, OTHER_ORDER, close
from wsislib.losses.candidates import assigned_cost, expected_iou, iou_table, pair_costs


def draw(seed: int, prompts: int = 4, truths: int = 3, pixels: int = 30) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(prompts, 3, pixels, generator=generator)
    shares = torch.rand(prompts, truths, pixels, generator=generator)
    valid = torch.rand(prompts, truths, generator=generator) < 0.6
    valid[:, 0] = True
    return logits, shares, valid


def slow_assigned(costs: Tensor, valid: Tensor, spare: float) -> float:
    """Every way to give each truth a candidate of its own, one prompt at a time."""
    means = []
    for cost, there in zip(costs, valid, strict=True):
        truths = torch.nonzero(there)[:, 0].tolist()
        ways = []
        for order in permutations(range(len(cost)), len(truths)):
            total = sum(float(cost[c, t]) for c, t in zip(order, truths, strict=True))
            rest = set(range(len(cost))) - set(order)
            total += spare * sum(min(float(cost[c, t]) for t in truths) for c in rest)
            ways.append(total / (len(truths) + spare * len(rest)))
        means.append(min(ways))
    return sum(means) / len(means)


def test_costs_are_cross_entropy_and_dice() -> None:
    logits, shares, _ = draw(0)
    costs = pair_costs(logits, shares, bce_weight=5.0)
    for p in range(4):
        for c in range(3):
            for t in range(3):
                x, y = logits[p, c], shares[p, t]
                cross = F.binary_cross_entropy_with_logits(x, y)
                dice = 1 - (2 * (x.sigmoid() * y).sum() + 1) / (x.sigmoid().sum() + y.sum() + 1)
                close(costs[p, c, t], 5 * cross + dice, OTHER_CODE, atol=1e-5)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.3, 1.0]), st.integers(1, 3))
def test_truths_go_to_the_cheapest_candidates(seed: int, spare: float, truths: int) -> None:
    logits, shares, valid = draw(seed, truths=truths)
    costs = pair_costs(logits, shares)
    found = float(assigned_cost(costs, valid, spare))
    close(found, slow_assigned(costs, valid, spare), "float32, here float64")


def test_the_order_of_candidates_and_of_truths_does_not_matter() -> None:
    logits, shares, valid = draw(3)
    wanted = assigned_cost(pair_costs(logits, shares), valid)
    turned = [2, 0, 1]
    close(assigned_cost(pair_costs(logits[:, turned], shares), valid), wanted, OTHER_ORDER)
    moved = assigned_cost(pair_costs(logits, shares[:, turned]), valid[:, turned])
    close(moved, wanted, OTHER_ORDER)


def test_no_candidate_starves() -> None:
    """With one truth every head has a gradient; without a share for the others two have none."""
    logits, shares, _ = draw(1, prompts=1)
    valid = torch.tensor([[True, False, False]])
    for spare, alive in ((0.3, 3), (0.0, 1)):
        learning = logits.clone().requires_grad_()
        assigned_cost(pair_costs(learning, shares), valid, spare).backward()
        assert int((learning.grad[0].abs().sum(1) > 0).sum()) == alive


def test_nested_truths_pull_the_candidates_apart() -> None:
    """Plain descent on three nested masks ends with a candidate on each of them."""
    shares = torch.zeros(1, 3, 30)
    for t, end in enumerate((8, 18, 30)):
        shares[0, t, :end] = 1
    shares[:, :, 29] = 0
    logits = 0.01 * torch.randn(1, 3, 30, generator=torch.Generator().manual_seed(0))
    logits.requires_grad_()
    for _ in range(60):
        loss = assigned_cost(pair_costs(logits, shares), torch.ones(1, 3, dtype=torch.bool))
        (slope,) = torch.autograd.grad(loss, logits)
        logits = (logits - 30 * slope).detach().requires_grad_()
    # Pixels are counted, so equal; none is near the threshold.
    assert logits.abs().min() > 1
    assert torch.equal(iou_table(logits, shares)[0].amax(0), torch.ones(3))


def test_no_prompt_gives_zero_with_a_gradient() -> None:
    logits = torch.zeros(0, 3, 9, requires_grad=True)
    loss = assigned_cost(
        pair_costs(logits, torch.zeros(0, 3, 9)), torch.zeros(0, 3, dtype=torch.bool)
    )
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert logits.grad is not None


def test_iou_counts_pixels() -> None:
    logits = torch.tensor([[[1.0, 1.0, -1.0, -1.0], [-1.0, -1.0, -1.0, -1.0]]])
    truths = torch.tensor([[[0.9, 0.4, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]]])
    wanted = torch.tensor([[[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]])
    assert torch.equal(iou_table(logits, truths), wanted)


def test_expected_iou_is_the_mean_over_draws() -> None:
    table = torch.tensor([[[1.0, 0.5, 0.0], [0.2, 0.8, 0.6]]])
    weight = torch.tensor([[2.0, 1.0, 0.0]])
    close(expected_iou(table, weight), torch.tensor([[2.5 / 3, 1.2 / 3]]), OTHER_CODE)
