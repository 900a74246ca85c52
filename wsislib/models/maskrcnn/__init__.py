"""Mask R-CNN and Mask^X R-CNN: detector, mask heads and the weight transfer function."""

from wsislib.models.maskrcnn.builders import (
    add_mlp_branch,
    add_weight_transfer,
    mask_rcnn_lab,
    mask_rcnn_r50_fpn,
    mask_rcnn_r101_fpn,
    mask_rcnn_small,
    maskx_rcnn_lab,
    maskx_rcnn_r50_fpn,
    maskx_rcnn_r101_fpn,
)
from wsislib.models.maskrcnn.detector import Detector
from wsislib.models.maskrcnn.lite_builders import mask_rcnn_lite, maskx_rcnn_lite
from wsislib.models.maskrcnn.mask_branch import MaskBranch
from wsislib.models.maskrcnn.mask_heads import MaskHeads
from wsislib.models.maskrcnn.mask_rcnn import MaskRCNN
from wsislib.models.maskrcnn.transfer import TransferPredictor, WeightTransfer

__all__ = [
    "Detector", "MaskBranch", "MaskHeads", "MaskRCNN", "TransferPredictor", "WeightTransfer",
    "add_mlp_branch", "add_weight_transfer", "mask_rcnn_lab", "mask_rcnn_lite",
    "mask_rcnn_r101_fpn", "mask_rcnn_r50_fpn", "mask_rcnn_small", "maskx_rcnn_lab",
    "maskx_rcnn_lite", "maskx_rcnn_r101_fpn", "maskx_rcnn_r50_fpn"
]  # fmt: skip
