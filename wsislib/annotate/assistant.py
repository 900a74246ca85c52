"""A SAM for the annotator: a click or a box becomes masks to choose from.

This is the use that the model was made for: Kirillov et al., "Segment Anything" (2023).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from wsislib.data.images import image_tensor
from wsislib.models.sam.prompts import Prompts
from wsislib.models.sam.sam import Embedded, Teacher

SAME = 0.95  # IoU above which two candidates look alike


@dataclass(frozen=True)
class Offer:
    """One mask that SAM offers, with the IoU that it predicts for it."""

    mask: NDArray[np.bool_]  # (H, W), not empty
    score: float


class SamAssistant:
    """A teacher that keeps the embedding of the last image."""

    def __init__(self, teacher: Teacher) -> None:
        self.teacher = teacher
        self._last: tuple[object, Embedded] | None = None

    def offers(
        self,
        image: NDArray[np.uint8],
        key: object,
        *,
        point: tuple[float, float] | None = None,
        box: tuple[float, float, float, float] | None = None,
    ) -> list[Offer]:
        """At most three masks for a point (xy) or a box (xyxy) in pixels, best predicted IoU first.

        The image is (H, W, 3); the same `key` again reuses its embedding. Empty masks and near
        duplicates are left out. Raises ValueError where the prompt lies outside or is empty.
        """
        if box is not None:
            prompts = Prompts(boxes=torch.tensor([box], dtype=torch.float32))
        else:
            prompts = Prompts(points=torch.tensor([point], dtype=torch.float32))
        prompts.check((image.shape[0], image.shape[1]))
        embedded = self._embedded(image, key)
        candidates = self.teacher.candidates(embedded, [prompts])[0]
        masks, scores = candidates.masks[0].cpu().numpy(), candidates.scores[0].tolist()
        offers: list[Offer] = []
        for index in np.argsort(scores)[::-1]:
            mask = masks[index]
            alike = ((mask & o.mask).sum() / (mask | o.mask).sum() >= SAME for o in offers)
            if mask.any() and not any(alike):
                offers.append(Offer(mask, float(scores[index])))
        return offers

    def _embedded(self, image: NDArray[np.uint8], key: object) -> Embedded:
        if self._last is None or self._last[0] != key:
            tensor = image_tensor(image).to(self.teacher.device)
            self._last = (key, self.teacher.embed([tensor]))
        return self._last[1]
