"""The two-stage detector of every model of part one: backbone, RPN and box head, no masks.

Faster R-CNN with a feature pyramid, from torchvision's own parts. Models add mask heads to it:
one (`mask_rcnn.py`) or several side by side (`mask_heads.py`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import (
    RoIHeads,
    expand_boxes,
    expand_masks,
    fastrcnn_loss,
)
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform, resize_boxes

from wsislib.data.sample import Detections, LabelKind, Sample, WindowDetection
from wsislib.models.maskrcnn.mask_branch import crop_mask_targets

Target = dict[str, Tensor]
Features = OrderedDict[str, Tensor]
Sizes = list[tuple[int, int]]

MANY_CATEGORIES = 1000  # from here on a table of proposals x categories is worth avoiding


class Float32RPNHead(RPNHead):
    """torchvision's RPN head with float32 outputs.

    Under bf16 autocast the deltas would otherwise carry 8 bits, too few to place a box.
    """

    def forward(self, x: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Per level: objectness (B, A, H, W) and box deltas (B, 4 A, H, W), float32."""
        logits, deltas = super().forward(x)
        return [t.float() for t in logits], [t.float() for t in deltas]


class PredictingTransform(GeneralizedRCNNTransform):
    """torchvision's transform that brings images to its size only when predicting.

    Training images keep the size that large-scale jitter gave them: resized again, they would all
    be as large as before.
    """

    def resize(self, image: Tensor, target: Target | None = None) -> tuple[Tensor, Target | None]:
        """(3, h, w) and its target, as they are in training."""
        return (image, target) if self.training else super().resize(image, target)


@dataclass(frozen=True)
class SampledRegions:
    """The regions of a training batch of B images, background included.

    Attributes:
        features: name -> (B, channels, H / s, W / s).
        sizes: B pairs (height, width) before padding.
        boxes: B tensors (R_b, 4) xyxy in pixels of the padded batch.
        labels: B tensors (R_b,) int64, 0 background, 1..C categories.
        matched: B tensors (R_b,) int64, which instance each region belongs to.
        targets: of each image, see `_target`.
    """

    features: Features
    sizes: Sizes
    boxes: list[Tensor]
    labels: list[Tensor]
    matched: list[Tensor]
    targets: list[Target]

    def with_masks(self, side: int) -> tuple[list[Tensor], Tensor, Tensor]:
        """The foreground regions whose instance carries a mask.

        Returns:
            B tensors (R_b, 4) of boxes, labels (R,) int64, true masks (R, side, side) in 0..1.
        """
        boxes, labels, truth = [], [], []
        for region, label, match, target in zip(
            self.boxes, self.labels, self.matched, self.targets, strict=True
        ):
            keep = label > 0
            if len(target["has_mask"]):
                keep = keep & target["has_mask"][match]
            boxes.append(region[keep])
            labels.append(label[keep])
            if keep.any():
                truth.append(crop_mask_targets(target["masks"], region[keep], match[keep], side))
        crops = torch.cat(truth) if truth else boxes[0].new_zeros(0, side, side)
        return boxes, torch.cat(labels), crops


@dataclass(frozen=True)
class DetectedRegions:
    """Detections of B images, before any mask.

    Attributes:
        features: name -> (B, channels, H / s, W / s).
        sizes: B pairs (height, width) of the resized images before padding.
        originals: B pairs (height, width) of the images as given.
        boxes: B tensors (N_b, 4) xyxy in pixels of the resized images.
        scores: B tensors (N_b,) in 0..1.
        labels: B tensors (N_b,) int64 in 1..C.
    """

    features: Features
    sizes: Sizes
    originals: Sizes
    boxes: list[Tensor]
    scores: list[Tensor]
    labels: list[Tensor]


