"""Each query's mask as a prompt for SAM (ours, beyond WISH).

A query's state holds little of where its instance lies. In Mask2Former, positions are added to
queries and keys, never to the values that attention sums, and a mask is made without them. So a
prompt head that sees states alone may learn no more than the mean of all prompts. Here the position
comes from the mask that the query predicts: its mean and its spread, as a point and a box, as
tokens of the teacher's prompt encoder.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from wsislib.models.mask2former.query_decoder import Predictions
from wsislib.models.sam.prompts import Prompts, Size
from wsislib.models.sam.sam import Teacher
from wsislib.models.wish.prompt_head import MASK_TOKENS

CELLS = 64  # most cells a side; masks are linear in their features, so small ones are cheap
MIN_HALF_SIDE = 1e-3  # of a box, as a share of the canvas: SAM needs a box that is not empty


@torch.no_grad()
def prompts_from_masks(
    predictions: Predictions, originals: Sequence[Size], teacher: Teacher, last: bool = False
) -> Tensor:
    """Tokens (L, B, Q, 3, D) of the middle of every query's mask and of a box of its spread.

    The box of a mask has its mean +- sqrt(3) standard deviations as corners: for a mask that is a
    box, the box itself. A mask that is nowhere above one half counts with its probabilities.
    float32 without gradient. `originals` are (H, W) of B images; with `last`, L = 1.
    """
    embeddings = predictions.embeddings[-1:] if last else predictions.embeddings
    with torch.autocast(embeddings.device.type, enabled=False):
        boxes = moment_boxes(predictions, embeddings)
    layers, images, queries = boxes.shape[:3]
    tokens = boxes.new_zeros(layers, images, queries, MASK_TOKENS, teacher.width)
    for size in sorted(set(originals)):  # the prompt encoder takes one size of image at a time
        rows = [i for i, other in enumerate(originals) if other == size]
        scale = boxes.new_tensor([size[1], size[0], size[1], size[0]])
        pixels = (boxes[:, rows] * scale).flatten(0, 2)  # (N, 4)
        middle = (pixels[:, :2] + pixels[:, 2:]) / 2
        point = teacher.prompt_embeddings(Prompts(points=middle), size)[:, :1]
        corners = teacher.prompt_embeddings(Prompts(boxes=pixels), size)
        tokens[:, rows] = torch.cat([point, corners], 1).unflatten(0, (layers, len(rows), queries))
    return tokens


def moment_boxes(predictions: Predictions, embeddings: Tensor) -> Tensor:
    """(L, B, Q, 4) float32 xyxy in 0..1 of each image: mean +- sqrt(3) deviations of masks."""
    high, wide = (min(int(side), CELLS) for side in predictions.features.shape[-2:])
    small = adaptive_avg_pool2d(predictions.features.float(), (high, wide))  # (B, D, h, w)
    share = torch.einsum("lbqd,bdhw->lbqhw", embeddings.float(), small).sigmoid()
    valid = predictions.padding.valid(high, wide, share.device)  # (B, 1, h, w) bool
    share = share if valid is None else share * valid
    inside = share * (share > 0.5)
    share = torch.where(inside.flatten(3).any(-1)[..., None, None], inside, share)
    extent = predictions.padding.extents(share.device)[0]  # (B, 2) xy: what of the canvas is image
    sides = []
    for profile in (share.sum(3), share.sum(4)):  # (L, B, Q, w) for x, (L, B, Q, h) for y
        cells = profile.shape[-1]
        centres = (torch.arange(cells, device=share.device) + 0.5) / cells
        mass = profile.sum(-1).clamp(min=1e-6)
        mean = (profile * centres).sum(-1) / mass
        variance = (profile * (centres - mean[..., None]) ** 2).sum(-1) / mass
        # A uniform interval of half-width a has variance a^2 / 3; a cell adds its own width.
        half = (3 * variance + 0.25 / cells**2).sqrt().clamp(min=MIN_HALF_SIDE)
        sides.append(torch.stack([mean - half, mean + half], -1))
    low_high = torch.stack(sides, -1) / extent[:, None, None]  # (L, B, Q, 2, 2)
    return low_high.flatten(-2).clamp(0, 1)
