"""Masks and names that a model predicts for true boxes: its knowledge apart from finding objects.

AP asks three things at once: is the object found, is it named, is it outlined? With thousands of
categories the second is so hard that AP says little about the third. Here boxes and categories are
given. The world knows them for every category, so what Learning to Segment Every Thing could only
show in pictures (its section 5) can be measured.

    judged = judge_true_boxes(model, dataset, device=device)
    judged.quality("cls-box", split.b)["IoU"]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsisbook.experiments.training import mask_iou, sample_batches
from wsislib.data.sample import Dataset, LabelKind, Sample
from wsislib.engine.predict import Result, encode_masks
from wsislib.models.maskrcnn.detector import DetectedRegions, Detector
from wsislib.models.maskrcnn.mask_branch import MaskBranch
from wsislib.models.maskrcnn.mask_heads import MaskHeads
from wsislib.models.maskrcnn.mask_rcnn import MaskRCNN

THRESHOLDS = np.linspace(0.5, 0.95, 10)  # COCO's
ONLY_HEAD = "mask"  # how the one branch of a Mask R-CNN is called


@dataclass
class TrueBoxes:
    """N instances with masks, each judged in its true box."""

    image_ids: list[int] = field(default_factory=list)
    categories: list[int] = field(default_factory=list)  # (N,) indices
    places: list[int] = field(default_factory=list)  # categories ranked before the true one
    iou: dict[str, list[float]] = field(default_factory=dict)  # head -> (N,) with the true mask
    # COCO results of the chosen instances, with "head" and "iou"
    examples: list[Result] = field(default_factory=list)

    def quality(self, head: str, members: Sequence[int] | None = None) -> dict[str, float]:
        """How well a head outlines the categories `members` (all if None).

        Returns:
            IoU: mean of the categories' mean IoU, 0..100. AR: COCO's recall at IoU 0.50, 0.55,
            ... 0.95, mean over thresholds and categories, 0..100. NaN without instances.
        """
        values, groups = self._of(np.asarray(self.iou[head]), members)
        recall = (values[:, None] >= THRESHOLDS).mean(axis=1)
        return {"IoU": _mean_of_groups(values, groups), "AR": _mean_of_groups(recall, groups)}

    def naming(self, members: Sequence[int] | None = None, first: int = 1) -> float:
        """Share of instances whose category is among the classifier's `first`, 0..100.

        Mean over categories, as AP is; NaN without instances.
        """
        values, groups = self._of(np.asarray(self.places) < first, members)
        return _mean_of_groups(values.astype(np.float64), groups)

    def counts(self, members: Sequence[int] | None = None) -> dict[str, int]:
        """How many instances there are, and of how many categories."""
        _, groups = self._of(np.zeros(len(self.categories)), members)
        return {"instances": len(groups), "categories": len(np.unique(groups))}

    def table(self) -> pd.DataFrame:
        """One line an instance: image_id, category, place, and an IoU for each head."""
        columns = {"image_id": self.image_ids, "category": self.categories, "place": self.places}
        ious = {f"IoU.{head}": np.round(values, 3) for head, values in self.iou.items()}
        return pd.DataFrame({**columns, **ious})

    def _of(
        self, values: NDArray[Any], members: Sequence[int] | None
    ) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """The values of the instances of `members`, and their categories."""
        groups = np.asarray(self.categories, dtype=np.int64)
        if members is None:
            return values, groups
        chosen = np.isin(groups, list(members))
        return values[chosen], groups[chosen]


def judge_true_boxes(
    model: MaskRCNN | MaskHeads,
    dataset: Dataset,
    *,
    device: torch.device,
    examples: Mapping[int, Sequence[int]] | None = None,
    batch_size: int = 8,
    progress: bool = True,
) -> TrueBoxes:
    """Give `model` the true boxes and categories of `dataset` and judge its masks, in float32.

    The model is moved to `device` and left in evaluation mode. `examples` are image id -> places
    in its label of the instances whose predicted masks are returned.
    """
    model.to(device).eval()
    heads = branches(model)
    judged = TrueBoxes(iou={name: [] for name in heads})
    with torch.inference_mode():
        for samples in sample_batches(dataset, "true boxes", progress, batch_size):
            for sample in samples:
                if sample.label.kind != LabelKind.MASK:
                    raise ValueError(
                        f"image {sample.image_id}: masks in true boxes are judged against true "
                        f"masks, but its label is of kind {sample.label.kind.name}; take a data "
                        "set that has masks"
                    )
            _judge(model, heads, [sample.to(device) for sample in samples], judged, examples)
    for example in judged.examples:  # category index to the data set's id
        example["category_id"] = dataset.categories[example["category_id"]].id
    return judged


def branches(model: MaskRCNN | MaskHeads) -> dict[str, MaskBranch]:
    """The mask branches of a model by name; the only one of a Mask R-CNN is called "mask"."""
    if isinstance(model, MaskHeads):
        return {name: cast("MaskBranch", head) for name, head in model.heads.items()}
    return {ONLY_HEAD: model.mask}


def true_regions(model: Detector, samples: Sequence[Sample]) -> DetectedRegions:
    """The boxes and categories of some images' labels as if `model` had detected them, scores 1."""
    originals = [(int(s.image.shape[-2]), int(s.image.shape[-1])) for s in samples]
    targets = [{"boxes": s.label.boxes, "labels": s.label.categories + 1} for s in samples]
    batch, targets = model.transform([s.image for s in samples], targets)
    features = model.backbone(batch.tensors)
    boxes, labels = ([t[name] for t in targets] for name in ("boxes", "labels"))
    scores = [torch.ones(len(of_image), device=of_image.device) for of_image in boxes]
    return DetectedRegions(features, batch.image_sizes, originals, boxes, scores, labels)


