"""A loss whose gradient is taken as soon as its value is known.

For losses that share no parameter, such as those of many mask heads over one frozen detector. What
autograd keeps for the way back is then freed before the next loss begins, so memory holds one of
them at a time and the gradients, which would be there in the end anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


def eager_backward(compute: Callable[[], Tensor], parameters: Iterable[Tensor]) -> Tensor:
    """The scalar that `compute` gives, with the gradient that it has for `parameters`.

    Value and gradient are those of `compute()` itself, bit for bit where the loss has weight 1; a
    weight is applied to the gradient at its end, which may round otherwise.

    Args:
        compute: gives a scalar; of all tensors that need a gradient it may use `parameters` alone,
            because to others none is handed on.
        parameters: leaves; those that need no gradient are left out.

    Returns:
        A scalar that can be weighted, added to others and differentiated once.
    """
    learnt = [p for p in parameters if p.requires_grad]
    if not torch.is_grad_enabled() or not learnt:
        return compute()
    return _AtOnce.apply(compute, *learnt)


class _AtOnce(torch.autograd.Function):
    """Forward does both ways; backward scales what is there."""

    @staticmethod
    def forward(ctx: Any, compute: Callable[[], Tensor], *parameters: Tensor) -> Tensor:
        with torch.enable_grad():
            loss = compute()
        ctx.gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        return loss.detach()

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Any:
        return None, *(None if own is None else own * outer[0] for own in ctx.gradients)
