"""SAM's mask decoder tuned to the prompts that WISH predicts (beyond figure 3 of WISH).

The paper gives predicted embeddings to the frozen decoder and loses AP; whether the decoder can
adapt is open there. Here a copy of the decoder learns from a frozen, trained WISH: queries are
matched to the labels' instances as in training, and the decoder's target, given the matched query's
tokens, is the candidate mask that is nearest to WISH's own prediction. No mask is seen that WISH
did not learn from.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wsislib.data.sample import Sample
from wsislib.losses.candidates import assigned_cost, expected_iou, iou_table, pair_costs
from wsislib.losses.points import PointSampling, random_points, read_points, uncertain_points
from wsislib.models.sam.sam import Teacher
from wsislib.models.sam.sam_training import decode_masks
from wsislib.models.wish.prompt_head import check_width
from wsislib.models.wish.wish import WISH

MaskReader = Callable[[Tensor], Tensor]  # points -> values of the target masks there


class DecoderTuning(nn.Module):
    """A mask decoder with the `losses` half of the model protocol.

    Args:
        model: a trained WISH; frozen here, and no part of this module.
        teacher: a SAM of the width of its prompt head's tokens; its decoder is copied.
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
        found = model.pair(batch, None, peaks=False)
        targets = found.targets
        query, candidate = found.matches.query[-1], found.matches.candidate[-1]  # (M,)
        matched = query >= 0
        prompts = model.prompt_head.of_boxes(found.prompts[-1])
        tokens = prompts[targets.image, query.clamp(min=0)][matched]

        def truth(points: Tensor) -> Tensor:
            """(N, P, 2) xy in 0..1 of the image -> (N, 1, P)."""
            everywhere = points.new_zeros(len(matched), *points.shape[1:])
            everywhere[matched] = points
            values = targets.read(everywhere)  # (M, K, P)
            chosen = candidate[:, None, None].expand(-1, 1, values.shape[2])
            return values.gather(1, chosen)[matched]

        return tokens, targets.image[matched], truth
