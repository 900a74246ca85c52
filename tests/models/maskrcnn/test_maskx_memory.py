"""Memory of Mask^X R-CNN, counted tensor by tensor: thousands of categories against eighty."""

import weakref

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from wsislib.models.maskrcnn.builders import maskx_rcnn_lab


class PeakMemory(TorchDispatchMode):
    """Bytes of the tensors made inside that are alive at once, at most; weights not counted."""

    def __init__(self, module=None):
        super().__init__()
        self.live = self.peak = 0
        self.seen = {p.untyped_storage()._cdata for p in module.parameters()} if module else set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for value in tree_iter(out):
            if isinstance(value, torch.Tensor):
                self.count(value.untyped_storage())
        return out

    def count(self, storage):
        key, size = storage._cdata, storage.nbytes()
        if key not in self.seen:
            self.seen.add(key)
            self.live += size
            self.peak = max(self.peak, self.live)
            weakref.finalize(storage, self.gone, key, size)

    def gone(self, key, size):
        self.seen.discard(key)
        self.live -= size


def test_the_memory_meter_sees_what_is_alive():
    with PeakMemory() as memory:
        kept = torch.zeros(1000)
        for _ in range(3):
            torch.zeros(500)
        kept.add_(1).view(10, 100)
    assert 6000 <= memory.peak < 8000


def peak_of_losses(category_count, batch, frozen):
    model = maskx_rcnn_lab(category_count, mlp_layers=0).train()
    if frozen:
        model.freeze_detector()
    torch.manual_seed(0)
    with PeakMemory(model) as memory:
        found = model.losses(batch)
    assert found["loss_mask"] > 0
    return memory.peak


@pytest.mark.parametrize("frozen", [True, False])
def test_memory_with_3001_categories_is_that_of_80(make_sample, frozen):
    batch = [make_sample(i, categories=80) for i in range(16)]
    few, many = (peak_of_losses(count, batch, frozen) for count in (80, 3001))
    assert many < (1.03 if frozen else 1.2) * few, f"{few / 2**20:.0f}, {many / 2**20:.0f} MiB"


def test_memory_of_the_predictor_does_not_grow_with_categories_times_regions():
    x, labels = torch.randn(64, 64, 28, 28), torch.arange(64) + 1
    peaks = []
    for count in (80, 3001):
        model = maskx_rcnn_lab(count, mlp_layers=0)
        with PeakMemory(model) as memory:
            model.mask.predictor(x, labels)
        peaks.append(memory.peak)
    assert peaks[1] < 1.02 * peaks[0], peaks
