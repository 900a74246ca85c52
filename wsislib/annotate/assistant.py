"""A SAM beside the annotator: a click or a box becomes masks to choose from.

Kirillov et al., "Segment Anything" (2023), the use that the model was made for. What is chosen is
a MASK for the file; whoever reads it should know that a SAM drew it, so the entry says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wsislib.data.images import image_tensor
from wsislib.data.rle import encode_mask, rle_area, rle_box
from wsislib.models.sam.prompts import Prompts
from wsislib.models.sam.sam import Embedded, Teacher

SAME = 0.95  # IoU above which two candidates are one to the eye


@dataclass(frozen=True)
class Offer:
    """One mask that SAM offers.

    Attributes:
        mask: (H, W) bool, not empty.
        score: the IoU that SAM predicts for it.
    """

    mask: NDArray[np.bool_]
    score: float


class SamAssistant:
    """A teacher that remembers the image that it looked at last."""

    def __init__(self, teacher: Teacher) -> None:
        self.teacher = teacher
        self._looked_at: tuple[object, Embedded] | None = None

    def offers(
        self,
        image: NDArray[np.uint8],
        key: object,
        *,
        point: tuple[float, float] | None = None,
        box: tuple[float, float, float, float] | None = None,
    ) -> list[Offer]:
        """Masks for a point or a box, the one that SAM trusts most first.

        Args:
            image: (H, W, 3) uint8.
            key: names the image; the same key again saves looking at it again.
            point: xy in pixels.
            box: xyxy in pixels.

        Returns:
            At most three, without empty ones and near twins.

        Raises:
            ValueError: the prompt lies outside of the image or the box is empty.
        """
        size = (image.shape[0], image.shape[1])
        if box is not None:
            prompts = Prompts(boxes=torch.tensor([box], dtype=torch.float32))
        else:
            prompts = Prompts(points=torch.tensor([point], dtype=torch.float32))
        prompts.check(size)
        embedded = self._embedded(image, key)
        found = self.teacher.candidates(embedded, [prompts])[0]
        masks, scores = found.masks[0].cpu().numpy(), found.scores[0].tolist()
        kept: list[Offer] = []
        for index in np.argsort(scores)[::-1]:
            mask = masks[index]
            if mask.any() and all(_iou(mask, other.mask) < SAME for other in kept):
                kept.append(Offer(mask, float(scores[index])))
        return kept

    def _embedded(self, image: NDArray[np.uint8], key: object) -> Embedded:
        if self._looked_at is None or self._looked_at[0] != key:
            tensor = image_tensor(image).to(self.teacher.device)
            self._looked_at = (key, self.teacher.embed([tensor]))
        return self._looked_at[1]


def entry_of(offer: Offer, teacher: str) -> dict[str, Any]:
    """What a chosen offer puts into an entry: `segmentation`, `bbox`, `area` and who drew it."""
    rle = encode_mask(offer.mask)
    box = list(rle_box(rle))
    return {"segmentation": rle, "bbox": box, "area": rle_area(rle), "drawn_by": f"SAM {teacher}"}


def _iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))
