"""WISH with SAM's mask decoder (Kweon and Yoon 2025, figure 3), frozen as there or tuned.

At inference classes, scores and queries are WISH's; the masks come from a SAM that is prompted by
the predicted prompts, or by the boxes around WISH's own masks. The paper gives predicted embeddings
to the frozen decoder and loses AP; whether the decoder can adapt is open there. So a copy of it can
be tuned: queries are matched to the labels' instances as in training, and the decoder's target,
given the matched query's tokens, is the candidate mask that is nearest to WISH's own prediction. No
mask is seen that WISH did not learn from.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from segment_anything.modeling import MaskDecoder
from torch import Tensor, nn
from torch.nn import functional as F

from wsislib.data.geometry import mask_boxes
from wsislib.data.sample import Detections, Sample
from wsislib.losses.candidates import assigned_cost, expected_iou, iou_table, pair_costs
from wsislib.losses.points import PointSampling, random_points, read_points, uncertain_points
from wsislib.models.mask2former.query_inference import detect
from wsislib.models.sam.prompts import Prompts
from wsislib.models.sam.sam import Embedded, MaskCandidates, Teacher
from wsislib.models.sam.sam_training import decode_masks
from wsislib.models.wish.prompt_head import check_width
from wsislib.models.wish.wish import WISH

Prompted = Literal["embedding", "boxes"]
OUTSIDE = -100.0  # a logit that is in no mask
MaskReader = Callable[[Tensor], Tensor]  # points -> values of the target masks there


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


class DecoderTuning(nn.Module):
    """A mask decoder, a copy of the teacher's, with the `losses` half of the model protocol.

    Args:
        model: a trained WISH; frozen here, and no part of this module.
        teacher: a SAM of the width of its prompt head's tokens.
        sampling: points that masks are compared at.

    Raises:
        ValueError: the teacher has another width.
    """

    def __init__(
        self, model: WISH, teacher: Teacher, sampling: PointSampling | None = None
    ) -> None:
        super().__init__()
        check_width(model.prompt_head, teacher)
        self.decoder = copy.deepcopy(teacher.sam.mask_decoder).requires_grad_(True)
        self._wish = (model.eval().requires_grad_(False), teacher)  # a tuple: not a submodule
        self.sampling = sampling or model.segmenter.sampling

    def losses(self, batch: Sequence[Sample]) -> dict[str, Tensor]:
        """`mask` (cross-entropy and Dice of the candidates) and `iou` (of their predicted IoU).

        Args:
            batch: labels of points, boxes or masks; an image whose labels are tags adds nothing.
        """
        model, teacher = self._wish
        tokens, image, truth = self._targets(batch)
        if len(tokens) == 0:
            zero = torch.stack([p.sum() for p in self.parameters()]).sum() * 0.0
            return {"mask": zero, "iou": zero}
        embedded = teacher.embed([sample.image for sample in batch])
        low, scores = decode_masks(
            self.decoder,
            embedded.features[image],
            teacher.sam.prompt_encoder.get_dense_pe(),
            tokens,
            teacher.no_mask(1),
        )
        # Without the first mask, which SAM uses for unambiguous prompts.
        low, scores = low[:, 1:].float(), scores[:, 1:].float()  # (N, 3, h, w), (N, 3)
        extent = embedded.extents(teacher.side)[image]  # (N, 2)
        edge = low.detach().abs().amin(1, keepdim=True)  # near 0 where any candidate may end
        points = uncertain_points(edge, extent, self.sampling, None)[:, 0]  # (N, P, 2)
        # An IoU needs points spread evenly: uncertain ones would count borders alone.
        even = random_points(len(low), self.sampling.count, extent, None)
        one = torch.ones(len(low), 1, device=low.device)
        costs = pair_costs(read_points(low, points), truth(points / extent[:, None]))
        with torch.no_grad():
            ious = iou_table(read_points(low, even), truth(even / extent[:, None]))
            target = expected_iou(ious, one)
        return {"mask": assigned_cost(costs, one.bool()), "iou": F.mse_loss(scores, target)}

    @torch.no_grad()
    def _targets(self, batch: Sequence[Sample]) -> tuple[Tensor, Tensor, MaskReader]:
        """Tokens (N, T, D) of matched queries, their images (N,), and their target masks."""
        model = self._wish[0]
        batched = model.pair(batch, None, peaks=False)
        targets = batched.targets
        query, candidate = batched.matches.query[-1], batched.matches.candidate[-1]  # (M,)
        matched = query >= 0
        prompts = model.prompt_head.of_boxes(batched.prompts[-1])
        tokens = prompts[targets.image, query.clamp(min=0)][matched]

        def truth(points: Tensor) -> Tensor:
            """(N, P, 2) xy in 0..1 of the image -> (N, 1, P)."""
            everywhere = points.new_zeros(len(matched), *points.shape[1:])
            everywhere[matched] = points
            values = targets.read(everywhere)  # (M, K, P)
            chosen = candidate[:, None, None].expand(-1, 1, values.shape[2])
            return values.gather(1, chosen)[matched]

        return tokens, targets.image[matched], truth
