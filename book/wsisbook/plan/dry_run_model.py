"""What a dry run does to a model, and the stand-ins for weights that it does not fetch."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import ResNet50_Weights, ResNet101_Weights, resnet50, resnet101
from torchvision.models.resnet import Bottleneck

from wsislib.data.sample import Detections
from wsislib.models.mask2former.mask2former import Mask2Former
from wsislib.models.maskrcnn.detector import DetectedRegions, Detector
from wsislib.models.wish.wish import WISH

_PUBLISHED = {"r50": (resnet50, ResNet50_Weights.IMAGENET1K_V1)}
_PUBLISHED["r101"] = (resnet101, ResNet101_Weights.IMAGENET1K_V1)
_LONGEST = 1333 / 800  # as a multiple of the short side, in all published settings


def write_backbone_weights(config: Any, torch_home: Path, seed: int = 0) -> None:
    """Put random weights where torch looks for those of ImageNet that `config` asks for.

    `torch_home` becomes the environment variable TORCH_HOME of the dry run. Frozen batch norm
    does not keep random weights from growing block by block, so each block adds a little only.
    """
    for name, (build, published) in _PUBLISHED.items():
        if name not in str(getattr(config, "builder", "")).split("_"):
            continue
        file = torch_home / "hub" / "checkpoints" / published.url.rpartition("/")[2]
        if file.exists():
            continue
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = build(weights=None)
        for block in model.modules():
            if isinstance(block, Bottleneck):
                nn.init.constant_(block.bn3.weight, 0.1)
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.save(model.state_dict(), file)


def model_hook(
    side: int | None, told: dict[str, int], watch: Callable[[nn.Module], None] | None = None
) -> Callable[[nn.Module], None]:
    """What a dry run passes to an experiment as `Context.on_model`.

    Args:
        side: short side that images are scaled to, pixels; None leaves the model's own.
        told: gets "parameters", and "masks": how many the model has painted in images.
        watch: is called with the model in the end.
    """

    def look(model: nn.Module) -> None:
        if isinstance(model, Detector):
            if side is not None:
                model.transform.min_size = (side,)
                model.transform.max_size = round(side * _LONGEST)
            _see_objects(model)
            _count_masks(model, told)
        elif isinstance(model, (Mask2Former, WISH)):
            if side is not None:
                framing = (model.segmenter if isinstance(model, WISH) else model).framing
                framing.side = (side, round(side * _LONGEST))
        elif side is not None:
            raise ValueError(
                f"images of {type(model).__name__} cannot be made smaller; leave out --side"
            )
        told["parameters"] = sum(p.numel() for p in model.parameters())
        if watch is not None:
            watch(model)

    return look


def _see_objects(model: Detector) -> None:
    """Have an untrained detector find its first and its last category everywhere.

    Else no score reaches the threshold, and masks of detections would go untried.
    """
    bias = model.roi.box_predictor.cls_score.bias
    with torch.no_grad():
        bias[[1, -1]] = math.log(len(bias)) + 2.0


def _count_masks(model: Detector, told: dict[str, int]) -> None:
    paste_masks, told["masks"] = model.paste_masks, 0

    def counting(regions: DetectedRegions, logits: Tensor) -> list[Detections]:
        told["masks"] += len(logits)
        return paste_masks(regions, logits)

    model.paste_masks = counting  # type: ignore[method-assign]
