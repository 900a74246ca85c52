"""Each model family on a GPU gives what it gives on the CPU: losses, gradients, predictions.

Tolerances are above rounding, because some steps decide: a cell is in a query's attention mask or
not, a pixel of a teacher's mask is on or off. One such flip moves a loss by about 1e-4 of itself.
"""

import inspect
import math
from pathlib import Path

import pytest
import torch
from gpu_families import FAMILIES, Family
from torch import Tensor, nn
from torchvision.ops import box_iou

from wsislib.data.sample import Detections, Sample
from wsislib.data.world import WorldDataset, WorldSpec
from wsislib.engine.config import TrainConfig
from wsislib.engine.device import autocast, pick_device
from wsislib.engine.predict import predict_all
from wsislib.engine.train import FitResult, fit
from wsislib.engine.weights import load_weights
from wsislib.models.mask2former.builders import mask2former_lab
from wsislib.models.maskrcnn.builders import mask_rcnn_lab
from wsislib.models.maskrcnn.detector import Detector

Numbers = tuple[dict[str, float], dict[str, Tensor]]
CPU = torch.device("cpu")
PREDICTING = [name for name, family in FAMILIES.items() if family.predicts]


class Proposals:
    """Notes the proposals of one model and gives them to another.

    Scores of an untrained RPN lie so close together that rounding decides which 100 come first.
    """

    def __init__(self) -> None:
        self.noted: list[tuple[list[Tensor], list[Tensor]]] = []

    def note(self, model: nn.Module) -> None:
        if isinstance(model, Detector):
            real = model.rpn.filter_proposals
            model.rpn.filter_proposals = lambda *given: self._keep(real(*given))

    def give(self, model: nn.Module) -> None:
        if isinstance(model, Detector):
            model.rpn.filter_proposals = lambda proposals, *_: tuple(
                [x.to(proposals.device) for x in part] for part in self.noted.pop(0)
            )

    def _keep(self, found):
        self.noted.append(found)
        return found


def step(family: Family, model: nn.Module, device: torch.device, precision="float32") -> Numbers:
    """Losses and gradients of a training step; random draws are the same on all devices."""
    model.to(device).train()
    torch.manual_seed(0)
    batch = [sample.to(device) for sample in family.batch()]
    takes = "generator" in inspect.signature(model.losses).parameters
    own = {"generator": torch.Generator().manual_seed(0)} if takes else {}
    with autocast(device, precision):
        losses = model.losses(batch, **own)
    torch.stack([loss.float() for loss in losses.values()]).sum().backward()
    gradients = {n: p.grad.cpu() for n, p in model.named_parameters() if p.grad is not None}
    return {name: float(loss.detach()) for name, loss in losses.items()}, gradients


@pytest.mark.parametrize("name", FAMILIES)
def test_losses_and_gradients(name: str, device: torch.device, exact: None) -> None:
    family, proposals = FAMILIES[name], Proposals()
    one, other = family.build(), family.build()
    proposals.note(one)
    proposals.give(other)
    losses, gradients = step(family, one, CPU)
    found, found_gradients = step(family, other, device)
    assert found == pytest.approx(losses, rel=1e-3, abs=1e-4)
    assert found_gradients.keys() == gradients.keys()
    whole = math.sqrt(sum(float(g.square().sum()) for g in gradients.values()))
    for parameter, gradient in gradients.items():
        off = float((found_gradients[parameter] - gradient).norm())
        assert off <= 2e-2 * float(gradient.norm()) + 1e-3 * whole, (parameter, off, whole)


@pytest.mark.parametrize("name", FAMILIES)
def test_bf16_is_finite_and_near_float32(name: str, device: torch.device, exact: None) -> None:
    family, proposals = FAMILIES[name], Proposals()
    one, other = family.build(), family.build()
    proposals.note(one)
    proposals.give(other)
    losses, _ = step(family, one, device)
    found, gradients = step(family, other, device, "bf16")
    assert all(bool(gradient.isfinite().all()) for gradient in gradients.values())
    assert found == pytest.approx(losses, rel=0.1, abs=0.05)


