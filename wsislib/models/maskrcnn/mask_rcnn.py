"""Mask R-CNN from torchvision's own parts, with masks for only some of the instances.

He et al., "Mask R-CNN" (2017), in the partially supervised form of Hu et al., "Learning to
Segment Every Thing" (2018), section 3: the boxes of all categories train the detector, the mask
loss sees only instances that carry a mask. With a `TransferPredictor` in its mask branch it is
Mask^X R-CNN.

Deliberate deviation from the authors' code: a region learns the mask of the instance that it is
matched to. Theirs takes the polygon that overlaps the region most among *all* categories, which
can hand a region a mask of a category that should have none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from wsislib.data.sample import Detections, Sample, WindowDetection
from wsislib.losses.masks import region_mask_loss
from wsislib.models.maskrcnn.detector import DetectedRegions, Detector
from wsislib.models.maskrcnn.mask_branch import MaskBranch


class MaskRCNN(Detector):
    """Two-stage detector with a mask branch, behind the two-method protocol.

    Args:
        mask: the mask branch; the others are those of `Detector`.
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
        """Keep the parts; they are built outside (see `wsislib.models.maskrcnn.builders`)."""
        super().__init__(transform, backbone, rpn, rpn_levels, roi)
        self.mask = mask

    def losses(self, batch: Sequence[Sample]) -> dict[str, Tensor]:
        """Named, unweighted losses of a batch.

        Returns:
            loss_objectness, loss_rpn_box_reg, loss_classifier, loss_box_reg and loss_mask, each a
            float32 scalar; loss_mask alone where the detector is frozen. It is 0, with a gradient
            path, where no instance carries a mask.

        Raises:
            ValueError: a label has no boxes.
        """
        regions, losses = self.sample_regions(batch)
        boxes, labels, truth = regions.with_masks(self.mask_side)
        logits = self.mask(regions.features, boxes, regions.sizes, labels)  # (R, M, M)
        return {**losses, "loss_mask": region_mask_loss(logits, truth)}

    @torch.no_grad()
    def predict(self, images: Sequence[Tensor]) -> list[Detections]:
        """Detections for images (3, H, W) float32 in 0..1; sizes may differ."""
        regions = self.detect(images)
        return self.paste_masks(regions, self._mask_logits(regions))

    @torch.no_grad()
    def predict_windows(self, image: Tensor) -> Iterator[WindowDetection]:
        """The detections that `predict` gives of one image (3, H, W), one at a time."""
        regions = self.detect([image])
        yield from self.paste_windows(regions, self._mask_logits(regions))

    def _mask_logits(self, regions: DetectedRegions) -> Tensor:
        """(N, M, M) of the detections of all images."""
        labels = torch.cat(regions.labels)
        return self.mask(regions.features, regions.boxes, regions.sizes, labels)

    @property
    def mask_side(self) -> int:
        """M of the M x M mask grid."""
        return self.mask.side
