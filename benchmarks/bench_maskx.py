"""What weight transfer costs: a training step of Mask^X R-CNN against one of Mask R-CNN.

    python benchmarks/bench_maskx.py [--quick]

Three questions, each answered by steps that take turns, one by one, in the same process:
Mask^X R-CNN without the MLP branch against class-agnostic Mask R-CNN, both end to end; a head
among eight over a frozen detector against Mask^X R-CNN end to end; and the predictor alone with
3,001 categories against 80. A step is losses, backward pass and AdamW; the images are in memory.
On a CPU processor time of one thread, on a GPU wall time between synchronisations.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from record import record
from torch import nn

from wsislib.data.sample import Sample
from wsislib.data.world import WorldDataset, WorldSpec
from wsislib.engine.device import autocast, pick_device
from wsislib.labels.datasets import PartialDataset
from wsislib.models.maskrcnn.builders import mask_rcnn_lab, maskx_rcnn_lab, transfer_predictor
from wsislib.models.maskrcnn.mask_heads import MaskHeads

ALLOWED_OVERHEAD = 1.05
REQUIRED_SAVING = 4.0
CATEGORIES, WITH_MASKS, BATCH, HEADS = 80, 20, 16, 8

Step = Callable[[int], None]


def batches(count: int, device: torch.device) -> list[list[Sample]]:
    """`count` batches of lab scenes, masks of 20 categories, boxes of 80."""
    scenes = WorldDataset(WorldSpec(CATEGORIES), seed=1, count=BATCH * count)
    partial = PartialDataset(scenes, range(WITH_MASKS))
    return [
        [partial[i].to(device) for i in range(BATCH * n, BATCH * (n + 1))] for n in range(count)
    ]


def training_step(model: nn.Module, feed: Sequence[list[Sample]], device: torch.device) -> Step:
    """One optimiser step of `model` on the n-th batch, in the lab's precision."""
    model.to(device).train()
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], 1e-3)

    def step(number: int) -> None:
        torch.manual_seed(number)
        with autocast(device, "bf16"):
            losses = model.losses(feed[number % len(feed)])
        optimiser.zero_grad()
        torch.stack([loss.float() for loss in losses.values()]).sum().backward()
        optimiser.step()

    return step


def eight_heads() -> MaskHeads:
    """Weight transfer eight times over one frozen detector."""
    detector = mask_rcnn_lab(CATEGORIES)
    heads = {}
    for seed in range(HEADS):
        spare = mask_rcnn_lab(CATEGORIES, seed=seed)
        spare.mask.predictor = transfer_predictor(detector.roi.box_predictor, 64, seed=seed)
        heads[f"head-{seed}"] = spare.mask
    learns = torch.arange(CATEGORIES) < WITH_MASKS
    return MaskHeads(detector, heads, dict.fromkeys(heads, learns))


def prediction_step(category_count: int, device: torch.device) -> Step:
    """Forward and backward pass of the transfer predictor on 96 regions."""
    predictor = maskx_rcnn_lab(category_count, mlp_layers=0).mask.predictor.to(device)
    x = torch.randn(96, 64, 28, 28, device=device, requires_grad=True)
    labels = torch.arange(96, device=device) % CATEGORIES + 1

    def step(number: int) -> None:
        predictor(x, labels).square().mean().backward()

    return step


def seconds(step: Step, number: int, device: torch.device) -> float:
    if device.type != "cuda":
        start = time.process_time()
        step(number)
        return time.process_time() - start
    torch.cuda.synchronize(device)
    start = time.perf_counter()
    step(number)
    torch.cuda.synchronize(device)
    return time.perf_counter() - start


def compare(
    one: Step, other: Step, steps: int, device: torch.device, warm: int = 3
) -> dict[str, float]:
    """Median seconds of both and the median of their ratios, steps taking turns."""
    pairs = []
    for number in range(-warm, steps):  # the first ones warm up
        order = [one, other] if number % 2 else [other, one]
        took = {id(step): seconds(step, max(number, 0), device) for step in order}
        if number >= 0:
            pairs.append((took[id(one)], took[id(other)]))
    ratios = sorted(a / b for a, b in pairs)
    return {
        "seconds": round(statistics.median(a for a, _ in pairs), 4),
        "peer_seconds": round(statistics.median(b for _, b in pairs), 4),
        "ratio": round(statistics.median(ratios), 4),
        "ratio_quartiles": [round(ratios[len(ratios) * q // 4], 3) for q in (1, 3)],
        "steps": steps,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few steps; nothing is recorded")
    quick = parser.parse_args().quick
    steps = 2 if quick else 40
    device = pick_device("auto")
    torch.set_num_threads(1)
    feed = batches(2 if quick else 10, device)
    rows: list[dict[str, Any]] = []

    def add(name: str, one: Step, other: Step, **facts: Any) -> dict[str, Any]:
        rows.append({"comparison": name, **facts, **compare(one, other, steps, device)})
        return rows[-1]

    maskx = training_step(maskx_rcnn_lab(CATEGORIES, mlp_layers=0), feed, device)
    agnostic = training_step(mask_rcnn_lab(CATEGORIES), feed, device)
    add("Mask^X R-CNN / class-agnostic Mask R-CNN, end to end", maskx, agnostic,
        allowed_ratio=ALLOWED_OVERHEAD)  # fmt: skip
    heads = training_step(eight_heads(), feed, device)
    row = add(f"end to end / {HEADS} heads side by side", maskx, heads, heads=HEADS)
    row |= {"saving_of_a_head": round(row["ratio"] * HEADS, 2), "required_saving": REQUIRED_SAVING}
    many, few = prediction_step(3001, device), prediction_step(CATEGORIES, device)
    add("transfer predictor, 3,001 / 80 categories", many, few)
    for row in rows:
        print(row)
    if not quick:
        print(f"written to {record(f'maskx_{device.type}', rows)}")


if __name__ == "__main__":
    main()
