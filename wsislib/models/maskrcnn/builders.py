"""One builder per model of part one, holding all its numbers; on EfficientNet-Lite: lite_builders.

A Mask R-CNN becomes Mask^X R-CNN by weight transfer and the MLP branch:

    model = mask_rcnn_lab(80)                      # the class-agnostic baseline
    add_weight_transfer(model, inputs="cls+box")   # "transfer"
    add_mlp_branch(model, pool=2)                  # "transfer + MLP": Mask^X R-CNN

Detector and mask trunk keep the initial weights that they have without, so that rows of a table
differ in nothing but what they are about.
"""

from __future__ import annotations

from functools import partial
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import MultiScaleRoIAlign

from wsislib.models.backbone import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    ResNetName,
    SmallFPN,
    resnet_fpn,
)
from wsislib.models.maskrcnn.detector import Float32RPNHead
from wsislib.models.maskrcnn.mask_branch import MaskBranch, MaskPredictor
from wsislib.models.maskrcnn.mask_mlp import MaskMLP
from wsislib.models.maskrcnn.mask_rcnn import MaskRCNN
from wsislib.models.maskrcnn.transfer import (
    Activation,
    ClassWeights,
    FixedRows,
    TransferPredictor,
    WeightTransfer,
    random_vectors,
)

MaskHead = Literal["class-agnostic", "class-specific"]
TransferInput = Literal["cls", "box", "cls+box", "random", "embedding"]
RANDOM_WIDTH = 300  # values in a random vector, as in a word vector
LAB_MLP_POOL = 2  # at 96 px the paper's layer would hold 39 M weights beside a 1.8 M detector
_TRANSFER, _RANDOM, _MLP = 1, 2, 3  # streams of random numbers under one seed


def mask_rcnn_small_resnet(
    category_count: int,
    mask_head: MaskHead = "class-agnostic",
    seed: int = 0,
    *,
    image_side: tuple[int, int],
    widths: tuple[int, ...],
    anchor_sides: tuple[tuple[int, ...], ...],
    proposals: int,
    regions: int,
) -> MaskRCNN:
    """A Mask R-CNN on `SmallFPN`; the RPN reads every level but the finest.

    Args:
        category_count: C, background not counted.
        mask_head: one mask map for all categories, or one each.
        seed: of the initial weights.
        image_side: shortest side wanted and longest side allowed, pixels.
        widths: of the backbone's stages.
        anchor_sides: of the anchors on each level of the RPN, pixels.
        proposals: that the RPN keeps of an image.
        regions: sampled of an image in training, a quarter of them foreground.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = SmallFPN(widths, 64)
        levels = [str(level) for level in range(len(widths))]
        anchors = AnchorGenerator(anchor_sides, ((0.5, 1.0, 2.0),) * len(anchor_sides))
        twice, once = (2 * proposals,) * 2, (proposals,) * 2
        rpn = region_proposals(64, anchors, 64, twice, once)
        # Canonical sizes put a 24 px box on stride 4 for its class and on stride 2 for its mask.
        # A cell of the grid is then about a cell of the map: one sample in it is enough.
        box_pool = MultiScaleRoIAlign(levels, 7, 1, canonical_scale=24, canonical_level=2)
        mask_pool = MultiScaleRoIAlign(levels, 14, 1, canonical_scale=48, canonical_level=2)
        roi = box_heads(box_pool, TwoMLPHead(64 * 7 * 7, 256), 256, category_count, regions)
        predictor = MaskPredictor(64, category_count, mask_head == "class-agnostic")
        mask = MaskBranch(mask_pool, 64, 64, predictor)
        transform = GeneralizedRCNNTransform(
            *image_side, IMAGENET_MEAN, IMAGENET_STD, size_divisible=backbone.strides[-1]
        )
        return MaskRCNN(transform, backbone, rpn, levels[1:], roi, mask)


# For scenes of 96 px; 1.8 M parameters.
mask_rcnn_lab = partial(
    mask_rcnn_small_resnet,
    image_side=(96, 96),
    widths=(32, 64, 96, 128),
    anchor_sides=((12,), (24,), (48,)),
    proposals=100,
    regions=48,
)
# For photographs on a machine without a GPU: one more level. `image_side` may be given.
mask_rcnn_small = partial(
    mask_rcnn_small_resnet,
    image_side=(240, 320),
    widths=(32, 64, 96, 128, 192),
    anchor_sides=((8, 12), (18, 28), (42, 64), (96, 160)),
    proposals=300,
    regions=64,
)


def mask_rcnn_resnet_fpn(
    name: ResNetName,
    category_count: int,
    mask_head: MaskHead = "class-agnostic",
    seed: int = 0,
    pretrained: bool = True,
    image_side: tuple[int, int] = (800, 1333),
    fetch: bool = True,
) -> MaskRCNN:
    """Mask R-CNN with a ResNet-FPN as in Learning to Segment Every Thing (official configuration).

    512 regions an image, a quarter of them foreground; at most 2,000 proposals in training, 1,000
    in test.

    `pretrained` starts from ImageNet weights; `fetch=False` builds that form without its weights,
    for a checkpoint to fill. Other arguments as of `mask_rcnn_small_resnet`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = resnet_fpn(name, pretrained, fetch)
        levels = ["0", "1", "2", "3"]
        anchors = AnchorGenerator(((32,), (64,), (128,), (256,), (512,)), ((0.5, 1.0, 2.0),) * 5)
        rpn = region_proposals(256, anchors, 256, (2000, 1000), (2000, 1000))
        box_pool = MultiScaleRoIAlign(levels, 7, 2)
        roi = box_heads(box_pool, TwoMLPHead(256 * 7 * 7, 1024), 1024, category_count, 512)
        predictor = MaskPredictor(256, category_count, mask_head == "class-agnostic")
        mask = MaskBranch(MultiScaleRoIAlign(levels, 14, 2), 256, 256, predictor)
        transform = GeneralizedRCNNTransform(
            *image_side, IMAGENET_MEAN, IMAGENET_STD, size_divisible=32
        )
        return MaskRCNN(transform, backbone, rpn, [*levels, "pool"], roi, mask)


