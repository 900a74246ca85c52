"""The device of the tests that need a GPU, and float32 that is float32 there."""

import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))  # so that tests can share gpu_families


NAME = os.environ.get("WSIS_TEST_DEVICE", "cuda")
NO_GPU = "needs a GPU (CUDA); WSIS_TEST_DEVICE=cpu tries the same code without one"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if NAME == "cuda" and not torch.cuda.is_available():
        for item in items:
            if "device" in getattr(item, "fixturenames", ()) and "gpu" in item.path.parts:
                item.add_marker(pytest.mark.skip(reason=NO_GPU))


@pytest.fixture(scope="session")
def device() -> torch.device:
    """CUDA; WSIS_TEST_DEVICE=cpu tries the same code without a GPU, against itself."""
    return torch.device(NAME, 0) if NAME == "cuda" else torch.device(NAME)


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
