"""One builder per Mask2Former, holding all its numbers."""

from __future__ import annotations

import torch

from wsislib.losses.points import PointSampling
from wsislib.models.backbone import IMAGENET_MEAN, IMAGENET_STD, SmallResNet, resnet_fpn
from wsislib.models.efficientnet_lite import LITE_MEAN, LITE_STD, LiteName, efficientnet_lite
from wsislib.models.mask2former.mask2former import Mask2Former
from wsislib.models.mask2former.pixel_decoder import DeformablePixelDecoder, FPNDecoder
from wsislib.models.mask2former.preprocess import Preprocess
from wsislib.models.mask2former.query_decoder import QueryDecoder

# The authors' weights of matching costs and of losses, which are the same numbers. The engine
# applies those of the losses: `TrainConfig(loss_weights=LOSS_WEIGHTS)`.
COST_WEIGHTS = {"class": 2.0, "mask": 5.0, "dice": 5.0}
LOSS_WEIGHTS = {f"loss_{name}": weight for name, weight in COST_WEIGHTS.items()}


def mask2former_lab(category_count: int, seed: int = 0) -> Mask2Former:
    """The lab's Mask2Former: 1.4 M parameters, for scenes of 96 px with up to 16 objects.

    Trained with AdamW, learning rate 5e-4, batch 16. `category_count` is C without "no object",
    `seed` that of the initial weights.
    """
    framing = Preprocess(IMAGENET_MEAN, IMAGENET_STD, 16)
    return _small(category_count, seed, framing, (32, 64, 96, 128), queries=16, points=1024)


def mask2former_small(
    category_count: int, seed: int = 0, image_side: tuple[int, int] = (240, 320)
) -> Mask2Former:
    """The lab's Mask2Former with one more level, for photographs, from random weights.

    `mask2former_lite` starts from ImageNet and is the better choice where its weights are there.

    Args:
        category_count: C, "no object" not counted.
        seed: of the initial weights.
        image_side: shortest side wanted and longest side allowed, pixels, in training too.
    """
    framing = Preprocess(IMAGENET_MEAN, IMAGENET_STD, 32, image_side, "always")
    return _small(category_count, seed, framing, (32, 64, 96, 128, 192), queries=40, points=4096)


def mask2former_lite(
    category_count: int,
    seed: int = 0,
    image_side: tuple[int, int] = (240, 320),
    fetch: bool = True,
    name: LiteName = "lite0",
    frozen_stages: int = 0,
) -> Mask2Former:
    """A Mask2Former for photographs on a machine without a GPU, from ImageNet.

    The lab's decoder on EfficientNet-Lite: mask features at stride 4, queries attend to strides 8,
    16 and 32. Training images come from large-scale jitter; `image_side` is for prediction.

    Args:
        category_count: C, "no object" not counted.
        seed: of the initial weights that are not ImageNet's.
        image_side: shortest side wanted and longest side allowed, pixels.
        fetch: False builds it without ImageNet's weights, for a checkpoint to fill.
        name: lite0, lite1 or lite2.
        frozen_stages: of the backbone, stem included. None: with two frozen, 1,200 steps on
            photographs ended at two thirds of the AP (one seed; jitter differed too).

    Raises:
        ValueError: the package with the weights is not installed.
    """
    framing = Preprocess(LITE_MEAN, LITE_STD, 32, image_side, "predicting")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = efficientnet_lite(name, 4, frozen_stages, fetch)
        return Mask2Former(
            framing,
            backbone,
            FPNDecoder(backbone.channels, 96, 96),
            QueryDecoder(category_count, 40, 96, 96, layers=3, heads=8, hidden=512),
            PointSampling(2048),
            COST_WEIGHTS,
        )


def mask2former_r50(
    category_count: int,
    seed: int = 0,
    pretrained: bool = True,
    image_side: tuple[int, int] = (800, 1333),
    fetch: bool = True,
) -> Mask2Former:
    """Mask2Former R-50 as in the authors' instance segmentation configuration.

    100 queries, 9 decoder layers, width 256, 6 rounds of deformable attention. Trained on crops of
    1024 px from large-scale jitter; `image_side` is for prediction. Pretrained means ImageNet
    weights with batch norm frozen; nothing else is frozen.

    Args:
        category_count: C, "no object" not counted.
        seed: of the initial weights.
        pretrained: start from ImageNet weights.
        image_side: shortest side wanted and longest side allowed, pixels.
        fetch: False builds the pretrained form without its weights, for a checkpoint to fill.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = resnet_fpn("resnet50", pretrained, fetch).body
        backbone.requires_grad_(True)  # Mask R-CNN's start frozen; the authors' FREEZE_AT is 0
        return Mask2Former(
            Preprocess(IMAGENET_MEAN, IMAGENET_STD, 32, image_side, "predicting"),
            backbone,
            DeformablePixelDecoder((256, 512, 1024, 2048)),
            QueryDecoder(category_count),
            PointSampling(),
            COST_WEIGHTS,
        )


def _small(
    category_count: int,
    seed: int,
    framing: Preprocess,
    widths: tuple[int, ...],
    queries: int,
    points: int,
) -> Mask2Former:
    """Three decoder layers of width 96, mask features at stride 2."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Mask2Former(
            framing,
            SmallResNet(widths),
            FPNDecoder(widths, 96, 96),
            QueryDecoder(category_count, queries, 96, 96, layers=3, heads=8, hidden=512),
            PointSampling(points),
            COST_WEIGHTS,
        )