mask_rcnn_r50_fpn = partial(mask_rcnn_resnet_fpn, "resnet50")
mask_rcnn_r101_fpn = partial(mask_rcnn_resnet_fpn, "resnet101")


def maskx_rcnn_lab(
    category_count: int,
    inputs: TransferInput = "cls+box",
    layers: int = 2,
    activation: Activation = "leaky-relu",
    mlp_layers: int = 1,
    stop_gradient: bool = True,
    embedding: Tensor | None = None,
    seed: int = 0,
) -> MaskRCNN:
    """The lab's Mask^X R-CNN, for scenes of 96 px.

    Args:
        category_count: C, background not counted.
        inputs: what T is given: detection weights "cls", "box" or "cls+box"; "random" vectors;
            an "embedding".
        layers: of T, 1 to 3.
        activation: of T.
        mlp_layers: of the MLP branch, 1 to 3; 0 leaves it out.
        stop_gradient: keep the mask loss from the detection weights.
        embedding: (C, D) float, with `inputs="embedding"`.
        seed: of the initial weights.

    Raises:
        ValueError: an unknown input, or an embedding that does not fit the categories.
    """
    model = mask_rcnn_lab(category_count, "class-agnostic", seed)
    add_weight_transfer(model, inputs, layers, activation, stop_gradient, embedding, seed)
    return add_mlp_branch(model, mlp_layers, LAB_MLP_POOL, seed) if mlp_layers else model


def maskx_rcnn_resnet_fpn(
    name: ResNetName,
    category_count: int,
    inputs: TransferInput = "cls+box",
    layers: int = 2,
    activation: Activation = "leaky-relu",
    mlp_layers: int = 1,
    stop_gradient: bool = True,
    embedding: Tensor | None = None,
    seed: int = 0,
    pretrained: bool = True,
    image_side: tuple[int, int] = (800, 1333),
    fetch: bool = True,
) -> MaskRCNN:
    """Mask^X R-CNN as published (table 2).

    Arguments as of `maskx_rcnn_lab` and `mask_rcnn_resnet_fpn`.
    """
    model = mask_rcnn_resnet_fpn(
        name, category_count, "class-agnostic", seed, pretrained, image_side, fetch
    )
    add_weight_transfer(model, inputs, layers, activation, stop_gradient, embedding, seed)
    return add_mlp_branch(model, mlp_layers, seed=seed) if mlp_layers else model


