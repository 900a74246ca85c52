"""Weighted sums of table rows, with a backward pass that a CPU does fast.

The forward pass is `embedding_bag`. Its own gradients go one row at a time through BLAS calls;
here the gradient of the weights is a sampled matrix product and that of the table is another
`embedding_bag`, over the transposed relation, which one radix sort gives.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import embedding_bag


def weighted_rows(table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    """Sum over k of weights[n, k] * table[rows[n, k]].

    Args:
        table: (R, D) float32.
        rows: (N, K) int32.
        weights: (N, K) float32.

    Returns:
        (N, D) float32, differentiable in `table` and `weights`, once.
    """
    return _WeightedRows.apply(table, rows, weights)


class _WeightedRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(table, rows, weights)
        return embedding_bag(rows, table, mode="sum", per_sample_weights=weights)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, Tensor | None]:
        table, rows, weights = ctx.saved_tensors
        grad = grad.contiguous()
        wanted = ctx.needs_input_grad
        to_table = _to_table(grad, rows, weights, len(table)) if wanted[0] else None
        to_weights = _to_weights(grad, rows, weights, table) if wanted[2] else None
        return to_table, None, to_weights


def _to_table(grad: Tensor, rows: Tensor, weights: Tensor, count: int) -> Tensor:
    """(R, D): for every row the weighted sum of the gradients of the sums that used it."""
    row, order = torch.sort(rows.flatten(), stable=True)
    ends = torch.arange(count, dtype=row.dtype, device=row.device)
    offsets = torch.searchsorted(row, ends, out_int32=True)
    share = rows.shape[1]
    user = ((order.double() + 0.5) * (1 / share)).int()  # order // share, but vectorised
    return embedding_bag(
        user, grad, offsets, mode="sum", per_sample_weights=weights.flatten().index_select(0, order)
    )


def _to_weights(grad: Tensor, rows: Tensor, weights: Tensor, table: Tensor) -> Tensor:
    """(N, K): grad[n] . table[rows[n, k]]."""
    sums, share = rows.shape
    starts = torch.arange(0, sums * share + 1, share, dtype=rows.dtype, device=rows.device)
    with warnings.catch_warnings():  # torch calls its sparse layout beta, once a process
        warnings.simplefilter("ignore", UserWarning)
        relation = torch.sparse_csr_tensor(
            starts, rows.flatten(), weights.flatten(), (sums, len(table)), check_invariants=False
        )
    products = torch.sparse.sampled_addmm(relation, grad, table.t(), beta=0.0)
    return products.values().view(sums, share)