def agreeing(one: Detections, other: Detections) -> float:
    """Share of detections that the other has too: category, place, mask and score."""
    near = box_iou(one.boxes, other.boxes) > 0.9
    masks, others = (found.masks.flatten(1).float() for found in (one, other))
    both = masks @ others.t()
    overlap = both / (masks.sum(1)[:, None] + others.sum(1) - both).clamp(min=1)
    alike = (one.categories[:, None] == other.categories) & near & ((overlap > 0.9) | (both == 0))
    alike &= (one.scores[:, None] - other.scores).abs() < 1e-3
    return float(alike.any(1).float().mean())


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("name", PREDICTING)
def test_predictions(name: str, precision: str, device: torch.device, exact: None) -> None:
    family, proposals = FAMILIES[name], Proposals()
    one, other = family.build().eval(), family.build().eval().to(device)
    proposals.note(one)
    proposals.give(other)
    images = [sample.image for sample in family.batch()]
    with torch.inference_mode():
        wanted = one.predict(images)
        with autocast(device, precision):
            found = [f.to("cpu") for f in other.predict([image.to(device) for image in images])]
    for image, own, there in zip(images, wanted, found, strict=True):
        assert there.masks.dtype == torch.bool and there.masks.shape[1:] == image.shape[1:]
        assert bool(there.boxes.isfinite().all()) and bool(there.scores.isfinite().all())
        if precision == "float32":
            assert len(there) == pytest.approx(len(own), abs=2)
            assert agreeing(own, there) >= 0.9


class Broken(WorldDataset):
    """A data set that fails at the n-th image."""

    def __init__(self, left: int = 10**9) -> None:
        super().__init__(WorldSpec(5), seed=1, count=3)
        self.left = left

    def __getitem__(self, index: int) -> Sample:
        self.left -= 1
        if self.left < 0:
            raise OSError("the disk is gone")
        return super().__getitem__(index)


@pytest.mark.parametrize(
    ("build", "precision"), [(mask_rcnn_lab, "float32"), (mask2former_lab, "bf16")]
)
def test_a_run_goes_on_from_its_checkpoint(build, precision, device, tmp_path: Path) -> None:
    config = TrainConfig(
        steps=3, batch_size=2, learning_rate=1e-3, precision=precision, checkpoint_every=1,
        log_every=1, optimiser="adamw", flip=False,
    )  # fmt: skip

    def run(name: str, data: WorldDataset) -> FitResult:
        return fit(build(5), data, config, tmp_path / name, device=device, progress=False)

    whole = run("whole", Broken())
    with pytest.raises(OSError, match="disk is gone"):
        run("parts", Broken(left=5))
    parts = run("parts", Broken())
    assert parts.steps == whole.steps == 3
    assert parts.peak_memory_mib > 0
    # Sums on a GPU have no fixed order, and a step of AdamW turns noise into steps of its rate.
    totals = ([row["total"] for row in result.history] for result in (parts, whole))
    assert next(totals) == pytest.approx(next(totals), rel=0.05)
    ends = []
    for name in ("whole", "parts"):
        model = build(5)
        load_weights(tmp_path / name / "checkpoints" / "final.safetensors", model)
        ends.append(nn.utils.parameters_to_vector(model.parameters()).detach())
    assert float((ends[0] - ends[1]).abs().max()) <= 6 * config.learning_rate
    results = predict_all(model, Broken(), device=device, precision=precision, progress=False)
    assert all(math.isfinite(result["score"]) for result in results)


def test_a_gpu_that_is_not_there_is_named(device: torch.device) -> None:
    with pytest.raises(ValueError, match="cuda:99"):
        pick_device("cuda:99")
