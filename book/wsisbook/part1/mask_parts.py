"""What the two parts of a fused mask head see, for a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wsisbook.experiments.true_boxes import true_regions
from wsislib.data.sample import Detections, Label, LabelKind, Sample
from wsislib.models.maskrcnn.detector import DetectedRegions
from wsislib.models.maskrcnn.mask_rcnn import MaskRCNN


@dataclass(frozen=True)
class MaskParts:
    """The detections of one image, and the two parts of each mask before their sum.

    Attributes:
        detections: N instances, as `predict` gives them.
        fcn: (N, M, M) float32 logits of the convolutional part, on the grid of the box.
        mlp: (N, M, M) float32 logits of the fully connected part; zeros without that branch.
    """

    detections: Detections
    fcn: Tensor
    mlp: Tensor


@torch.no_grad()
def mask_parts(model: MaskRCNN, images: Sequence[Tensor]) -> list[MaskParts]:
    """Detect in `images` (3, H, W) float32 in 0..1 and keep both parts of every mask.

    Learning to Segment Every Thing, section 3.4: the fully connected part should give the gist
    of an object and the convolutional one its detail.
    """
    return _apart(model, model.detect(images))


@torch.no_grad()
def parts_in_boxes(model: MaskRCNN, image: Tensor, boxes: Tensor, categories: Tensor) -> MaskParts:
    """Both parts of the masks that `model`, in evaluation mode, draws into given boxes.

    A box may be given several times under different categories: so one sees what the category
    alone changes.

    Args:
        model: its detector is passed by; its scores are all 1.
        image: (3, H, W) float32 in 0..1.
        boxes: (N, 4) xyxy in pixels of the image.
        categories: (N,) int64 in 0..C-1.

    Raises:
        ValueError: the model is in training mode.
    """
    if model.training:
        raise ValueError("the model is in training mode; call model.eval() first")
    label = Label(LabelKind.BOX, categories, boxes=boxes.float())
    return _apart(model, true_regions(model, [Sample(image, 0, label)]))[0]


def _apart(model: MaskRCNN, found: DetectedRegions) -> list[MaskParts]:
    pooled = model.mask.pool(found.features, found.boxes, found.sizes)
    fcn, mlp = model.mask.logit_parts(pooled, torch.cat(found.labels))  # (N, M, M) of all images
    total = fcn if mlp is None else fcn + mlp
    counts = [len(boxes) for boxes in found.boxes]
    shown = torch.zeros_like(fcn) if mlp is None else mlp
    return [
        MaskParts(detections, own_fcn, own_mlp)
        for detections, own_fcn, own_mlp in zip(
            model.paste_masks(found, total), fcn.split(counts), shown.split(counts), strict=True
        )
    ]
