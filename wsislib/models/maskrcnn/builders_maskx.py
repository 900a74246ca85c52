"""Mask^X R-CNN, and what makes one of a Mask R-CNN: weight transfer and the MLP branch.

    model = mask_rcnn_lab(80)                     # the class-agnostic baseline
    add_weight_transfer(model, inputs="cls+box")        # "transfer"
    add_mlp_branch(model, pool=2)                       # "transfer + MLP": Mask^X R-CNN

Detector and mask trunk keep the initial weights that they have without, so that rows of a table
differ in what they are about and in nothing else.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor

from wsislib.models.maskrcnn.builders import mask_rcnn_lab, mask_rcnn_r50_fpn, mask_rcnn_r101_fpn
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

TransferInput = Literal["cls", "box", "cls+box", "random", "embedding"]
RANDOM_WIDTH = 300  # values in a random vector, as in a word vector
LAB_MLP_POOL = 2  # at 96 px the paper's layer would hold 39 M weights beside a 1.8 M detector
_TRANSFER, _RANDOM, _MLP = 1, 2, 3  # streams of random numbers under one seed


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


def maskx_rcnn_r50_fpn(
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
    """Mask^X R-CNN R-50-FPN as published (table 2): arguments as of `maskx_rcnn_lab`."""
    model = mask_rcnn_r50_fpn(category_count, "class-agnostic", seed, pretrained, image_side, fetch)
    add_weight_transfer(model, inputs, layers, activation, stop_gradient, embedding, seed)
    return add_mlp_branch(model, mlp_layers, seed=seed) if mlp_layers else model


def maskx_rcnn_r101_fpn(
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
    """Mask^X R-CNN R-101-FPN as published (table 2): arguments as of `maskx_rcnn_lab`."""
    model = mask_rcnn_r101_fpn(
        category_count, "class-agnostic", seed, pretrained, image_side, fetch
    )
    add_weight_transfer(model, inputs, layers, activation, stop_gradient, embedding, seed)
    return add_mlp_branch(model, mlp_layers, seed=seed) if mlp_layers else model


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


def _seed(seed: int, stream: int) -> int:
    """A seed of its own for each stream, so that no two parts start from the same numbers."""
    return int(np.random.SeedSequence([seed, stream]).generate_state(1, np.uint64)[0] >> 1)
