"""Time and memory against the number of categories: 80, 300, 1,000 and 3,000.

    python benchmarks/bench_categories.py [--quick]

Five things, each with the same scenes of 80 categories whatever the model knows: a training step of
Mask^X R-CNN end to end; a step of its mask branch over a frozen detector; prediction; and the mask
predictor alone on 96 regions, once as it is (each region's own map) and once with a map for every
category, as the authors' code has it. Sizes take turns, step by step, in one process; memory is the
peak of a process of its own, less what it held before the model was built. On a CPU processor time
of one thread, on a GPU wall time between synchronisations. Ratios are to 80 categories.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import statistics
from collections.abc import Callable
from typing import Any

import torch
from bench_maskx import CATEGORIES, Step, batches, seconds, training_step
from memory import forget_peak, peak_mib
from record import record
from torch import Tensor, nn

from wsislib.engine.device import pick_device
from wsislib.models.maskrcnn.builders import maskx_rcnn_lab
from wsislib.models.maskrcnn.mask_rcnn import MaskRCNN
from wsislib.models.maskrcnn.transfer import TransferPredictor

SIZES = (80, 300, 1000, 3000)
REGIONS = 96


def build(categories: int, device: torch.device) -> MaskRCNN:
    return maskx_rcnn_lab(categories, mlp_layers=0).to(device)


def end_to_end(categories: int, device: torch.device) -> Step:
    return training_step(build(categories, device), batches(2, device), device)


def mask_branch(categories: int, device: torch.device) -> Step:
    """The second stage: the detector is frozen."""
    model = build(categories, device)
    model.train().freeze_detector()
    return training_step(model, batches(2, device), device)


def prediction(categories: int, device: torch.device) -> Step:
    """Prediction for 8 images, in all of which the first category is found everywhere.

    So that every size paints as many masks, however untrained.
    """
    model = build(categories, device).eval()
    with torch.no_grad():
        model.roi.box_predictor.cls_score.bias[1] = math.log(categories + 1) + 2
    images = [sample.image for sample in batches(1, device)[0][:8]]

    def step(number: int) -> None:
        with torch.inference_mode():
            model.predict(images)

    return step


def own_maps(categories: int, device: torch.device) -> Step:
    return predictor_step(build(categories, device).mask.predictor, device)


def all_maps(categories: int, device: torch.device) -> Step:
    predictor = build(categories, device).mask.predictor
    assert isinstance(predictor, TransferPredictor)
    return predictor_step(EveryMap(predictor), device)


class EveryMap(nn.Module):
    """A map of every category for every region, of which the region's own is taken."""

    def __init__(self, predictor: TransferPredictor) -> None:
        super().__init__()
        self.predictor = predictor

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        kernel = self.predictor.mask_weights()[:, :, None, None]  # (C + 1, width, 1, 1)
        maps = nn.functional.conv2d(x, kernel)  # (R, C + 1, 28, 28)
        return maps[torch.arange(len(labels), device=x.device), labels]


def predictor_step(predictor: nn.Module, device: torch.device) -> Step:
    """Forward and backward pass on 96 regions of 80 categories."""
    x = torch.randn(REGIONS, 64, 28, 28, device=device, requires_grad=True)
    labels = torch.arange(REGIONS, device=device) % CATEGORIES + 1

    def step(number: int) -> None:
        predictor(x, labels).square().mean().backward()

    return step


SUBJECTS: dict[str, Callable[[int, torch.device], Step]] = {
    "training step, end to end": end_to_end,
    "training step, detector frozen": mask_branch,
    "prediction": prediction,
    "mask predictor, a region's own map": own_maps,
    "mask predictor, a map for every category": all_maps,
}


def times(subject: str, steps: int, device: torch.device) -> dict[int, float]:
    """Categories -> median seconds of a step, the sizes taking turns."""
    work = {size: SUBJECTS[subject](size, device) for size in SIZES}
    took: dict[int, list[float]] = {size: [] for size in SIZES}
    for number in range(-2, steps):  # the first ones warm up
        order = SIZES if number % 2 else SIZES[::-1]
        for size in order:
            spent = seconds(work[size], max(number, 0), device)
            if number >= 0:
                took[size].append(spent)
    return {size: statistics.median(own) for size, own in took.items()}


def peak_of(subject: str, categories: int) -> float:
    """MiB that two steps take at their peak; for a process of its own."""
    torch.set_num_threads(1)
    device = pick_device("auto")
    batches(1, device)  # what drawing takes is no part of it
    before = forget_peak()
    step = SUBJECTS[subject](categories, device)
    for number in range(2):
        step(number)
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return peak_mib() - before


def memory(subject: str) -> dict[int, float]:
    """Categories -> MiB at the peak."""
    context = multiprocessing.get_context("spawn")
    peaks = {}
    for size in SIZES:
        with context.Pool(1) as pool:
            peaks[size] = pool.apply(peak_of, (subject, size))
    return peaks


def rows_of(subject: str, steps: int, device: torch.device) -> list[dict[str, Any]]:
    took, peaks = times(subject, steps, device), memory(subject)
    first = SIZES[0]
    return [
        {
            "subject": subject,
            "categories": size,
            "seconds": round(took[size], 4),
            "seconds_ratio": round(took[size] / took[first], 3),
            "peak_mib": round(peaks[size], 1),
            "peak_ratio": round(peaks[size] / max(peaks[first], 0.1), 3),
            "steps": steps,
        }
        for size in SIZES
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few steps; nothing is recorded")
    quick = parser.parse_args().quick
    device = pick_device("auto")
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for subject in SUBJECTS:
        for row in rows_of(subject, 1 if quick else 8, device):
            print(row, flush=True)
            rows.append(row)
    if not quick:
        print(f"written to {record(f'categories_{device.type}', rows)}")


if __name__ == "__main__":
    main()
