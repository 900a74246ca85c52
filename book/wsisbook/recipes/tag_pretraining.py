"""A start for lab backbones that has seen image tags only, as ImageNet's weights have.

Every published model of this study starts from a classifier of ImageNet. The lab's start from
`SmallResNet` trained to name the categories in scenes of a world that shares no outline, pattern
or hue with the study's. No box and no mask is used.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wsislib.data.sample import Sample
from wsislib.models.assets import LAB_BACKBONE, read_asset
from wsislib.models.backbone import SmallResNet

WIDTHS = (32, 64, 96, 128)  # of the lab's backbones
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # as the models that start from it use


class TagClassifier(nn.Module):
    """`SmallResNet`, the mean over places, and one linear layer: a multi-label classifier.

    Attributes:
        body: what is kept of it.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, category_count: int, seed: int = 0, widths: Sequence[int] = WIDTHS) -> None:
        """Build it with random weights from `seed`."""
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.body = SmallResNet(widths)
            self.classify = nn.Linear(widths[-1], category_count)
        self.body.to(memory_format=torch.channels_last)
        self.register_buffer("mean", torch.tensor(MEAN).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(-1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in 0..1 -> (B, C) logits of the tags."""
        x = ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        coarsest = list(self.body(x).values())[-1]  # (B, widths[-1], H / 16, W / 16)
        return self.classify(coarsest.mean(dim=(2, 3)))

    def losses(self, batch: Sequence[Sample]) -> dict[str, Tensor]:
        """`tags`: cross-entropy of each category's presence, summed over categories.

        Args:
            batch: images of one size; of their labels only the categories are read.
        """
        logits = self(torch.stack([sample.image for sample in batch])).float()  # (B, C)
        present = torch.zeros_like(logits)
        for row, sample in zip(present, batch, strict=True):
            row[sample.label.categories] = 1.0
        total = F.binary_cross_entropy_with_logits(logits, present, reduction="sum")
        return {"tags": total / len(batch)}


def lab_backbone_weights() -> dict[str, Tensor]:
    """State of a `SmallResNet` of widths 32-64-96-128 that was trained on image tags.

        >>> backbone = SmallFPN((32, 64, 96, 128), 64)
        >>> backbone.body.load_state_dict(lab_backbone_weights())

    Raises:
        ValueError: the package's file is missing or altered.
    """
    return read_asset(LAB_BACKBONE)[0]
