"""Another processor, imitated: the last digits of results are others.

Processors and libraries agree on single additions and products and on draws of integers. They
differ in the last digits of sums, matrix products, convolutions and transcendental functions.
Inside `OtherRounding`, the result of each such operation of PyTorch, forward and backward, is
moved by up to two units in the last place. The move depends on the operation, the shape, the
place in the tensor and the value alone, as it does on a processor: the same operation on the same
tensors gives the same bits, one on a longer batch does not.

`pytest --other-rounding 1 tests/models` runs tests so; `python -m tests.golden.spread` shows how
far golden numbers move. Code in other threads and processes is not reached.
"""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

UNITS = 2.0  # in the last place, to each side; one for bf16, whose sums are kept in float32
# The same number gives the same result wherever it stands, so what is tied stays tied.
BY_ELEMENT = frozenset((
    "sin", "cos", "tan", "tanh", "tanh_backward", "exp", "log", "log_", "log1p", "log2", "expm1",
    "sigmoid", "sigmoid_", "sigmoid_backward", "pow", "rsqrt", "erf", "softplus", "gelu",
    "gelu_backward", "atan2", "hypot", "normal_", "randn", "binary_cross_entropy_with_logits",
    "log_sigmoid_forward", "log_sigmoid_backward",
))  # fmt: skip
# The order of additions depends on the shape and on the place in it.
SUMS = frozenset((
    "mm", "addmm", "bmm", "baddbmm", "matmul", "dot", "mv", "linear", "einsum", "convolution",
    "convolution_backward", "conv2d", "conv_transpose2d", "sum", "mean", "std", "var", "norm",
    "linalg_vector_norm", "_foreach_norm", "cumsum", "softmax", "_softmax",
    "_softmax_backward_data", "log_softmax", "_log_softmax", "_log_softmax_backward_data",
    "nll_loss_forward", "smooth_l1_loss", "mse_loss", "layer_norm", "native_layer_norm",
    "native_layer_norm_backward", "group_norm", "native_group_norm", "native_group_norm_backward",
    "batch_norm", "native_batch_norm", "native_batch_norm_backward", "upsample_bilinear2d",
    "upsample_bilinear2d_backward", "grid_sampler", "grid_sampler_2d", "grid_sampler_2d_backward",
    "roi_align", "_roi_align_backward", "avg_pool2d", "scatter_add", "_embedding_bag_forward_only",
    "scaled_dot_product_attention", "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_flash_attention_for_cpu_backward",
))  # fmt: skip


class OtherRounding(TorchDispatchMode):
    """Move the results of `BY_ELEMENT` and `SUMS` in their last digits; each `seed` otherwise."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name not in BY_ELEMENT and name not in SUMS:
            return out
        if name.endswith("_"):  # in place: others hold the same tensor
            return out.copy_(self._move(out, name))
        return tree_map(lambda value: self._move(value, name), out)

    def _move(self, value: object, name: str) -> object:
        if not isinstance(value, torch.Tensor) or not value.is_floating_point():
            return value
        exact = value.double()
        # Even in the value, as |sin(-x)| is |sin(x)| everywhere.
        turn = (exact * (1e9 + self.seed)).cos() * 1e4
        if name in SUMS:
            place = torch.arange(exact.numel(), dtype=torch.float64, device=exact.device)
            turn = turn + (place * (0.7 + self.seed) + 0.3 * exact.numel()).view(exact.shape)
        units = 1.0 if value.dtype == torch.bfloat16 else UNITS
        moved = exact * (1 + units * torch.finfo(value.dtype).eps * turn.cos())
        # Counts, pixels and halves are exact in whatever order they are added; so is infinity.
        short = ((exact * 16).frac() == 0) | ~exact.isfinite()
        return torch.where(short, exact, moved).to(value.dtype)
