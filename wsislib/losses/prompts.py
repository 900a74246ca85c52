"""How far a query's predicted prompt is from the prompt of an instance (WISH, prompt term).

A prompt is T tokens of D numbers from a frozen prompt encoder. The public summary of the paper
(equation 14) names the Kullback-Leibler divergence and does not say of what: here it is that of the
softmax of each token over its D numbers, 0 where they are equal up to a constant. The direction is
open too, so both are here, and the squared distance and the cosine beside them.

Every one of these is f(a) + g(b) - u(a).v(b), so all pairs cost one matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import normalize

from wsislib.losses.targets import Targets

DistanceKind = Literal["kl", "reverse-kl", "l2", "cosine"]


@dataclass(frozen=True)
class PromptDistance:
    """A distance of tokens, the mean over the T tokens of a prompt.

    Attributes:
        kind: "kl" is KL(predicted || target), "reverse-kl" the other direction, both in nats; "l2"
            is the mean over D of squared differences, "cosine" is 1 - cosine, in 0..2.
        temperature: divides the tokens before the softmax; "l2" and "cosine" have none.
    """

    kind: DistanceKind = "kl"
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in get_args(DistanceKind):
            known = ", ".join(map(repr, get_args(DistanceKind)))
            raise ValueError(f"prompt distance {self.kind!r}: use one of {known}")
        if not self.temperature > 0:
            raise ValueError(f"the temperature is {self.temperature}; it must be above 0")

    def __call__(self, predicted: Tensor, target: Tensor) -> Tensor:
        """Tokens (..., T, D) and (..., T, D) -> (...) float32."""
        if self.kind == "l2":
            return (predicted.float() - target.float()).square().mean((-2, -1))
        if self.kind == "cosine":
            return (1.0 - (_unit(predicted) * _unit(target)).sum(-1).mean(-1)).clamp(min=0.0)
        first, second = self._logs(predicted), self._logs(target)
        if self.kind == "reverse-kl":
            first, second = second, first
        return (first.exp() * (first - second)).sum(-1).mean(-1)

    def between(self, predicted: Tensor, target: Tensor) -> Tensor:
        """All pairs: (L, Q, T, D) and (N, T, D) -> (L, Q, N) float32."""
        if self.kind == "l2":
            one, other = predicted.float(), target.float()
            scale = 1.0 / (predicted.shape[-1] * predicted.shape[-2])
            squares = one.square().sum((-2, -1)).unsqueeze(-1) + other.square().sum((-2, -1))
            # Rounding can leave a difference of near-equal tokens below 0.
            return scale * (squares - 2.0 * _products(one, other)).clamp(min=0.0)
        if self.kind == "cosine":
            near = _products(_unit(predicted), _unit(target)) / predicted.shape[-2]
            return (1.0 - near).clamp(min=0.0)
        one, other = self._logs(predicted), self._logs(target)
        if self.kind == "kl":
            entropy = (one.exp() * one).sum((-2, -1)).unsqueeze(-1)  # (L, Q, 1), negative
            total = entropy - _products(one.exp(), other)
        else:
            total = (other.exp() * other).sum((-2, -1)) - _products(one, other.exp())
        return total.clamp(min=0.0) / predicted.shape[-2]

    def _logs(self, tokens: Tensor) -> Tensor:
        return (tokens.float() / self.temperature).log_softmax(-1)


@torch.no_grad()
def prompt_term(
    predicted: Tensor,
    target: Tensor,
    targets: Targets,
    distance: PromptDistance,
    token: Tensor | None = None,
) -> Tensor:
    """The matcher's prompt cost (L, Q, N) float32: every query with each instance of its image.

    Args:
        predicted: (L, B, Q, T, D), Z_hat of every query.
        target: (N, T, D), Z of every instance.
        targets: the N instances of B images.
        distance: of tokens.
        token: (N,) int64, 0 or 1: which of two predicted tokens is compared with an instance's
            only one; None compares all with all.
    """
    if token is not None:
        one, other = (
            prompt_term(predicted[..., t : t + 1, :], target, targets, distance) for t in (0, 1)
        )
        return torch.where(token == 0, one, other)
    with torch.autocast(predicted.device.type, enabled=False):
        pairs = zip(predicted.unbind(1), target.split(targets.counts), strict=True)
        return torch.cat([distance.between(queries, tokens) for queries, tokens in pairs], -1)


def prompt_loss(
    predicted: Tensor,
    target: Tensor,
    targets: Targets,
    query: Tensor,
    distance: PromptDistance,
    token: Tensor | None = None,
) -> Tensor:
    """Distance of matched pairs, summed over instances and divided by their number: (L,) float32.

    0 with a gradient path where N is 0. Arguments as of `prompt_term`; `query` is (L, N) int64,
    and instances at -1 count in the number only.
    """
    if len(targets) == 0:
        return (predicted.float().sum() * 0.0).expand(len(predicted))
    layers = torch.arange(len(query), device=query.device)[:, None]
    matched = predicted[layers, targets.image, query.clamp(min=0)]  # (L, N, T, D)
    if token is not None:
        matched = matched[:, torch.arange(len(token), device=token.device), token].unsqueeze(2)
    with torch.autocast(predicted.device.type, enabled=False):
        far = distance(matched, target.expand_as(matched)) * (query >= 0)  # (L, N)
    return far.sum(1) / len(targets)


def _unit(tokens: Tensor) -> Tensor:
    return normalize(tokens.float(), dim=-1)


def _products(one: Tensor, other: Tensor) -> Tensor:
    """(L, Q, T, D) and (N, T, D) -> (L, Q, N)."""
    return one.flatten(-2) @ other.flatten(-2).t()
