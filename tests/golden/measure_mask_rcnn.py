"""Plain steps of Mask R-CNN and of Mask^X R-CNN at lab size."""

import torch
from torch import nn

from tests.golden.fixed_scenes import scenes
from tests.golden.golden_numbers import Numbers
from wsislib.data.sample import Sample


def mask_rcnn() -> Numbers:
    """Losses of the lab model over three plain steps, its size, and what it then predicts."""
    from wsislib.models.maskrcnn.builders import mask_rcnn_lab

    numbers: Numbers = {}
    batch = scenes()
    for head in ("class-agnostic", "class-specific"):
        model = mask_rcnn_lab(4, head, 0)
        numbers[f"{head}.parameters"] = float(sum(p.numel() for p in model.parameters()))
        numbers |= _plain_steps(model, batch, head, 3)
        model.eval()
        with torch.no_grad():
            found = model.predict([sample.image for sample in batch])
        numbers[f"{head}.best score"] = float(found[0].scores[:1].sum())
    return numbers


def transfer() -> Numbers:
    """Losses of Mask^X R-CNN and of heads side by side over plain steps, and T's output."""
    from wsislib.models.maskrcnn.builders import (
        add_mlp_branch,
        mask_rcnn_lab,
        maskx_rcnn_lab,
        transfer_predictor,
    )
    from wsislib.models.maskrcnn.mask_heads import MaskHeads

    numbers: Numbers = {}
    batch = scenes()
    detector = mask_rcnn_lab(4, "class-agnostic", 0)
    heads = {"agnostic": add_mlp_branch(mask_rcnn_lab(4, "class-agnostic", 0), pool=4).mask}
    for inputs in ("cls", "box", "random"):
        heads[inputs] = mask_rcnn_lab(4, "class-agnostic", 0).mask
        heads[inputs].predictor = transfer_predictor(detector.roi.box_predictor, 64, inputs, 3)
    everyone = {name: torch.ones(4, dtype=torch.bool) for name in heads}
    models = {
        "maskx": maskx_rcnn_lab(4, stop_gradient=False),
        "heads": MaskHeads(detector, heads, everyone),
    }
    for name, model in models.items():
        numbers[f"{name}.parameters"] = float(sum(p.numel() for p in model.parameters()))
        numbers |= _plain_steps(model, batch, name, 2)
    weights = models["maskx"].mask.predictor.mask_weights()
    numbers["w_seg"] = float(weights.detach().norm())
    return numbers


def _plain_steps(model: nn.Module, batch: list[Sample], name: str, count: int) -> Numbers:
    """Losses of steps of plain gradient descent, as "<name>.step <n>.<loss>"."""
    numbers: Numbers = {}
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01)
    torch.manual_seed(0)
    model.train()
    for step in range(1, count + 1):
        losses = model.losses(batch)
        for loss, value in losses.items():
            numbers[f"{name}.step {step}.{loss}"] = float(value.detach())
        optimiser.zero_grad()
        sum(losses.values()).backward()
        optimiser.step()
    return numbers
