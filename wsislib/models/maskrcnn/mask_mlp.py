"""The fully connected mask branch: one coarse mask of a region, whatever its category.

Hu et al., "Learning to Segment Every Thing" (2018), section 3.4, after the authors' code: the
whole map of a region goes through one fully connected layer to all pixels of its mask, which is
added to the convolutional logits before the sigmoid.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MaskMLP(nn.Module):
    """Class-agnostic mask logits from the flattened map of a region."""

    def __init__(
        self, width: int, side: int, layers: int = 1, hidden: int = 1024, pool: int = 1
    ) -> None:
        """Build the layers.

        Args:
            width: channels of the map.
            side: M, of the map and of the mask.
            layers: 1 (what the paper's configurations use), 2 or 3.
            hidden: width of hidden layers, which end in a ReLU.
            pool: average the map over squares of this side first. 1, the paper's, leaves it as
                it is; more makes the first layer pool^2 times smaller.

        Initial weights are normal, of std 0.001 in the last layer and of variance 2 / outputs in
        hidden ones, biases 0.

        Raises:
            ValueError: another number of layers, or a pool that does not divide the side.
        """
        super().__init__()
        if layers not in (1, 2, 3):
            raise ValueError(f"the MLP mask branch has {layers!r} layers; use 1, 2 or 3")
        if pool < 1 or side % pool:
            raise ValueError(f"pool is {pool}; it must divide the mask's side, {side}")
        self.side, self.pool = side, pool
        # At the paper's size, 256 x 28^2 inputs x 28^2 outputs: 157 M weights in one layer.
        widths = (width * (side // pool) ** 2, *(hidden,) * (layers - 1), side * side)
        self.layers = nn.ModuleList(
            nn.Linear(i, o) for i, o in zip(widths, widths[1:], strict=False)
        )
        for layer in self.layers:
            assert isinstance(layer, nn.Linear)
            if layer is self.layers[-1]:
                nn.init.normal_(layer.weight, std=0.001)
            else:
                nn.init.kaiming_normal_(layer.weight, mode="fan_out")
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(R, width, M, M) -> logits (R, M, M) float32."""
        if self.pool > 1:
            x = F.avg_pool2d(x, self.pool)  # (R, width, M / pool, M / pool)
        x = x.flatten(1)  # (R, width * (M / pool)^2)
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))  # (R, hidden)
        return self.layers[-1](x).float().unflatten(1, (self.side, self.side))
