"""Weight transfer: mask weights of a category from its detection weights.

Hu et al., "Learning to Segment Every Thing" (2018), section 3.1: w_seg = T(w_det; theta), one T
for all categories. T is learnt on the categories that have masks and used for all; its output is
the kernel of a 1 x 1 convolution without bias. Sizes, order of inputs and initial weights are the
authors' code's.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor

from wsislib.models.maskrcnn.mask_branch import conv_per_region

DetectorInput = Literal["cls", "box", "cls+box"]
Activation = Literal["leaky-relu", "relu", "none"]


class ClassWeights:
    """Every category's detection weights, as rows for T.

    No module: the box predictor is already one of the model's, and a second owner would save its
    weights twice.

    Attributes:
        count: C + 1, background first.
        width: values in a row.
    """

    def __init__(self, box_predictor: FastRCNNPredictor, inputs: DetectorInput) -> None:
        """Read from `box_predictor`, whose layers must be `cls_score` and `bbox_pred`.

        Args:
            box_predictor: C + 1 class rows and 4 (C + 1) box regression rows over D features.
            inputs: "cls" gives rows of D values, "box" the category's four regression rows one
                after another (4 D), "cls+box" both in this order (5 D). Biases are left out and
                nothing is normalised, as in the authors' code.

        Raises:
            ValueError: unknown `inputs`.
        """
        if inputs not in get_args(DetectorInput):
            known = ", ".join(repr(name) for name in get_args(DetectorInput))
            raise ValueError(f"input of weight transfer is {inputs!r}; use one of {known}")
        self.box_predictor, self.inputs = box_predictor, inputs
        self.count, features = box_predictor.cls_score.weight.shape
        self.width = {"cls": 1, "box": 4, "cls+box": 5}[inputs] * features

    def __call__(self, chosen: Tensor | None = None) -> Tensor:
        """(n, width) rows of the `chosen` (n,) categories, of all C + 1 if None, with gradient."""
        cls = self.box_predictor.cls_score.weight  # (C + 1, D)
        box = self.box_predictor.bbox_pred.weight.view(self.count, -1)  # (C + 1, 4 D)
        # Class scores first, as in the authors' code.
        parts = {"cls": [cls], "box": [box], "cls+box": [cls, box]}[self.inputs]
        if chosen is not None:
            parts = [part[chosen] for part in parts]
        return torch.cat(parts, dim=1)


class FixedRows(nn.Module):
    """One fixed vector for each category, (C + 1, D) with background first; saved, never learnt."""

    rows: Tensor

    def __init__(self, vectors: Tensor, category_count: int) -> None:
        """Keep `vectors` (C, D); background's row is zeros, as in the authors' code.

        Raises:
            ValueError: categories are missing or too many, or a value is not finite; names which.
        """
        super().__init__()
        if vectors.ndim != 2 or vectors.shape[1] == 0:
            raise ValueError(
                "an embedding must have one row of numbers for each category, shape (C, D); got "
                f"shape {tuple(vectors.shape)}"
            )
        if vectors.shape[0] != category_count:
            raise ValueError(
                f"the embedding has {vectors.shape[0]} rows for {category_count} categories; give "
                "one row for each, in the data set's order and without one for background"
            )
        wrong = (~torch.isfinite(vectors)).any(dim=1)
        if not vectors.is_meta and wrong.any():
            first = int(wrong.nonzero()[0])
            raise ValueError(
                f"row {first} of the embedding (and {int(wrong.sum()) - 1} more) holds NaN or "
                "infinity; mend or replace that category's vector"
            )
        background = vectors.new_zeros(1, vectors.shape[1])
        self.register_buffer("rows", torch.cat([background, vectors]).float())  # (C + 1, D)
        self.count, self.width = self.rows.shape

    def forward(self, chosen: Tensor | None = None) -> Tensor:
        """Rows of the `chosen` (n,) categories, all C + 1 if None: (n, D) float32."""
        return self.rows if chosen is None else self.rows[chosen]


def random_vectors(category_count: int, width: int, generator: torch.Generator) -> Tensor:
    """(C, width) drawn from N(0, 1 / width): vectors of about length 1 that mean nothing."""
    return torch.randn(category_count, width, generator=generator, device="cpu") / width**0.5


class WeightTransfer(nn.Module):
    """T: a small fully connected network from rows of w_det to rows of w_seg."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        layers: int = 2,
        activation: Activation = "leaky-relu",
    ) -> None:
        """Build `layers` (1 to 3) fully connected layers; hidden ones are as wide as the output.

        `in_features` is the width of w_det, `out_features` that of w_seg, the channels of the mask
        trunk. The leaky activation has slope 0.1; none after the last layer. Initial weights are
        normal of variance 2 / outputs (Caffe2's MSRAFill), biases 0.

        Raises:
            ValueError: another number of layers or another activation.
        """
        super().__init__()
        if layers not in (1, 2, 3):
            raise ValueError(f"weight transfer has {layers!r} layers; use 1, 2 or 3")
        if activation not in get_args(Activation):
            known = ", ".join(repr(name) for name in get_args(Activation))
            raise ValueError(f"activation of weight transfer is {activation!r}; use one of {known}")
        self.in_features, self.out_features = in_features, out_features
        widths = (in_features, *(out_features,) * layers)
        self.layers = nn.ModuleList(
            nn.Linear(i, o) for i, o in zip(widths, widths[1:], strict=False)
        )
        for layer in self.layers:
            assert isinstance(layer, nn.Linear)
            nn.init.kaiming_normal_(layer.weight, mode="fan_out")
            nn.init.zeros_(layer.bias)
        # 0.1 in the authors' code, ten times torch's default.
        self.slope = {"leaky-relu": 0.1, "relu": 0.0, "none": 1.0}[activation]

    def forward(self, rows: Tensor) -> Tensor:
        """(rows, in_features) -> (rows, out_features)."""
        x = self.layers[0](rows)
        for layer in self.layers[1:]:
            x = layer(nn.functional.leaky_relu(x, self.slope))
        return x