class Detector(nn.Module):
    """Boxes of all categories; its subclasses predict masks for them.

    Args:
        transform: normalises, resizes and pads images; maps results back.
        backbone: (B, 3, H, W) -> ordered dict of feature maps.
        rpn: proposes regions.
        rpn_levels: names of the maps that the RPN looks at.
        roi: torchvision's box part of the RoI heads (its mask part is unused).
    """

    def __init__(
        self,
        transform: GeneralizedRCNNTransform,
        backbone: nn.Module,
        rpn: RegionProposalNetwork,
        rpn_levels: Sequence[str],
        roi: RoIHeads,
    ) -> None:
        """Keep the parts; they are built outside (see `wsislib.models.maskrcnn.builders`)."""
        super().__init__()
        self.transform, self.backbone, self.rpn = transform, backbone, rpn
        self.rpn_levels = tuple(rpn_levels)
        self.roi = roi
        self.detector_frozen = False

    def freeze_detector(self) -> Self:
        """Leave only the masks to learn, as in the paper's stage-wise training.

        No gradients for the detector, and no change of its batch norm statistics.
        """
        self.detector_frozen = True
        for part in (self.backbone, self.rpn, self.roi):
            part.requires_grad_(False)
        return self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """As of any module, except that a frozen detector stays in evaluation mode."""
        super().train(mode)
        if self.detector_frozen:
            for part in (self.backbone, self.rpn, self.roi):
                part.eval()
        return self

    def sample_regions(self, batch: Sequence[Sample]) -> tuple[SampledRegions, dict[str, Tensor]]:
        """Regions to learn masks on, and the detector's own losses (none where it is frozen).

        Raises:
            ValueError: a label has no boxes.
        """
        targets = [_target(sample) for sample in batch]
        images, targets = self.transform([s.image for s in batch], targets)
        with torch.set_grad_enabled(not self.detector_frozen):
            features = self.backbone(images.tensors)
            proposals, losses = self._propose(images, features, targets)
            with torch.no_grad():  # proposals are data: boxes learn from the deltas alone
                regions, matched, labels, deltas = self.roi.select_training_samples(
                    proposals, targets
                )
            if not self.detector_frozen:
                region_features = self._region_features(features, regions, images.image_sizes)
                class_logits, box_deltas = self._classify(region_features)
                classifier, box = fastrcnn_loss(class_logits, box_deltas, labels, deltas)
                losses = {**losses, "loss_classifier": classifier, "loss_box_reg": box}
        sizes = images.image_sizes
        return SampledRegions(features, sizes, regions, labels, matched, targets), losses

    @torch.no_grad()
    def detect(self, images: Sequence[Tensor]) -> DetectedRegions:
        """Boxes, scores and labels for images (3, H, W) float32 in 0..1; sizes may differ."""
        originals = [(int(i.shape[-2]), int(i.shape[-1])) for i in images]
        batch, _ = self.transform(list(images))
        features = self.backbone(batch.tensors)
        proposals, _ = self._propose(batch, features, None)
        boxes, scores, labels = self._detect_boxes(features, proposals, batch.image_sizes)
        return DetectedRegions(features, batch.image_sizes, originals, boxes, scores, labels)

    def paste_masks(self, regions: DetectedRegions, logits: Tensor) -> list[Detections]:
        """Detections at the size of each image, from mask logits (N, M, M) of all regions."""
        masks = logits.sigmoid().unsqueeze(1).split([len(b) for b in regions.boxes])
        parts = zip(regions.boxes, regions.scores, regions.labels, masks, strict=True)
        entries = [{"boxes": b, "scores": s, "labels": c, "masks": m} for b, s, c, m in parts]
        # Probabilities are resized, not masks: so 0.5 is crossed between pixels, not cells.
        entries = self.transform.postprocess(entries, regions.sizes, regions.originals)
        return [
            Detections(e["boxes"], e["scores"], e["labels"] - 1, e["masks"][:, 0] > 0.5)
            for e in entries
        ]

    def paste_windows(self, regions: DetectedRegions, logits: Tensor) -> Iterator[WindowDetection]:
        """The detections that `paste_masks` gives of one image, each mask around its box only."""
        height, width = regions.originals[0]
        boxes = resize_boxes(regions.boxes[0], list(regions.sizes[0]), [height, width])
        masks, scale = expand_masks(logits.sigmoid().unsqueeze(1), padding=1)
        outer = expand_boxes(boxes, scale).to(torch.int64).tolist()
        scores, labels = regions.scores[0].tolist(), regions.labels[0].tolist()
        for box, score, label, mask, (x0, y0, x1, y1) in zip(
            boxes, scores, labels, masks, outer, strict=True
        ):
            size = (max(y1 - y0 + 1, 1), max(x1 - x0 + 1, 1))
            pasted = interpolate(mask[None], size=size, mode="bilinear", align_corners=False)[0, 0]
            top, left = max(y0, 0), max(x0, 0)
            inside = pasted[top - y0 : height - y0, left - x0 : width - x0] > 0.5
            yield WindowDetection(box, score, label - 1, top, left, inside)

    def _propose(
        self, images: ImageList, features: Features, targets: list[Target] | None
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Regions B x (R, 4) and, in training, the two RPN losses."""
        levels = OrderedDict((name, features[name]) for name in self.rpn_levels)
        return self.rpn(images, levels, targets)

    def _detect_boxes(
        self, features: Features, proposals: list[Tensor], sizes: Sizes
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Boxes, scores and labels of each image's detections, by torchvision's own steps.

        They hold a box of every category for every proposal several times over, so with very many
        categories the images take turns.
        """
        x = self._region_features(features, proposals, sizes)  # (R, D)
        if self.roi.box_predictor.cls_score.out_features <= MANY_CATEGORIES:
            return self.roi.postprocess_detections(*self._classify(x), proposals, sizes)
        detected: tuple[list[Tensor], list[Tensor], list[Tensor]] = [], [], []
        parts = x.split([len(boxes) for boxes in proposals])
        for part, boxes, size in zip(parts, proposals, sizes, strict=True):
            one = self.roi.postprocess_detections(*self._classify(part), [boxes], [size])
            for all_images, of_image in zip(detected, one, strict=True):
                all_images.extend(of_image)
        return detected

    def _region_features(self, features: Features, regions: list[Tensor], sizes: Sizes) -> Tensor:
        """(R, D), the box head's features of each region."""
        return self.roi.box_head(self.roi.box_roi_pool(features, regions, sizes))

    def _classify(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits (R, C + 1) and box deltas (R, 4 (C + 1)), float32."""
        logits, deltas = self.roi.box_predictor(x)
        return logits.float(), deltas.float()


def _target(sample: Sample) -> Target:
    """Our label as torchvision's target; categories become 1..C, 0 being background.

    Images without any mask have no entry "masks", so that nothing is resized in vain.
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
