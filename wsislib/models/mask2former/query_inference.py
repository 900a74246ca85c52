"""From the last layer's queries to detections (the authors' `instance_inference`).

The best pairs of query and category; the score of a pair is the category's probability times the
mean probability inside the mask; the mask is where the logit is positive.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.ops import masks_to_boxes

from wsislib.data.sample import Detections
from wsislib.models.mask2former.preprocess import ImageBatch
from wsislib.models.mask2former.query_decoder import Predictions

# Which image of the batch, the queries (U,) that are used and their mask logits (U, H, W) at the
# size of the image as given -> the mask logits to use instead.
Redraw = Callable[[int, Tensor, Tensor], Tensor]


def detect(
    said: Predictions, framed: ImageBatch, most: int, redraw: Redraw | None = None
) -> list[Detections]:
    """At most `most` detections an image, at the size of the image as given, best first.

    Pairs whose mask has no pixel are left out: their score is 0.

    Args:
        said: all layers' predictions.
        framed: the images.
        most: detections an image.
        redraw: gives other masks to the queries that are used; None takes their own.
    """
    chances = said.classes[-1].float().softmax(-1)[..., :-1]  # (B, Q, C)
    masks = said.masks()  # (B, Q, h, w)
    return [
        _detect_one(chance, mask, framed, index, most, redraw)
        for index, (chance, mask) in enumerate(zip(chances, masks, strict=True))
    ]


def _detect_one(
    chances: Tensor,
    logits: Tensor,
    framed: ImageBatch,
    index: int,
    most: int,
    redraw: Redraw | None,
) -> Detections:
    """Image `index`."""
    scores, pair = chances.flatten().topk(min(most, chances.numel()))
    query, category = pair // chances.shape[1], pair % chances.shape[1]
    used, place = query.unique(return_inverse=True)
    inner, outer = framed.padding.sizes[index], framed.originals[index]
    maps = _resized(logits[used], framed.padding.canvas, inner, outer)  # (U, H, W)
    if redraw is not None:
        maps = redraw(index, used, maps)
    inside = maps > 0
    area = inside.flatten(1).sum(1)
    certainty = (maps.sigmoid() * inside).flatten(1).sum(1) / area.clamp(min=1)
    keep = area[place] > 0
    scores, category, place = scores[keep], category[keep], place[keep]
    scores, order = (scores * certainty[place]).sort(descending=True, stable=True)
    category, place = category[order], place[order]
    masks = inside[place]
    boxes = masks_to_boxes(masks) + masks.new_tensor([0, 0, 1, 1], dtype=torch.float32)
    return Detections(boxes, scores, category, masks)


def _resized(
    logits: Tensor, canvas: tuple[int, int], inner: tuple[int, int], outer: tuple[int, int]
) -> Tensor:
    """(U, h, w) of the whole canvas to (U, H, W) of the image as given, float32.

    Args:
        logits: of the canvas.
        canvas: its size in pixels.
        inner: the image's size on the canvas.
        outer: the image's size as given.
    """
    maps = interpolate(logits[None].float(), size=canvas, mode="bilinear", align_corners=False)
    maps = maps[..., : inner[0], : inner[1]]
    if inner != outer:
        maps = interpolate(maps, size=outer, mode="bilinear", align_corners=False)
    return maps[0]
