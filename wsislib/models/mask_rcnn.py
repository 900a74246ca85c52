"""Mask R-CNN from torchvision's own parts, with masks for only some of the instances.

He et al., "Mask R-CNN" (2017), in the partially supervised form of Hu et al., "Learning to
Segment Every Thing" (2018), section 3: the boxes of all categories train the detector, the mask
loss sees only instances that carry a mask.

Deliberate deviation from the authors' code: a region learns the mask of the instance that it is
matched to. Theirs takes the polygon that overlaps the region most among *all* categories, which
can hand a region a mask of a category that should have none.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads, fastrcnn_loss
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from wsislib.data.sample import Detections, LabelKind, Sample
from wsislib.losses.mask import region_mask_loss
from wsislib.models.mask_branch import MaskBranch, mask_targets

Target = dict[str, Tensor]
Features = OrderedDict[str, Tensor]


class Float32RPNHead(RPNHead):
    """torchvision's RPN head whose answers leave in float32.

    Under bf16 autocast the deltas would otherwise carry 8 bits, too few to place a box.
    """

    def forward(self, x: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Per level: objectness (B, A, H, W) and box deltas (B, 4 A, H, W), float32."""
        logits, deltas = super().forward(x)
        return [t.float() for t in logits], [t.float() for t in deltas]


