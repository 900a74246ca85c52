"""WISH at inference with masks drawn by SAM's mask decoder instead of its own mask head.

Kweon and Yoon, WISH (2025), figure 3: classes, scores and queries are WISH's; the masks come from
a SAM that is prompted by what the prompt head says, or by the boxes around WISH's own masks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from segment_anything.modeling import MaskDecoder
from torch import Tensor, nn
from torchvision.ops import masks_to_boxes

from wsislib.data.sample import Detections
from wsislib.models.mask2former.query_inference import detect
from wsislib.models.sam.prompts import Prompts
from wsislib.models.sam.sam import Candidates, Embedded, Teacher
from wsislib.models.wish.prompt_head import check_width
from wsislib.models.wish.wish import WISH

Prompted = Literal["embedding", "boxes"]
OUTSIDE = -100.0  # a logit that is in no mask


class SamDecoderInference(nn.Module):
    """A trained WISH whose masks SAM draws.

    Args:
        model: a WISH.
        teacher: a SAM of the width of the prompt head's tokens.
        prompted: with what; "embedding" are the prompt head's tokens, "boxes" the tight boxes of
            the masks that WISH has itself.
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
        framed = segmenter.framing(images, False)
        said = segmenter.say(framed)
        prompts = self.model.predict_prompts(said, framed.originals, last=True)[0]
        tokens = self.model.prompt_head.of_boxes(prompts)  # (B, Q, T, D)
        embedded = teacher.embed(images)

        def redraw(index: int, used: Tensor, own: Tensor) -> Tensor:
            image = embedded.one(index)
            if self.prompted == "boxes":
                return _by_boxes(teacher, image, own)
            drawn = teacher.candidates_for_tokens(image, [tokens[index, used]], self.decoder)
            return best_by_iou(drawn[0])

        return detect(said, framed, segmenter.most, redraw)


def best_by_iou(drawn: Candidates) -> Tensor:
    """(N, H, W) logits of the candidate with the highest predicted IoU of each prompt."""
    best = drawn.scores.argmax(1)
    return drawn.logits[torch.arange(len(best), device=best.device), best]


def _by_boxes(teacher: Teacher, image: Embedded, own: Tensor) -> Tensor:
    """What SAM draws in the tight boxes of masks (U, H, W); an empty mask stays empty."""
    inside = own > 0
    filled = inside.flatten(1).any(1)
    boxes = masks_to_boxes(inside[filled]) + own.new_tensor([0, 0, 1, 1])
    drawn = torch.full_like(own, OUTSIDE)
    drawn[filled] = best_by_iou(teacher.candidates(image, [Prompts(boxes=boxes)])[0])
    return drawn