class TransferPredictor(nn.Module):
    """The mask branch's 1 x 1 predictor, with every category's weights given by T.

    T runs once for each category that a region belongs to, all of them together, and each region
    gets its own category's map alone. So memory grows with regions, not with categories, and
    never with their product. The authors' code runs T on all 81 rows, which gives the same maps
    and, as rows without a region have no gradient, the same T.
    """

    def __init__(
        self, rows: ClassWeights | FixedRows, transfer: WeightTransfer, stop_gradient: bool = True
    ) -> None:
        """Predict masks with T(`rows`).

        Args:
            rows: w_det of all categories, background first.
            transfer: T; its output is as wide as the mask trunk.
            stop_gradient: keep the mask loss from the detection weights (section 3.2): T learns,
                w_det is left to the detector's own losses.

        Raises:
            ValueError: T takes rows of another width.
        """
        super().__init__()
        if rows.width != transfer.in_features:
            raise ValueError(
                f"weight transfer takes rows of {transfer.in_features} values, but w_det has "
                f"{rows.width}; build T for this input"
            )
        self.rows, self.transfer, self.stop_gradient = rows, transfer, stop_gradient

    def mask_weights(self, chosen: Tensor | None = None) -> Tensor:
        """w_seg = T(w_det), (n, width) float32, of the `chosen` (n,) categories; of all if None."""
        rows = self.rows(chosen)  # (n, d)
        # Without the stop, the mask loss would bend w_det of A's categories away from B's, and T
        # would be used on weights unlike those it learnt on.
        return self.transfer(rows.detach() if self.stop_gradient else rows).float()

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """(R, width, M, M) and labels (R,) in 0..C, 0 background -> logits (R, M, M) float32."""
        present, row = labels.unique(return_inverse=True)  # (n,), (R,)
        # No bias: w_seg is the kernel alone, as in the authors' code.
        return conv_per_region(x, self.mask_weights(present)[row])
