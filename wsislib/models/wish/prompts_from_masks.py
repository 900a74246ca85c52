"""What each query's own mask would say to SAM as a prompt (ours, beyond WISH).

A query's state holds little of where its instance lies. In Mask2Former, places are added to what
queries ask with and to the keys that they find, never to the values that they collect, and a mask
is made without them. So a prompt head that sees states alone may learn no more than the mean of
all prompts. Here the place comes from the mask that the query draws: its mean and its spread, as a
point and a box, in the words of the teacher's prompt encoder.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from wsislib.models.mask2former.query_decoder import Predictions
from wsislib.models.sam.prompts import Prompts, Size
from wsislib.models.wish.prompt_head import OWN_TOKENS, PromptTeacher

CELLS = 64  # most cells a side; masks are linear in their features, so small ones are cheap
LEAST = 1e-3  # half of a box's side, as a share of the canvas


@torch.no_grad()
def prompts_from_masks(
    said: Predictions, originals: Sequence[Size], teacher: PromptTeacher, last: bool = False
) -> Tensor:
    """Tokens of the middle of every query's mask and of a box as large as its spread.

    The box of a mask has its mean +- sqrt(3) standard deviations as corners: for a mask that is a
    box, the box itself. A mask that is nowhere above one half counts with its probabilities.

    Args:
        said: L layers' predictions.
        originals: (H, W) of B images as given.
        teacher: whose tokens.
        last: the last layer only, L = 1.

    Returns:
        (L, B, Q, 3, D) float32 without gradient.
    """
    with torch.autocast(said.features.device.type, enabled=False):
        boxes = mask_boxes(said, said.embeddings[-1:] if last else said.embeddings)
    layers, images, queries = boxes.shape[:3]
    tokens = boxes.new_zeros(layers, images, queries, OWN_TOKENS, teacher.width)
    for size in sorted(set(originals)):
        rows = [i for i, other in enumerate(originals) if other == size]
        scale = boxes.new_tensor([size[1], size[0], size[1], size[0]])
        own = (boxes[:, rows] * scale).flatten(0, 2)  # (N, 4)
        middle = (own[:, :2] + own[:, 2:]) / 2
        point = teacher.prompt_embeddings(Prompts(points=middle), size)[:, :1]
        corners = teacher.prompt_embeddings(Prompts(boxes=own), size)
        found = torch.cat([point, corners], 1)  # (N, 3, D)
        tokens[:, rows] = found.unflatten(0, (layers, len(rows), queries))
    return tokens


def mask_boxes(said: Predictions, embeddings: Tensor) -> Tensor:
    """(L, B, Q, 4) float32 xyxy in 0..1 of each image: mean +- sqrt(3) deviations of masks.

    Args:
        said: features and padding.
        embeddings: (L, B, Q, D) of the masks.
    """
    high, wide = (min(int(side), CELLS) for side in said.features.shape[-2:])
    small = adaptive_avg_pool2d(said.features.float(), (high, wide))  # (B, D, h, w)
    share = torch.einsum("lbqd,bdhw->lbqhw", embeddings.float(), small).sigmoid()
    seen = said.padding.valid(high, wide, share.device)  # (B, 1, h, w) bool
    share = share if seen is None else share * seen
    inside = share * (share > 0.5)
    share = torch.where(inside.flatten(3).any(-1)[..., None, None], inside, share)
    extent = said.padding.extents(share.device)[0]  # (B, 2) xy: what of the canvas is image
    sides = []
    for along in (share.sum(3), share.sum(4)):  # (L, B, Q, w) for x, (L, B, Q, h) for y
        cells = along.shape[-1]
        places = (torch.arange(cells, device=share.device) + 0.5) / cells
        mass = along.sum(-1).clamp(min=1e-6)
        mean = (along * places).sum(-1) / mass
        spread = (along * (places - mean[..., None]) ** 2).sum(-1) / mass
        # Cells are not points: one cell alone is as wide as a cell.
        half = (3 * spread + 0.25 / cells**2).sqrt().clamp(min=LEAST)
        sides.append(torch.stack([mean - half, mean + half], -1))
    low_high = torch.stack(sides, -1) / extent[:, None, None]  # (L, B, Q, 2, 2)
    return low_high.flatten(-2).clamp(0, 1)
