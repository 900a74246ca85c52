"""Builders of part one's models for photographs on a machine without a GPU, from ImageNet.

The other builders, and what makes a Mask R-CNN a Mask^X R-CNN, are in `builders`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import TwoMLPHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import MultiScaleRoIAlign

from wsislib.models.efficientnet_lite import (
    LITE_MEAN,
    LITE_STD,
    LiteFPN,
    LiteName,
    efficientnet_lite,
)
from wsislib.models.maskrcnn.builders import (
    MaskHead,
    TransferInput,
    add_mlp_branch,
    add_weight_transfer,
    box_heads,
    region_proposals,
)
from wsislib.models.maskrcnn.detector import PredictingTransform
from wsislib.models.maskrcnn.mask_branch import MaskBranch, MaskPredictor
from wsislib.models.maskrcnn.mask_rcnn import MaskRCNN
from wsislib.models.maskrcnn.transfer import Activation

# The paper's layer would hold 59 M weights here, beside a detector of 5 M: more than a few thousand
# masks can teach, and more than all else of a step costs. Averaged over 2 x 2 it is 15 M.
LITE_MLP_POOL = 2


def mask_rcnn_lite(
    category_count: int,
    mask_head: MaskHead = "class-agnostic",
    seed: int = 0,
    image_side: tuple[int, int] = (240, 320),
    fetch: bool = True,
    name: LiteName = "lite0",
    frozen_stages: int = 2,
    jittered: bool = False,
) -> MaskRCNN:
    """A Mask R-CNN for photographs on a machine without a GPU, from ImageNet.

    Args:
        category_count: C, background not counted.
        mask_head: one mask map for all categories, or one each.
        seed: of the initial weights that are not ImageNet's.
        image_side: shortest side wanted and longest side allowed, pixels; anchors go with it.
        fetch: False builds it without ImageNet's weights, for a checkpoint to fill.
        name: lite0, lite1 or lite2.
        frozen_stages: of the backbone, stem included.
        jittered: training images come from large-scale jitter and keep their size; else they are
            brought to `image_side` as in prediction.

    Raises:
        ValueError: the package with the weights is not installed.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = LiteFPN(efficientnet_lite(name, 4, frozen_stages, fetch), 96)
        levels = ["0", "1", "2", "3"]
        sides = tuple((round(share * image_side[1]),) for share in (0.05, 0.1, 0.2, 0.4, 0.8))
        anchors = AnchorGenerator(sides, ((0.5, 1.0, 2.0),) * len(sides))
        rpn = region_proposals(96, anchors, 128, (400, 400), (200, 200))
        # A box of 28 px is pooled from stride 4 for its class, one of 56 px for its mask: then a
        # cell of the grid is about a cell of the map.
        box_pool = MultiScaleRoIAlign(levels, 7, 1, canonical_scale=112, canonical_level=4)
        mask_pool = MultiScaleRoIAlign(levels, 14, 1, canonical_scale=224, canonical_level=4)
        roi = box_heads(box_pool, TwoMLPHead(96 * 7 * 7, 256), 256, category_count, 64)
        predictor = MaskPredictor(96, category_count, mask_head == "class-agnostic")
        mask = MaskBranch(mask_pool, 96, 96, predictor)
        framing = PredictingTransform if jittered else GeneralizedRCNNTransform
        transform = framing(*image_side, LITE_MEAN, LITE_STD, size_divisible=32)
        return MaskRCNN(transform, backbone, rpn, [*levels, "pool"], roi, mask)


def maskx_rcnn_lite(
    category_count: int,
    inputs: TransferInput = "cls+box",
    layers: int = 2,
    activation: Activation = "leaky-relu",
    mlp_layers: int = 1,
    stop_gradient: bool = True,
    embedding: Tensor | None = None,
    seed: int = 0,
    image_side: tuple[int, int] = (240, 320),
    fetch: bool = True,
    name: LiteName = "lite0",
    frozen_stages: int = 2,
) -> MaskRCNN:
    """A Mask^X R-CNN on `mask_rcnn_lite`.

    Arguments and errors as of `maskx_rcnn_lab` and `mask_rcnn_lite`.
    """
    model = mask_rcnn_lite(
        category_count, "class-agnostic", seed, image_side, fetch, name, frozen_stages
    )
    add_weight_transfer(model, inputs, layers, activation, stop_gradient, embedding, seed)
    return add_mlp_branch(model, mlp_layers, LITE_MLP_POOL, seed) if mlp_layers else model
