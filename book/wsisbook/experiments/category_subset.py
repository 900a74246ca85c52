"""A detector of many categories, cut to its first few for a time and restored afterwards.

How Learning to Segment Every Thing (2018) reaches Visual Genome's 3,000 categories: a detector of
all categories is trained with boxes, cut to background and COCO's 80, given masks of those, and
made whole again, so that weight transfer yields masks for every category. The categories with
masks must be the first ones (`wsislib.data.visual_genome.classes` lays them out so).

    rows = keep_first_categories(model, 80)   # cls: 81 rows, box: 324
    ...                                       # train the masks, detector frozen
    restore_categories(model, rows)           # cls: 3,002 rows, box: 12,008
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor

from wsislib.models.maskrcnn.detector import Detector
from wsislib.models.maskrcnn.mask_branch import MaskPredictor
from wsislib.models.maskrcnn.transfer import ClassWeights, TransferPredictor


@dataclass(frozen=True)
class BoxRows:
    """Copies of the box predictor's weights, D features, background first."""

    cls_weight: Tensor  # (C + 1, D)
    cls_bias: Tensor  # (C + 1,)
    box_weight: Tensor  # (4 (C + 1), D), four rows a category
    box_bias: Tensor  # (4 (C + 1),)

    @property
    def category_count(self) -> int:
        """C, background not counted."""
        return len(self.cls_bias) - 1

    def first(self, category_count: int) -> BoxRows:
        """The rows of background and of the first `category_count` categories."""
        rows = category_count + 1
        return BoxRows(
            self.cls_weight[:rows],
            self.cls_bias[:rows],
            self.box_weight[: 4 * rows],
            self.box_bias[: 4 * rows],
        )


def box_rows(model: Detector) -> BoxRows:
    """Copies of the weights that `model` classifies and places boxes with, on its device."""
    predictor = model.roi.box_predictor
    cls, box = predictor.cls_score, predictor.bbox_pred
    return BoxRows(*(t.detach().clone() for t in (cls.weight, cls.bias, box.weight, box.bias)))


def keep_first_categories(model: Detector, category_count: int) -> BoxRows:
    """Cut `model` to its first categories, in place; everything else in it stays as it is.

    Weight transfer from detection weights then covers those categories alone. Make the optimiser
    afterwards: it must see the new parameters.

    Returns:
        All rows as they were, for `restore_categories`.

    Raises:
        ValueError: the model has fewer categories, or a part that cannot be cut: a mask head with
            weights of its own for each category, or transfer from a fixed embedding.
    """
    whole = box_rows(model)
    if not 1 <= category_count <= whole.category_count:
        raise ValueError(
            f"cannot keep the first {category_count} categories of a detector that has "
            f"{whole.category_count}; keep 1 to {whole.category_count}"
        )
    _set_rows(model, whole.first(category_count))
    return whole


def restore_categories(model: Detector, whole: BoxRows) -> None:
    """Give a cut `model`, whose masks were trained since, back all of its categories, in place.

    Raises:
        ValueError: `whole` is not of this detector: it has fewer categories, other features, or
            other weights for the categories that were kept (they were trained since, or another
            detector's).
    """
    cut = box_rows(model)
    if whole.cls_weight.shape[1] != cut.cls_weight.shape[1]:
        raise ValueError(
            f"the rows to restore have {whole.cls_weight.shape[1]} features, the detector "
            f"{cut.cls_weight.shape[1]}; take those of the same detector"
        )
    if whole.category_count < cut.category_count:
        raise ValueError(
            f"the rows to restore are of {whole.category_count} categories, fewer than the "
            f"detector's {cut.category_count}; take those from before it was cut"
        )
    expected = whole.first(cut.category_count)
    for name in (field.name for field in fields(BoxRows)):
        if not torch.equal(getattr(expected, name).to(cut.cls_bias.device), getattr(cut, name)):
            raise ValueError(
                f"{name} of the kept categories is not what the rows to restore hold: they are "
                "another detector's, or the detector was trained since; freeze it for the masks"
            )
    _set_rows(model, whole)


def _set_rows(model: Detector, rows: BoxRows) -> None:
    """Make `rows` the box predictor of `model`, and let weight transfer see it."""
    transfers = [m for m in model.modules() if isinstance(m, TransferPredictor)]
    if any(isinstance(m, MaskPredictor) and not m.agnostic for m in model.modules()):
        raise ValueError(
            "the mask head has weights of its own for each category, which cannot be cut and "
            "restored; use a class-agnostic head or weight transfer"
        )
    if not all(isinstance(m.rows, ClassWeights) for m in transfers):
        raise ValueError(
            "weight transfer from a fixed embedding has a row for each category, which cannot be "
            "cut and restored; use detection weights, or give it an embedding of the categories"
        )
    predictor = model.roi.box_predictor
    _set_layer(predictor, "cls_score", rows.cls_weight, rows.cls_bias)
    _set_layer(predictor, "bbox_pred", rows.box_weight, rows.box_bias)
    for transfer in transfers:
        assert isinstance(transfer.rows, ClassWeights)
        transfer.rows = ClassWeights(predictor, transfer.rows.inputs)


def _set_layer(predictor: FastRCNNPredictor, name: str, weight: Tensor, bias: Tensor) -> None:
    """A new linear layer of these weights in place of the old one, frozen where that was."""
    old = getattr(predictor, name)
    learns = old.weight.requires_grad
    # On "meta" the layer draws no initial weights: the run's random draws stay as they are.
    layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    layer.weight = nn.Parameter(weight.clone().to(old.weight), requires_grad=learns)
    layer.bias = nn.Parameter(bias.clone().to(old.bias), requires_grad=learns)
    setattr(predictor, name, layer.train(old.training))
