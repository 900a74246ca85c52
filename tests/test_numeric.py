"""The comparison of computed floats forgives rounding and nothing else."""

import numpy as np
import pytest
import torch

from tests.numeric import close, close_masks

ROUNDED = 1 + 1e-6


def test_rounding_is_forgiven_in_whatever_holds_the_numbers() -> None:
    close(torch.full((3,), ROUNDED), torch.ones(3), "rounding")
    close(np.full(3, ROUNDED), torch.ones(3), "rounding")
    close({"a": [ROUNDED, None], "b": torch.tensor(1e-7)}, {"a": [1.0, None], "b": 0}, "rounding")


@pytest.mark.parametrize(
    ("actual", "expected", "message"),
    [
        (torch.tensor([1.0, 1.001]), torch.ones(2), "differ only by this: rounding"),
        ({"a": [1.0, 2.0]}, {"a": [1.0, 2.1]}, r"\['a'\]\[1\] Scalars are not"),
        ({"a": 1.0}, {"b": 1.0}, r"other keys at the top: \['a'\] for \['b'\]"),
        ([1.0], [1.0, 1.0], "another length at the top: 1 for 2"),
        (torch.ones(2), torch.ones(1), "shape"),
        (torch.ones(1), torch.ones(1).double(), "dtype"),
        (1_000_001, 1_000_000, "not equal"),
        (torch.tensor([True]), torch.tensor([False]), "not equal"),
        (torch.tensor(torch.nan), torch.tensor(torch.nan), "not close"),
    ],
)
def test_anything_else_is_not(actual, expected, message) -> None:
    with pytest.raises(AssertionError, match=message):
        close(actual, expected, "rounding")


def test_masks_may_differ_in_pixels_on_the_edge_but_not_in_place() -> None:
    mask = torch.zeros(2, 96, 96, dtype=torch.bool)
    mask[:, 10:20, 10:20] = True
    other = mask.clone()
    other[1, 9, 10:15] = True
    close_masks(other, mask, "rounding")
    with pytest.raises(AssertionError, match="0.22% of its pixels .*\n.*this: rounding"):
        close_masks(mask.roll(1, -1), mask, "rounding")
    with pytest.raises(AssertionError):
        close_masks(mask[:1], mask, "rounding")
    close_masks(mask[:0], mask[:0], "nothing differs")


def test_a_reason_is_asked_for() -> None:
    for compare in (close, close_masks):
        with pytest.raises(ValueError, match="say why the two may differ"):
            compare(torch.ones(1, 1) > 0, torch.ones(1, 1) > 0, " ")
