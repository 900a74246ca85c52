"""How the tests compare computed floats.

Two computations that mean the same seldom agree in every bit. Another shape, batch, chunk or
number of threads may take another kernel, which sums the same numbers in another order, and which
kernel that is depends on the processor. So a test asks for equal bits (`torch.equal`, `==`) only
where nothing can differ: the same operations on the same shapes in the same process, or integers,
booleans, permutations, bytes, and values that were copied rather than computed. Everything else
is compared by `close`, which has each test say why the two may differ.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

# Reasons that many tests share.
OTHER_SHAPE = "another shape, so perhaps another kernel, which sums in another order"
OTHER_ORDER = "the same terms are summed in another order"
OTHER_CODE = "other code for the same formula, which rounds and sums in its own order"


def close(actual: Any, expected: Any, why: str, rtol: float = 1e-5, atol: float = 1e-6) -> None:
    """Assert that two tensors/arrays/floats (or nested dicts/lists of them) agree to rounding.

    `why` says why they may differ at all, and is shown in the failure. Integers and booleans must
    be equal. The defaults are for float32, which carries 1.2e-7 of a value: a sum of a thousand
    terms in another order moves by some tens of that, and where its terms cancel by more than its
    own size can tell, hence the absolute part.
    """
    if not why.strip():
        raise ValueError("say why the two may differ; if they cannot, compare them exactly")
    _compare(actual, expected, why, rtol, atol, "")


def close_masks(
    actual: torch.Tensor, expected: torch.Tensor, why: str, share: float = 1e-3
) -> None:
    """Assert that boolean masks (..., H, W) agree but for a few pixels of each.

    A mask is where a computed logit is above 0, and rounding can move the pixels whose logit is
    next to 0. `share` of the pixels of a mask may differ: 9 of 96 x 96. An object of 10 x 10
    pixels that lies one pixel aside differs in 20.
    """
    if not why.strip():
        raise ValueError("say why the two may differ; if they cannot, compare them exactly")
    assert actual.dtype == expected.dtype == torch.bool, (actual.dtype, expected.dtype)
    assert actual.shape == expected.shape, (tuple(actual.shape), tuple(expected.shape))
    if actual.numel() == 0:
        return
    worst = (actual ^ expected).float().mean((-2, -1)).max().item()
    assert worst <= share, (
        f"a mask differs in {worst:.2%} of its pixels ({share:.2%} allowed)\n"
        f"They may differ only by this: {why}"
    )


def _compare(actual: Any, expected: Any, why: str, rtol: float, atol: float, where: str) -> None:
    if isinstance(expected, Mapping):
        one, other = sorted(actual), sorted(expected)
        assert one == other, f"other keys at {where or 'the top'}: {one} for {other}"
        for key in expected:
            _compare(actual[key], expected[key], why, rtol, atol, f"{where}[{key!r}]")
    elif isinstance(expected, list | tuple):
        one, other = len(actual), len(expected)
        assert one == other, f"another length at {where or 'the top'}: {one} for {other}"
        for place, (one, other) in enumerate(zip(actual, expected, strict=True)):
            _compare(one, other, why, rtol, atol, f"{where}[{place}]")
    elif expected is None or isinstance(expected, str):
        assert actual == expected, f"at {where or 'the top'}: {actual!r} for {expected!r}"
    else:
        one, other = _tensor(actual), _tensor(expected)
        if not (one.is_floating_point() or other.is_floating_point()):
            rtol = atol = 0.0  # counted, not computed
        torch.testing.assert_close(
            one,
            other,
            rtol=rtol,
            atol=atol,
            check_dtype=isinstance(actual, torch.Tensor) and isinstance(expected, torch.Tensor),
            msg=lambda found: f"{where} {found}\nThey may differ only by this: {why}".strip(),
        )


def _tensor(value: Any) -> torch.Tensor:
    if isinstance(value, torch.Tensor):
        return value.detach()
    # A copy, as torch warns of arrays that it must not write to; a plain float stays a double.
    return torch.from_numpy(np.array(value))
