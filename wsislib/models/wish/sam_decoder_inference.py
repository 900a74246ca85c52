"""WISH at inference with masks of SAM's mask decoder instead of its own mask head.

Kweon and Yoon, WISH (2025), figure 3: classes, scores and queries are WISH's; the masks come from
a SAM that is prompted by the predicted prompts, or by the boxes around WISH's own masks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from segment_anything.modeling import MaskDecoder
from torch import Tensor, nn

from wsislib.data.geometry import mask_boxes
from wsislib.data.sample import Detections
from wsislib.models.mask2former.query_inference import detect
from wsislib.models.sam.prompts import Prompts
from wsislib.models.sam.sam import Embedded, MaskCandidates, Teacher
from wsislib.models.wish.prompt_head import check_width
from wsislib.models.wish.wish import WISH

Prompted = Literal["embedding", "boxes"]
OUTSIDE = -100.0  # a logit that is in no mask


class SamDecoderInference(nn.Module):
    """A trained WISH whose masks come from SAM.

    Args:
        model: a WISH.
        teacher: a SAM of the width of the prompt head's tokens.
        prompted: with "embedding", the prompt head's tokens, or "boxes", the tight boxes of
            WISH's own masks.
        decoder: for embeddings another mask decoder, such as a tuned one; None is the teacher's.

    Raises:
        ValueError: embeddings of another width than the teacher's.
    """

    def __init__(
        self,
        model: WISH,
        teacher: Teacher,
        prompted: Prompted,
        decoder: MaskDecoder | None = None,
    ) -> None:
        super().__init__()
        if prompted == "embedding":
            check_width(model.prompt_head, teacher)
        self.model, self.decoder = model, decoder
        self.teacher, self.prompted = teacher, prompted

    @torch.no_grad()
    def predict(self, images: Sequence[Tensor]) -> list[Detections]:
        """Detections for images (3, H, W) float32 in 0..1; sizes may differ."""
        segmenter, teacher = self.model.segmenter, self.teacher.to(images[0].device)
        batch = segmenter.framing(images, False)
        predictions = segmenter.decode(batch)
        prompts = self.model.predict_prompts(predictions, batch.originals, last=True)[0]
        tokens = self.model.prompt_head.of_boxes(prompts)  # (B, Q, T, D)
        embedded = teacher.embed(images)

        def masks_of_sam(index: int, used: Tensor, logits: Tensor) -> Tensor:
            image = embedded.one(index)
            if self.prompted == "boxes":
                return _from_boxes(teacher, image, logits)
            found = teacher.candidates_for_tokens(image, [tokens[index, used]], self.decoder)
            return best_by_iou(found[0])

        return detect(predictions, batch, segmenter.max_detections, masks_of_sam)


def best_by_iou(candidates: MaskCandidates) -> Tensor:
    """(N, H, W) logits of the candidate with the highest predicted IoU of each prompt."""
    best = candidates.scores.argmax(1)
    return candidates.logits[torch.arange(len(best), device=best.device), best]


def _from_boxes(teacher: Teacher, image: Embedded, logits: Tensor) -> Tensor:
    """SAM's logits for the tight boxes of masks (U, H, W); an empty mask stays empty."""
    inside = logits > 0
    filled = inside.flatten(1).any(1)
    boxes = mask_boxes(inside[filled])
    found = torch.full_like(logits, OUTSIDE)
    found[filled] = best_by_iou(teacher.candidates(image, [Prompts(boxes=boxes)])[0])
    return found