maskx_rcnn_r50_fpn = partial(maskx_rcnn_resnet_fpn, "resnet50")
maskx_rcnn_r101_fpn = partial(maskx_rcnn_resnet_fpn, "resnet101")


def add_weight_transfer(
    model: MaskRCNN,
    inputs: TransferInput = "cls+box",
    layers: int = 2,
    activation: Activation = "leaky-relu",
    stop_gradient: bool = True,
    embedding: Tensor | None = None,
    seed: int = 0,
) -> MaskRCNN:
    """Replace the mask predictor of `model` by weight transfer; returns the model.

    Arguments and errors are those of `maskx_rcnn_lab`.
    """
    model.mask.predictor = transfer_predictor(
        model.roi.box_predictor, model.mask.width, inputs, layers, activation, stop_gradient,
        embedding, seed,
    )  # fmt: skip
    return model


def transfer_predictor(
    box_predictor: FastRCNNPredictor,
    width: int,
    inputs: TransferInput = "cls+box",
    layers: int = 2,
    activation: Activation = "leaky-relu",
    stop_gradient: bool = True,
    embedding: Tensor | None = None,
    seed: int = 0,
) -> TransferPredictor:
    """Weight transfer for a mask trunk of `width` channels, beside a detector's box predictor.

    Arguments and errors are those of `maskx_rcnn_lab`.
    """
    if inputs not in get_args(TransferInput):
        known = ", ".join(repr(name) for name in get_args(TransferInput))
        raise ValueError(f"input of weight transfer is {inputs!r}; use one of {known}")
    if (embedding is not None) != (inputs == "embedding"):
        raise ValueError(
            f"input of weight transfer is {inputs!r}, and "
            + ("an embedding is given too; " if embedding is not None else "none is given; ")
            + "'embedding' takes one, the others take none"
        )
    rows: ClassWeights | FixedRows
    count = int(box_predictor.cls_score.out_features) - 1
    if embedding is not None:
        rows = FixedRows(embedding, count)
    elif inputs == "random":
        generator = torch.Generator().manual_seed(_seed(seed, _RANDOM))
        rows = FixedRows(random_vectors(count, RANDOM_WIDTH, generator), count)
    elif inputs != "embedding":
        rows = ClassWeights(box_predictor, inputs)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_seed(seed, _TRANSFER))
        transfer = WeightTransfer(rows.width, width, layers, activation)
    return TransferPredictor(rows, transfer, stop_gradient)


def add_mlp_branch(model: MaskRCNN, layers: int = 1, pool: int = 1, seed: int = 0) -> MaskRCNN:
    """Add the class-agnostic MLP branch to the masks of `model`; returns the model.

    Args:
        model: with any mask predictor, class-agnostic or transferred.
        layers: 1 as in the paper's configurations, 2 or 3.
        pool: average the region's map over squares of this side first; 1 does not.
        seed: of the initial weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_seed(seed, _MLP))
        model.mask.mlp = MaskMLP(model.mask.width, model.mask_side, layers, pool=pool)
    return model


def region_proposals(
    channels: int,
    anchors: AnchorGenerator,
    per_image: int,
    before: tuple[int, int],
    after: tuple[int, int],
) -> RegionProposalNetwork:
    """The RPN of all builders.

    Args:
        channels: of the maps.
        anchors: on each level that it reads.
        per_image: anchors sampled of an image in training, half of them foreground at most.
        before: proposals kept of each level before non-maximum suppression, in training and test.
        after: proposals kept of an image after it, likewise.
    """
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


def box_heads(
    pool: MultiScaleRoIAlign, head: nn.Module, width: int, category_count: int, per_image: int
) -> RoIHeads:
    """The box half of torchvision's RoI heads, with the published thresholds.

    `head` maps what `pool` gives of a region to `width` numbers; of an image `per_image` regions
    are sampled in training.

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


def _seed(seed: int, stream: int) -> int:
    """Another seed for each stream: no two parts start from the same numbers."""
    return int(np.random.SeedSequence([seed, stream]).generate_state(1, np.uint64)[0] >> 1)
