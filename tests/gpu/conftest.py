"""The device of the tests that need a GPU, and float32 that is float32 there."""

import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))  # so that tests can share gpu_families


@pytest.fixture(scope="session")
def device() -> torch.device:
    """CUDA; WSIS_TEST_DEVICE=cpu tries the same code without a GPU, against itself."""
    name = os.environ.get("WSIS_TEST_DEVICE", "cuda")
    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a GPU (CUDA); WSIS_TEST_DEVICE=cpu tries the same code without one")
    return torch.device(name, 0) if name == "cuda" else torch.device(name)


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No TF32, and permutations that are the same on every device."""
    real = torch.randperm

    def randperm(count, *, device=None, **how):  # torchvision's samplers draw with it
        return real(count, **how).to(device or "cpu")

    monkeypatch.setattr(torch, "randperm", randperm)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer releases of torch have another name for it
        before = torch.backends.cudnn.allow_tf32
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        yield
        torch.backends.cudnn.allow_tf32 = before