class MaskRCNN(nn.Module):
    """Two-stage detector with a mask branch, behind the two-method protocol.

    Args:
        transform: normalises, resizes and pads images; maps answers back.
        backbone: (B, 3, H, W) -> ordered dict of feature maps.
        rpn: proposes regions.
        rpn_levels: names of the maps that the RPN looks at.
        roi: torchvision's box part of the RoI heads (its mask part is unused).
        mask: the mask branch.
    """

    def __init__(
        self,
        transform: GeneralizedRCNNTransform,
        backbone: nn.Module,
        rpn: RegionProposalNetwork,
        rpn_levels: Sequence[str],
        roi: RoIHeads,
        mask: MaskBranch,
    ) -> None:
        """Keep the parts; they are built outside (see `wsislib.models.builders`)."""
        super().__init__()
        self.transform, self.backbone, self.rpn = transform, backbone, rpn
        self.rpn_levels = tuple(rpn_levels)
        self.roi, self.mask = roi, mask
        self.detector_frozen = False

    def freeze_detector(self) -> MaskRCNN:
        """Leave only the mask branch to learn, as in the paper's stage-wise training.

        The detector then stands still altogether: no gradients, and no batch norm statistics.
        """
        self.detector_frozen = True
        for part in (self.backbone, self.rpn, self.roi):
            part.requires_grad_(False)
        return self.train(self.training)

    def train(self, mode: bool = True) -> MaskRCNN:
        """As of any module, except that a frozen detector stays in evaluation mode."""
        super().train(mode)
        if self.detector_frozen:
            for part in (self.backbone, self.rpn, self.roi):
                part.eval()
        return self

    def losses(self, batch: Sequence[Sample]) -> dict[str, Tensor]:
        """Named, unweighted losses of a batch.

        Returns:
            loss_objectness, loss_rpn_box_reg, loss_classifier, loss_box_reg and loss_mask, each a
            float32 scalar; loss_mask alone where the detector is frozen. It is 0, with a gradient
            path, where no instance carries a mask.

        Raises:
            ValueError: a label has no boxes.
        """
        targets = [_target(sample) for sample in batch]
        images, targets = self.transform([s.image for s in batch], targets)
        with torch.set_grad_enabled(not self.detector_frozen):
            features = self.backbone(images.tensors)
            proposals, losses = self._propose(images, features, targets)
            with torch.no_grad():
                regions, matched, labels, deltas = self.roi.select_training_samples(
                    proposals, targets
                )
            if not self.detector_frozen:
                class_logits, box_deltas = self._classify(features, regions, images.image_sizes)
                classifier, box = fastrcnn_loss(class_logits, box_deltas, labels, deltas)
                losses = {**losses, "loss_classifier": classifier, "loss_box_reg": box}
        mask = self._mask_loss(features, images, regions, matched, labels, targets)
        return {**losses, "loss_mask": mask}

    @torch.no_grad()
    def predict(self, images: Sequence[Tensor]) -> list[Detections]:
        """Detections for images (3, H, W) float32 in 0..1; sizes may differ."""
        originals = [(int(i.shape[-2]), int(i.shape[-1])) for i in images]
        batch, _ = self.transform(list(images))
        features = self.backbone(batch.tensors)
        proposals, _ = self._propose(batch, features, None)
        class_logits, box_deltas = self._classify(features, proposals, batch.image_sizes)
        boxes, scores, labels = self.roi.postprocess_detections(
            class_logits, box_deltas, proposals, batch.image_sizes
        )
        logits = self.mask(features, boxes, batch.image_sizes, torch.cat(labels))
        masks = logits.sigmoid().unsqueeze(1).split([len(b) for b in boxes])  # B x (N, 1, 28, 28)
        found = [
            {"boxes": b, "scores": s, "labels": c, "masks": m}
            for b, s, c, m in zip(boxes, scores, labels, masks, strict=True)
        ]
        found = self.transform.postprocess(found, batch.image_sizes, originals)
        return [
            Detections(f["boxes"], f["scores"], f["labels"] - 1, f["masks"][:, 0] > 0.5)
            for f in found
        ]

    def _propose(
        self, images: ImageList, features: Features, targets: list[Target] | None
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Regions B x (R, 4) and, in training, the two RPN losses."""
        levels = OrderedDict((name, features[name]) for name in self.rpn_levels)
        return self.rpn(images, levels, targets)

    def _classify(
        self, features: Features, regions: list[Tensor], sizes: list[tuple[int, int]]
    ) -> tuple[Tensor, Tensor]:
        """Class logits (R, C + 1) and box deltas (R, 4 (C + 1)), float32."""
        pooled = self.roi.box_roi_pool(features, regions, sizes)  # (R, channels, 7, 7)
        logits, deltas = self.roi.box_predictor(self.roi.box_head(pooled))
        return logits.float(), deltas.float()

    def _mask_loss(
        self,
        features: Features,
        images: ImageList,
        regions: list[Tensor],
        matched: list[Tensor],
        labels: list[Tensor],
        targets: list[Target],
    ) -> Tensor:
        """Mask loss over foreground regions whose instance carries a mask."""
        boxes, own, truth = [], [], []
        side = self.mask_side
        for region, match, label, target in zip(regions, matched, labels, targets, strict=True):
            keep = label > 0
            if len(target["has_mask"]):
                keep = keep & target["has_mask"][match]
            boxes.append(region[keep])
            own.append(label[keep])
            if keep.any():
                truth.append(mask_targets(target["masks"], region[keep], match[keep], side))
        logits = self.mask(features, boxes, images.image_sizes, torch.cat(own))
        cut = torch.cat(truth) if truth else logits.new_zeros(0, side, side)
        return region_mask_loss(logits, cut)

    @property
    def mask_side(self) -> int:
        """M of the M x M mask grid: twice the pooled side, by the up-convolution."""
        return 2 * int(self.mask.pool.output_size[0])


def _target(sample: Sample) -> Target:
    """Our label as torchvision's target; categories become 1..C, 0 being background.

    Images without any mask get an empty stack, so that nothing is resized for nothing.
    """
    label = sample.label
    if label.boxes is None or label.kind < LabelKind.BOX:
        raise ValueError(
            f"image {sample.image_id}: Mask R-CNN learns from boxes (and masks), but its label is "
            f"of kind {label.kind.name}. Give boxes, or train a model that takes such labels."
        )
    target = {"boxes": label.boxes, "labels": label.categories + 1, "has_mask": label.has_mask}
    if label.masks is not None and bool(label.has_mask.any()):
        target["masks"] = label.masks.to(torch.uint8)
    return target
