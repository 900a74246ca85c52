"""Gradients taken at once are the gradients."""

import gc
import weakref

import pytest
import torch
from torch import nn

from wsisbook.experiments.sequential_heads import eager_backward


def pair():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1)), torch.randn(5, 4)


def gradients(weight, at_once, bf16=False):
    net, x = pair()
    net[2].bias.requires_grad_(False)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        loss = net(x).float().square().mean()
        if at_once:
            loss = eager_backward(lambda: net(x).float().square().mean(), net.parameters())
    (weight * loss + 1.0).backward()
    return loss.item(), [p.grad for p in net.parameters()]


@pytest.mark.parametrize("bf16", [False, True])
def test_value_and_weighted_gradient_are_those_of_the_loss_itself(bf16):
    # Bit for bit: the same steps on the same shapes, and powers of 2 scale without rounding.
    for weight in (1.0, 0.0, 2.0):
        value, own = gradients(weight, True, bf16)
        wanted, theirs = gradients(weight, False, bf16)
        assert value == wanted
        assert own[3] is None and theirs[3] is None
        for one, other in zip(own[:3], theirs[:3], strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("at_once", [False, True])
def test_what_the_way_back_needs_is_freed_at_once(at_once):
    net, x = pair()
    seen = []

    def compute():
        hidden = net[1](net[0](x))  # tanh keeps its output for the way back
        seen.append(weakref.ref(hidden))
        return net[2](hidden).mean()

    loss = eager_backward(compute, net.parameters()) if at_once else compute()
    gc.collect()
    assert loss.requires_grad
    assert (seen[0]() is None) == at_once


def test_without_gradients_it_is_the_loss():
    net, x = pair()
    with torch.no_grad():
        assert not eager_backward(lambda: net(x).mean(), net.parameters()).requires_grad
    fixed = net.requires_grad_(False)
    assert eager_backward(lambda: fixed(x).mean(), fixed.parameters()) == fixed(x).mean()


def test_a_parameter_without_a_part_in_the_loss_gets_no_gradient():
    net, x = pair()
    eager_backward(lambda: net[0](x).mean(), net.parameters()).backward()
    assert net[0].weight.grad is not None and net[2].weight.grad is None