def places(model: Detector, regions: DetectedRegions) -> Tensor:
    """(N,) int64, how many categories the classifier puts before the region's own."""
    pooled = model.roi.box_roi_pool(regions.features, regions.boxes, regions.sizes)
    logits, _ = model.roi.box_predictor(model.roi.box_head(pooled))  # (N, C + 1)
    true = logits.gather(1, torch.cat(regions.labels)[:, None])  # (N, 1)
    return (logits[:, 1:] > true).sum(dim=1)


def _judge(
    model: MaskRCNN | MaskHeads,
    heads: Mapping[str, MaskBranch],
    samples: Sequence[Sample],
    judged: TrueBoxes,
    examples: Mapping[int, Sequence[int]] | None,
) -> None:
    """Add what `model` predicts in some images' true boxes."""
    samples = [sample for sample in samples if len(sample.label)]
    if not samples:
        return
    regions = true_regions(model, samples)
    labels = torch.cat(regions.labels)
    judged.places += places(model, regions).tolist()
    judged.categories += (labels - 1).tolist()
    for sample in samples:
        judged.image_ids += [sample.image_id] * len(sample.label)
    # All heads read the same pooled features, so any of them may pool.
    pooled = next(iter(heads.values())).pool(regions.features, regions.boxes, regions.sizes)
    for name, head in heads.items():
        predicted = model.paste_masks(regions, head.logits(pooled, labels))
        for sample, detections in zip(samples, predicted, strict=True):
            assert sample.label.masks is not None
            overlap = mask_iou(detections.masks, sample.label.masks)
            judged.iou[name] += overlap.tolist()
            for place in (examples or {}).get(sample.image_id, ()):
                judged.examples.append(
                    {
                        "image_id": sample.image_id,
                        "category_id": int(sample.label.categories[place]),
                        "bbox": _xywh(detections.boxes[place]),
                        "score": 1.0,
                        "segmentation": encode_masks(detections.masks[place : place + 1])[0],
                        "head": name,
                        "iou": round(float(overlap[place]), 3),
                        "given": "box",
                    }
                )


def _xywh(box: Tensor) -> list[float]:
    x0, y0, x1, y1 = box.tolist()
    return [round(value, 2) for value in (x0, y0, x1 - x0, y1 - y0)]


def _mean_of_groups(values: NDArray[Any], groups: NDArray[np.int64]) -> float:
    """100 times the mean over groups of the mean within; NaN where there is nothing."""
    if not len(groups):
        return float("nan")
    _, place = np.unique(groups, return_inverse=True)
    means = np.bincount(place, weights=values) / np.bincount(place)
    return 100 * float(means.mean())
