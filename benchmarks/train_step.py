"""Seconds of one training step: `fit` with our Mask R-CNN against torchvision's in a bare loop.

    python benchmarks/train_step.py [--quick]

torchvision's model is its own GeneralizedRCNN and RoIHeads around copies of the same backbone,
RPN, heads and weights, trained by the dozen lines that its users write: no history, checkpoint,
lock or progress bar. Both read the same images in the same order, in float32 on one thread. They
take turns, block by block; a step lasts from the moment its first image is asked for to the same
moment of the next one. Processor time, so that other programs on the machine count less.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import tempfile
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from record import record
from torch import Tensor, nn
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.mask_rcnn import MaskRCNNPredictor
from torchvision.models.detection.roi_heads import RoIHeads

from wsislib.data.sample import Dataset, Sample
from wsislib.data.world import WorldDataset, WorldSpec
from wsislib.engine.batches import epoch_order
from wsislib.engine.config import TrainConfig
from wsislib.engine.train import fit
from wsislib.models.maskrcnn.builders import mask_rcnn_lab
from wsislib.models.maskrcnn.mask_rcnn import MaskRCNN

ALLOWED = 1.05
CATEGORIES = 80
BATCH = 16
SKIPPED = 2  # first steps of a block, not timed
LOGGED = 10  # a row of the history is written within a block


class Clocked:
    """A data set that notes when every sixteenth image is asked for."""

    def __init__(self, inner: Dataset) -> None:
        self.inner = inner
        self.categories, self.image_ids = inner.categories, inner.image_ids
        self.calls = 0
        self.ticks: list[float] = []

    def __len__(self) -> int:
        return len(self.inner)

    def __getitem__(self, index: int) -> Sample:
        if self.calls % BATCH == 0:
            self.ticks.append(time.process_time())
        self.calls += 1
        return self.inner[index]

    def ground_truth(self) -> dict[str, Any]:
        return self.inner.ground_truth()

    def fingerprint(self) -> str:
        return self.inner.fingerprint()

    def step_seconds(self) -> float:
        """Mean of a block's steps but the first ones."""
        marks = self.ticks[SKIPPED:]
        return (marks[-1] - marks[0]) / (len(marks) - 1)


class LevelRPN(nn.Module):
    """The same RPN on the same levels; torchvision's would look at all."""

    def __init__(self, rpn: nn.Module, levels: tuple[str, ...]) -> None:
        super().__init__()
        self.rpn, self.levels = rpn, levels

    def forward(self, images: Any, features: OrderedDict[str, Tensor], targets: Any) -> Any:
        return self.rpn(images, OrderedDict((n, features[n]) for n in self.levels), targets)


def torchvision_model(ours: MaskRCNN) -> GeneralizedRCNN:
    """torchvision's Mask R-CNN around copies of our parts."""
    parts = copy.deepcopy(ours)
    roi, mask = parts.roi, parts.mask
    width = mask.up.in_channels
    predictor = MaskRCNNPredictor(width, width, CATEGORIES + 1)
    with torch.no_grad():
        predictor.conv5_mask.load_state_dict(mask.up.state_dict())
        predictor.mask_fcn_logits.weight.copy_(mask.predictor.weight[:, :, None, None])
        predictor.mask_fcn_logits.bias.copy_(mask.predictor.bias)
    heads = RoIHeads(
        roi.box_roi_pool,
        roi.box_head,
        roi.box_predictor,
        fg_iou_thresh=0.5,
        bg_iou_thresh=0.5,
        batch_size_per_image=roi.fg_bg_sampler.batch_size_per_image,
        positive_fraction=roi.fg_bg_sampler.positive_fraction,
        bbox_reg_weights=None,
        score_thresh=0.05,
        nms_thresh=0.5,
        detections_per_img=100,
        mask_roi_pool=mask.pool,
        mask_head=mask.trunk,
        mask_predictor=predictor,
    )
    rpn = LevelRPN(parts.rpn, parts.rpn_levels)
    return GeneralizedRCNN(parts.backbone, rpn, heads, parts.transform)


def bare_loop(model: nn.Module, dataset: Dataset, steps: int, rate: float) -> float:
    """What a user of torchvision writes; returns the mean loss of the first steps."""
    sgd = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, weight_decay=1e-4)
    model.train()
    losses: list[float] = []
    torch.manual_seed(0)
    order = [p for epoch in range(9) for p in epoch_order(len(dataset), 0, epoch)]
    for step in range(steps):
        samples = [dataset[i] for i in order[BATCH * step : BATCH * (step + 1)]]
        targets = [
            {
                "boxes": s.label.boxes,
                "labels": s.label.categories + 1,
                "masks": s.label.masks.to(torch.uint8),
            }
            for s in samples
        ]
        loss = sum(model([s.image for s in samples], targets).values())
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        losses.append(loss.item())
    return statistics.mean(losses[:LOGGED])


@contextmanager
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def block(side: str, scenes: Dataset, steps: int) -> tuple[float, float]:
    """(seconds a step, mean loss of the first steps) of one block by "ours" or "torchvision"."""
    ours = mask_rcnn_lab(CATEGORIES, "class-specific", seed=0)
    data = Clocked(scenes)
    if side == "torchvision":
        loss = bare_loop(torchvision_model(ours), data, steps, rate=0.005)
    else:
        config = TrainConfig(
            steps=steps, batch_size=BATCH, learning_rate=0.005, precision="float32",
            flip=False, log_every=min(LOGGED, steps),
        )  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            result = fit(ours, data, config, Path(folder), device="cpu", progress=True)
        loss = result.history[0]["total"]
    return data.step_seconds(), loss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few steps; nothing is recorded")
    quick = parser.parse_args().quick
    steps, blocks = (4, 1) if quick else (14, 5)
    scenes = WorldDataset(WorldSpec(categories=CATEGORIES), seed=1, count=BATCH * steps)
    for index in range(len(scenes)):
        _ = scenes[index]  # drawn and cached before the clock runs
    seconds: dict[str, list[float]] = {"ours": [], "torchvision": []}
    with one_thread():
        for number in range(blocks):
            for side in sorted(seconds, reverse=bool(number % 2)):
                value, loss = block(side, scenes, steps)
                seconds[side].append(value)
                print(f"{side}: {value:.3f} s a step, mean loss {loss:.3f}", flush=True)
    ours, theirs = (statistics.median(seconds[side]) for side in ("ours", "torchvision"))
    row = {
        "model": "mask_rcnn_lab, class-specific",
        "batch": BATCH,
        "steps": steps,
        "blocks": blocks,
        "ours_seconds": round(ours, 4),
        "torchvision_seconds": round(theirs, 4),
        "ratio": round(ours / theirs, 4),
        "block_ratios": [
            round(a / b, 3) for a, b in zip(seconds["ours"], seconds["torchvision"], strict=True)
        ],
        "allowed_ratio": ALLOWED,
    }
    print(row)
    if not quick:
        print(f"written to {record('train_step', [row])}")


if __name__ == "__main__":
    main()
