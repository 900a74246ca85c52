"""No model mixes devices: found without a GPU, by tensors that only say that they are on one."""

import warnings

import pytest
import torch
from gpu_families import FAMILIES, Family
from pretend_cuda import moved, pretended_gpu

from wsislib.models.wish.wish import WISH

# How often the processor waits for the GPU in the losses of two images, with room for other
# versions of torchvision. More is not wrong, but slow, and whoever adds a wait should know it.
MOST_WAITS = {
    "mask-rcnn": 60,
    "maskx-rcnn": 60,
    "mask2former": 8,
    "wish-tags": 75,
    "wish-points": 100,
    "sam": 15,
}


def on_gpu(family: Family) -> torch.nn.Module:
    model = moved(family.build())
    if isinstance(model, WISH):
        moved(model.teacher.sam)
    return model


@pytest.mark.parametrize("name", FAMILIES)
def test_a_training_step_and_a_prediction_stay_on_one_device(name: str) -> None:
    family = FAMILIES[name]
    model = on_gpu(family).train()
    with pretended_gpu() as gpu, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        batch = [sample.to("cuda") for sample in family.batch()]
        gpu.waits.clear()
        torch.manual_seed(0)
        with torch.autocast("cuda", torch.bfloat16):
            losses = model.losses(batch)
        waits = gpu.waits.total()
        assert all(loss.device.type == "cuda" and bool(loss.isfinite()) for loss in losses.values())
        if family.predicts:
            with torch.no_grad(), torch.autocast("cuda", torch.bfloat16):
                found = model.eval().predict([sample.image for sample in batch])
            assert all(one.masks.device.type == "cuda" for one in found)
    assert waits <= MOST_WAITS[name], gpu.waits


def test_mixed_devices_are_refused() -> None:
    with pretended_gpu():
        gpu = torch.ones(3, device="cuda")
        with pytest.raises(RuntimeError, match="on the CPU among"):
            gpu + torch.ones(3)
        with pytest.raises(RuntimeError, match="generator of cpu"):
            torch.rand(3, device="cuda", generator=torch.Generator())
        with pytest.raises(RuntimeError, match="numpy"):
            gpu.numpy()
        assert (gpu * 2 + torch.tensor(1.0)).cpu().tolist() == [3.0] * 3
        assert gpu[torch.tensor([0])].device.type == "cuda"  # a GPU takes indices from the CPU


def test_waits_are_counted() -> None:
    with pretended_gpu() as gpu:
        gpu_tensor = torch.arange(4.0, device="cuda")
        float(gpu_tensor.sum()), gpu_tensor[gpu_tensor > 1], gpu_tensor.cpu(), gpu_tensor.tolist()
        assert gpu.waits.total() == 4
