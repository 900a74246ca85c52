"""From the last layer's queries to detections (the authors' `instance_inference`).

The best pairs of query and category, so one mask may be detected under two categories. The score of
a pair is the category's probability times the mean probability inside the mask; the mask is where
the logit is positive.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import interpolate

from wsislib.data.geometry import mask_boxes
from wsislib.data.sample import Detections
from wsislib.models.mask2former.preprocess import ImageBatch
from wsislib.models.mask2former.query_decoder import Predictions

# Index of an image in the batch, the queries (U,) that are used and their mask logits (U, H, W) at
# the size of the image as given -> the mask logits to use instead.
ReplaceMasks = Callable[[int, Tensor, Tensor], Tensor]


def detect(
    predictions: Predictions,
    images: ImageBatch,
    max_detections: int,
    replace_masks: ReplaceMasks | None = None,
) -> list[Detections]:
    """Detections of each image, at the size of the image as given, best first.

    Pairs whose mask has no pixel are left out: their score is 0. `replace_masks` gives other masks
    to the queries that are used; None takes their own.
    """
    probabilities = predictions.classes[-1].float().softmax(-1)[..., :-1]  # (B, Q, C)
    return [
        _detect_one(*pair, images, index, max_detections, replace_masks)
        for index, pair in enumerate(zip(probabilities, predictions.masks(), strict=True))
    ]


def _detect_one(
    probabilities: Tensor,
    logits: Tensor,
    images: ImageBatch,
    index: int,
    max_detections: int,
    replace_masks: ReplaceMasks | None,
) -> Detections:
    """Image `index`: (Q, C) and (Q, h, w) to detections."""
    scores, pair = probabilities.flatten().topk(min(max_detections, probabilities.numel()))
    query, category = pair // probabilities.shape[1], pair % probabilities.shape[1]
    used, row = query.unique(return_inverse=True)  # large masks of these queries only
    inner, outer = images.padding.sizes[index], images.originals[index]
    maps = _resized(logits[used], images.padding.canvas, inner, outer)  # (U, H, W)
    if replace_masks is not None:
        maps = replace_masks(index, used, maps)
    inside = maps > 0
    area = inside.flatten(1).sum(1)
    certainty = (maps.sigmoid() * inside).flatten(1).sum(1) / area.clamp(min=1)
    keep = area[row] > 0
    scores, category, row = scores[keep], category[keep], row[keep]
    scores, order = (scores * certainty[row]).sort(descending=True, stable=True)
    category, masks = category[order], inside[row[order]]
    return Detections(mask_boxes(masks), scores, category, masks)


def _resized(
    logits: Tensor, canvas: tuple[int, int], inner: tuple[int, int], outer: tuple[int, int]
) -> Tensor:
    """Logits (U, h, w) of the canvas to (U, H, W) float32 of an image, `inner` pixels of it."""
    maps = interpolate(logits[None].float(), size=canvas, mode="bilinear", align_corners=False)
    maps = maps[..., : inner[0], : inner[1]]
    if inner != outer:
        maps = interpolate(maps, size=outer, mode="bilinear", align_corners=False)
    return maps[0]
