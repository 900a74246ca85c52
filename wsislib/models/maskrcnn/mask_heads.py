"""Several mask heads side by side on the regions of one frozen detector.

Learning to Segment Every Thing, section 4.2, trains stage by stage: a detector first, then a mask
head over its frozen features. Features and regions of a step are the same for every head, so here
they are computed once for all. Each head has the loss and the gradient that it has alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from wsislib.data.sample import Detections, Sample
from wsislib.losses.masks import region_mask_loss
from wsislib.models.maskrcnn.detector import DetectedRegions, Detector
from wsislib.models.maskrcnn.mask_branch import MaskBranch
from wsislib.models.maskrcnn.mask_rcnn import MaskRCNN

HEAD_NAME = re.compile(r"[a-z0-9][a-z0-9_+-]*")


class MaskHeads(Detector):
    """A frozen detector with named mask branches, behind the two-method protocol.

    Attributes:
        heads: name -> `MaskBranch`.
        shown: whose masks `predict` gives; the first head's until it is set.
    """

    learns: Tensor

    def __init__(
        self,
        detector: Detector,
        heads: Mapping[str, MaskBranch],
        learns: Mapping[str, Tensor],
    ) -> None:
        """Take the parts of `detector` over and freeze them.

        Args:
            detector: its mask branch, where it has one, is not used.
            heads: name (small letters, digits, "_", "+", "-") -> branch. All pool alike. Weight
                transfer in them reads the box predictor of `detector`.
            learns: head -> (C,) bool, the categories whose masks it may learn from.

        Raises:
            ValueError: no head, a name that cannot be used, or heads that pool differently.
        """
        super().__init__(
            detector.transform, detector.backbone, detector.rpn, detector.rpn_levels, detector.roi
        )
        _check(heads)
        self.heads = nn.ModuleDict(heads)
        rows = [torch.cat([learns[n].new_zeros(1), learns[n]]).bool() for n in heads]
        self.register_buffer("learns", torch.stack(rows), persistent=False)  # (heads, C + 1)
        self.shown = next(iter(heads))
        self.freeze_detector()

    def losses(self, batch: Sequence[Sample]) -> dict[str, Tensor]:
        """`loss_mask.<head>` of every head, float32 scalars, unweighted.

        One is 0, with a gradient path, where no instance carries a mask that its head may see.

        Raises:
            ValueError: a label has no boxes.
        """
        regions, _ = self.sample_regions(batch)
        boxes, labels, truth = regions.with_masks(self._first.side)
        pooled = self._first.pool(regions.features, boxes, regions.sizes)  # (R, channels, 14, 14)
        losses = {}
        for (name, head), learns in zip(self._branches(), self.learns, strict=True):
            learnt = learns[labels]  # (R,) bool
            logits = head.logits(pooled[learnt], labels[learnt])
            losses[f"loss_mask.{name}"] = region_mask_loss(logits, truth[learnt])
        return losses

    @torch.no_grad()
    def predict(self, images: Sequence[Tensor]) -> list[Detections]:
        """Detections with the masks of the head `shown`; images as of `MaskRCNN.predict`."""
        regions, pooled = self._regions(images)
        return self._detections(self.shown, regions, pooled)

    @torch.no_grad()
    def predict_each(self, images: Sequence[Tensor]) -> dict[str, list[Detections]]:
        """Detections with the masks of every head; they differ in nothing but the masks."""
        regions, pooled = self._regions(images)
        return {name: self._detections(name, regions, pooled) for name, _ in self._branches()}

    def single(self, name: str) -> MaskRCNN:
        """One head with the detector, as a Mask R-CNN that shares their weights."""
        model = MaskRCNN(
            self.transform, self.backbone, self.rpn, self.rpn_levels, self.roi, self._head(name)
        )
        return model.train(self.training).freeze_detector()

    def _regions(self, images: Sequence[Tensor]) -> tuple[DetectedRegions, Tensor]:
        regions = self.detect(images)
        return regions, self._first.pool(regions.features, regions.boxes, regions.sizes)

    def _detections(self, name: str, regions: DetectedRegions, pooled: Tensor) -> list[Detections]:
        logits = self._head(name).logits(pooled, torch.cat(regions.labels))
        return self.paste_masks(regions, logits)

    def _branches(self) -> list[tuple[str, MaskBranch]]:
        return [(name, cast(MaskBranch, head)) for name, head in self.heads.items()]

    @property
    def _first(self) -> MaskBranch:
        return self._branches()[0][1]

    def _head(self, name: str) -> MaskBranch:
        if name not in self.heads:
            raise ValueError(f"no mask head {name!r}; there are {', '.join(self.heads)}")
        return cast(MaskBranch, self.heads[name])


def _check(heads: Mapping[str, MaskBranch]) -> None:
    """Raise unless the heads can stand side by side."""
    if not heads:
        raise ValueError("no mask head is given; at least one is needed")
    for name in heads:
        if not HEAD_NAME.fullmatch(name) or hasattr(nn.ModuleDict, name):
            raise ValueError(
                f"mask head {name!r}: take another name, of small letters, digits, '_', '+', '-' "
                "(and not one of a module's own methods)"
            )
    pools = {_pooling(head) for head in heads.values()}
    if len(pools) > 1:
        raise ValueError(
            f"mask heads side by side must pool regions alike, but they differ: {pools}"
        )


def _pooling(head: MaskBranch) -> tuple[object, ...]:
    pool = head.pool
    return (
        tuple(pool.featmap_names), tuple(pool.output_size), pool.sampling_ratio,
        pool.canonical_scale, pool.canonical_level,
    )  # fmt: skip
