"""One builder per model, holding all its numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from torch import nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import MultiScaleRoIAlign

from wsislib.models.backbone import ResNetFPN, SmallFPN, resnet_fpn
from wsislib.models.maskrcnn.detector import Float32RPNHead
from wsislib.models.maskrcnn.mask_branch import MaskBranch, MaskPredictor
from wsislib.models.maskrcnn.mask_rcnn import MaskRCNN

MaskHead = Literal["class-agnostic", "class-specific"]
IMAGENET_MEAN, IMAGENET_STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def mask_rcnn_lab(
    category_count: int, mask_head: MaskHead = "class-agnostic", seed: int = 0
) -> MaskRCNN:
    """The lab's Mask R-CNN: 1.8 M parameters, for scenes of 96 px.

    Args:
        category_count: C, background not counted.
        mask_head: one mask map for all categories, or one each.
        seed: of the initial weights.
    """
    return _mask_rcnn_small(
        category_count,
        mask_head,
        seed,
        image_side=(96, 96),
        widths=(32, 64, 96, 128),
        anchor_sides=((12,), (24,), (48,)),
        proposals=100,
        regions=48,
    )


def mask_rcnn_small(
    category_count: int,
    mask_head: MaskHead = "class-agnostic",
    seed: int = 0,
    image_side: tuple[int, int] = (240, 320),
) -> MaskRCNN:
    """A Mask R-CNN for photographs on a machine without a GPU: the lab's with one more level.

    Args:
        category_count: C, background not counted.
        mask_head: one mask map for all categories, or one each.
        seed: of the initial weights.
        image_side: shortest side wanted and longest side allowed, pixels.
    """
    return _mask_rcnn_small(
        category_count,
        mask_head,
        seed,
        image_side=image_side,
        widths=(32, 64, 96, 128, 192),
        anchor_sides=((8, 12), (18, 28), (42, 64), (96, 160)),
        proposals=300,
        regions=64,
    )


def _mask_rcnn_small(
    category_count: int,
    mask_head: MaskHead,
    seed: int,
    *,
    image_side: tuple[int, int],
    widths: tuple[int, ...],
    anchor_sides: tuple[tuple[int, ...], ...],
    proposals: int,
    regions: int,
) -> MaskRCNN:
    """The RPN looks at every level but the finest; a quarter of `regions` is foreground."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = SmallFPN(widths, 64)
        levels = [str(level) for level in range(len(widths))]
        anchors = AnchorGenerator(anchor_sides, ((0.5, 1.0, 2.0),) * len(anchor_sides))
        rpn = _rpn(64, anchors, 64, (2 * proposals, 2 * proposals), (proposals, proposals))
        # Canonical sizes put a 24 px box on stride 4 for its class and on stride 2 for its mask.
        # A cell of the grid is then about a cell of the map: one sample in it is enough.
        box_pool = MultiScaleRoIAlign(levels, 7, 1, canonical_scale=24, canonical_level=2)
        mask_pool = MultiScaleRoIAlign(levels, 14, 1, canonical_scale=48, canonical_level=2)
        roi = _box_heads(box_pool, TwoMLPHead(64 * 7 * 7, 256), 256, category_count, regions)
        predictor = MaskPredictor(64, category_count, mask_head == "class-agnostic")
        mask = MaskBranch(mask_pool, 64, 64, predictor)
        transform = GeneralizedRCNNTransform(
            *image_side, IMAGENET_MEAN, IMAGENET_STD, size_divisible=backbone.strides[-1]
        )
        return MaskRCNN(transform, backbone, rpn, levels[1:], roi, mask)


def mask_rcnn_r50_fpn(
    category_count: int,
    mask_head: MaskHead = "class-agnostic",
    seed: int = 0,
    pretrained: bool = True,
    image_side: tuple[int, int] = (800, 1333),
    fetch: bool = True,
) -> MaskRCNN:
    """Mask R-CNN R-50-FPN as in Learning to Segment Every Thing (official configuration)."""
    backbone = partial(resnet_fpn, "resnet50", pretrained, fetch)
    return _mask_rcnn_resnet(backbone, category_count, mask_head, seed, image_side)


