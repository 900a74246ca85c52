"""What a dry run does to a model, and random stand-ins for the weights that it does not fetch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision.models import resnet50, resnet101
from torchvision.models.resnet import Bottleneck

from wsisbook.plan.data_sources import backbone_weights
from wsisbook.runs.store import file_digest
from wsislib.data.sample import Detections
from wsislib.models.mask2former.mask2former import Mask2Former
from wsislib.models.maskrcnn.detector import Detector
from wsislib.models.sam.sam_weights import CHECKPOINTS
from wsislib.models.wish.wish import WISH

_LONGEST = 1333 / 800  # as a multiple of the short side, in all published settings


def write_weights(config: Any, data: Path) -> None:
    """Write random weights where a run looks for ImageNet's, and for SAM's in the folder `data`."""
    backbone, sam = backbone_weights(config), _published_sam(config)
    if backbone is not None:
        _save_random(resnet101 if "resnet101" in backbone.name else resnet50, backbone)
    if sam is not None:
        from segment_anything import sam_model_registry

        _save_random(sam_model_registry[CHECKPOINTS[sam].model], data / config.teacher)


def _save_random(build: Callable[[], nn.Module], file: Path, seed: int = 0) -> None:
    if file.exists():
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build()
    for block in model.modules():
        # Frozen batch norm does not keep random weights from growing block by block.
        if isinstance(block, Bottleneck):
            nn.init.constant_(block.bn3.weight, 0.1)
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), file)


@contextmanager
def stand_in_teacher(config: Any, data: Path) -> Iterator[None]:
    """Within, the random SAM of `write_weights` passes for the published file of its name."""
    name = _published_sam(config)
    if name is None:
        yield
        return
    known, file = CHECKPOINTS[name], data / config.teacher
    CHECKPOINTS[name] = replace(known, size=file.stat().st_size, sha256=file_digest(file))
    try:
        yield
    finally:
        CHECKPOINTS[name] = known


def _published_sam(config: Any) -> str | None:
    """Which published checkpoint the settings name by their teacher's file; None for none."""
    teacher = Path(getattr(config, "teacher", "")).name
    if getattr(config, "method", "") == "mask2former":
        return None
    return next((name for name in CHECKPOINTS if teacher.startswith(name)), None)


def model_hook(
    side: int | None, seen: dict[str, int], watch: Callable[[nn.Module], None]
) -> Callable[[nn.Module], None]:
    """What a dry run passes to an experiment as `Context.on_model`; it calls `watch` in the end.

    Images are scaled to the short `side`, in pixels (None: the model's own). `seen` gets
    "parameters", and "masks": how many a detector has pasted into images.
    """

    def hook(model: nn.Module) -> None:
        if isinstance(model, Detector):
            _find_objects(model)
            _count_masks(model, seen)
        if side is not None:
            _scale_images(model, side)
        seen["parameters"] = sum(p.numel() for p in model.parameters())
        watch(model)

    return hook


def _scale_images(model: nn.Module, side: int) -> None:
    longest = round(side * _LONGEST)
    if isinstance(model, Detector):
        model.transform.min_size, model.transform.max_size = (side,), longest
    elif isinstance(model, (Mask2Former, WISH)):
        segmenter = model.segmenter if isinstance(model, WISH) else model
        segmenter.framing.side = (side, longest)
    else:
        name = type(model).__name__
        raise ValueError(f"images of {name} cannot be made smaller; leave out --side")


def _find_objects(model: Detector) -> None:
    """Have an untrained detector find its first and its last category everywhere.

    Else no score reaches the threshold, and masks of detections would go untried.
    """
    bias = model.roi.box_predictor.cls_score.bias
    with torch.no_grad():
        bias[[1, -1]] = math.log(len(bias)) + 2.0


def _count_masks(model: Detector, seen: dict[str, int]) -> None:
    paste, seen["masks"] = model.paste_masks, 0

    def counting(*inputs: Any) -> list[Detections]:
        seen["masks"] += len(inputs[1])  # regions and the logits of their masks
        return paste(*inputs)

    model.paste_masks = counting  # type: ignore[assignment, method-assign]
