"""The mask branch of Mask R-CNN: from regions to one mask each.

Mask R-CNN (He et al. 2017), figure 4 right, as Learning to Segment Every Thing uses it
(`v1up4convs`): RoIAlign 14 x 14, four 3 x 3 convolutions, a 2 x 2 up-convolution, and a 1 x 1
predictor that gives 28 x 28 logits.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads
from torchvision.models.detection.roi_heads import project_masks_on_boxes
from torchvision.ops import MultiScaleRoIAlign


class MaskPredictor(nn.Module):
    """The 1 x 1 predictor: one row of weights per category, or one row for all.

    Only the row of a region's own category is ever applied, so memory grows with categories
    plus regions, never with their product. Row 0 is the background's, kept as in the paper's
    81 rows for 80 categories.
    """

    def __init__(self, channels: int, category_count: int, agnostic: bool) -> None:
        """Hold (1 or category_count + 1, channels) weights and a bias per row."""
        super().__init__()
        self.agnostic = agnostic
        rows = 1 if agnostic else category_count + 1
        self.weight = nn.Parameter(torch.empty(rows, channels))
        self.bias = nn.Parameter(torch.zeros(rows))
        if agnostic:  # Detectron: Gaussian of std 0.001 for the class-agnostic predictor
            nn.init.normal_(self.weight, std=0.001)
        else:
            nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """(R, channels, M, M) and labels (R,) in 0..C, 0 background -> logits (R, M, M)."""
        rows = torch.zeros_like(labels) if self.agnostic else labels
        return conv_per_region(x, self.weight[rows]).add(self.bias[rows][:, None, None])


def conv_per_region(x: Tensor, weight: Tensor) -> Tensor:
    """A 1 x 1 convolution of (R, channels, M, M) with kernels (R, channels): (R, M, M) float32."""
    flat = torch.bmm(weight.unsqueeze(1).to(x.dtype), x.flatten(2))  # (R, 1, M * M)
    return flat.squeeze(1).float().unflatten(1, x.shape[2:])


class MaskBranch(nn.Module):
    """Pool regions, run the convolutional trunk, predict the map of each region's category."""

    mlp: nn.Module | None

    def __init__(
        self,
        pool: MultiScaleRoIAlign,
        channels: int,
        width: int,
        predictor: nn.Module,
        mlp: nn.Module | None = None,
    ) -> None:
        """Build the trunk of four convolutions of `width` channels over `channels` inputs.

        Args:
            pool: region pooling to 14 x 14.
            channels: of the feature maps.
            width: of the trunk.
            predictor: maps ((R, width, 28, 28), labels (R,)) to logits (R, 28, 28).
            mlp: maps (R, width, 28, 28) to logits (R, 28, 28) that are added to the predictor's
                (see `wsislib.models.maskrcnn.mask_mlp`).
        """
        super().__init__()
        self.pool = pool
        self.trunk = MaskRCNNHeads(channels, (width,) * 4, 1)
        self.up = nn.ConvTranspose2d(width, width, 2, 2)
        nn.init.kaiming_normal_(self.up.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.up.bias)  # type: ignore[arg-type]
        self.predictor = predictor
        self.mlp = mlp

    def forward(
        self,
        features: OrderedDict[str, Tensor],
        boxes: Sequence[Tensor],
        image_sizes: Sequence[tuple[int, int]],
        labels: Tensor,
    ) -> Tensor:
        """Logits (R, 28, 28) float32 of every region's map, that of its category.

        Args:
            features: name -> (B, channels, H / s, W / s).
            boxes: B tensors (R_b, 4) xyxy in pixels of the padded batch.
            image_sizes: B pairs (height, width) before padding.
            labels: (R,) int64, R = sum of R_b; 0 is background, 1..C categories.
        """
        x = self.pool(features, list(boxes), list(image_sizes))  # (R, channels, 14, 14)
        return self.logits(x, labels)

    def logits(self, pooled: Tensor, labels: Tensor) -> Tensor:
        """From pooled regions (R, channels, 14, 14) and labels (R,) to logits (R, 28, 28)."""
        fcn, mlp = self.logit_parts(pooled, labels)
        return fcn if mlp is None else fcn + mlp  # before the sigmoid, as in the authors' code

    def logit_parts(self, pooled: Tensor, labels: Tensor) -> tuple[Tensor, Tensor | None]:
        """As `logits`, before the sum: the convolutional part and, where there is one, the MLP's.

        Learning to Segment Every Thing, section 3.4: the fully connected part sees the gist of
        an object, the convolutional one its detail.
        """
        x = torch.relu(self.up(self.trunk(pooled)))  # (R, width, 28, 28)
        return self.predictor(x, labels), None if self.mlp is None else self.mlp(x)

    @property
    def side(self) -> int:
        """M of the M x M mask grid: twice the pooled side, by the up-convolution."""
        return 2 * int(self.pool.output_size[0])

    @property
    def width(self) -> int:
        """Channels of the map that the predictor sees."""
        return self.up.out_channels


def crop_mask_targets(masks: Tensor, boxes: Tensor, matched: Tensor, side: int) -> Tensor:
    """Each region's mask (R, M, M) in 0..1, cut out of the image and sampled on a grid.

    Args:
        masks: (K, H, W) true masks of one image, 0 or 1.
        boxes: (R, 4) xyxy regions in pixels.
        matched: (R,) int64, which of the K masks each region belongs to.
        side: M.
    """
    return project_masks_on_boxes(masks.float(), boxes, matched, side)