def mask_rcnn_r101_fpn(
    category_count: int,
    mask_head: MaskHead = "class-agnostic",
    seed: int = 0,
    pretrained: bool = True,
    image_side: tuple[int, int] = (800, 1333),
    fetch: bool = True,
) -> MaskRCNN:
    """Mask R-CNN R-101-FPN as in Learning to Segment Every Thing (official configuration)."""
    backbone = partial(resnet_fpn, "resnet101", pretrained, fetch)
    return _mask_rcnn_resnet(backbone, category_count, mask_head, seed, image_side)


def _mask_rcnn_resnet(
    make_backbone: Callable[[], ResNetFPN],
    category_count: int,
    mask_head: MaskHead,
    seed: int,
    image_side: tuple[int, int],
) -> MaskRCNN:
    """512 regions an image, a quarter foreground; 2,000 proposals in training, 1,000 in test."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = make_backbone()
        levels = ["0", "1", "2", "3"]
        anchors = AnchorGenerator(((32,), (64,), (128,), (256,), (512,)), ((0.5, 1.0, 2.0),) * 5)
        rpn = _rpn(256, anchors, 256, (2000, 1000), (2000, 1000))
        box_pool = MultiScaleRoIAlign(levels, 7, 2)
        roi = _box_heads(box_pool, TwoMLPHead(256 * 7 * 7, 1024), 1024, category_count, 512)
        predictor = MaskPredictor(256, category_count, mask_head == "class-agnostic")
        mask = MaskBranch(MultiScaleRoIAlign(levels, 14, 2), 256, 256, predictor)
        transform = GeneralizedRCNNTransform(
            *image_side, IMAGENET_MEAN, IMAGENET_STD, size_divisible=32
        )
        return MaskRCNN(transform, backbone, rpn, [*levels, "pool"], roi, mask)


def _rpn(
    channels: int,
    anchors: AnchorGenerator,
    per_image: int,
    before: tuple[int, int],
    after: tuple[int, int],
) -> RegionProposalNetwork:
    """RPN; `before` and `after` non-maximum suppression are (training, test) proposal counts."""
    return RegionProposalNetwork(
        anchors,
        Float32RPNHead(channels, anchors.num_anchors_per_location()[0]),
        fg_iou_thresh=0.7,
        bg_iou_thresh=0.3,
        batch_size_per_image=per_image,
        positive_fraction=0.5,
        pre_nms_top_n={"training": before[0], "testing": before[1]},
        post_nms_top_n={"training": after[0], "testing": after[1]},
        nms_thresh=0.7,
    )


def _box_heads(
    pool: MultiScaleRoIAlign, head: nn.Module, width: int, category_count: int, per_image: int
) -> RoIHeads:
    """The box half of torchvision's RoI heads, with the published thresholds.

    The predictor starts as Detectron's does, close to zero. With torchvision's larger start, what
    a lab training adds to these weights is smaller than the noise they began with, and weight
    transfer, which reads them, would read noise.
    """
    predictor = FastRCNNPredictor(width, category_count + 1)
    nn.init.normal_(predictor.cls_score.weight, std=0.01)
    nn.init.normal_(predictor.bbox_pred.weight, std=0.001)
    for layer in (predictor.cls_score, predictor.bbox_pred):
        nn.init.zeros_(layer.bias)
    return RoIHeads(
        pool,
        head,
        predictor,
        fg_iou_thresh=0.5,
        bg_iou_thresh=0.5,
        batch_size_per_image=per_image,
        positive_fraction=0.25,
        bbox_reg_weights=None,
        score_thresh=0.05,
        nms_thresh=0.5,
        detections_per_img=100,
    )
