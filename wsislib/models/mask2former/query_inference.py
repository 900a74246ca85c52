"""From the last layer's queries to detections (the authors' `instance_inference`).

The best pairs of query and category, so one mask may be detected under two categories. The score of
a pair is the category's probability times the mean probability inside the mask; the mask is where
the logit is positive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from wsislib.data.geometry import mask_boxes
from wsislib.data.sample import Detections, WindowDetection
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
    scores, query, category = _best_pairs(probabilities, max_detections)
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


def detect_windows(
    predictions: Predictions, images: ImageBatch, max_detections: int
) -> Iterator[WindowDetection]:
    """What `detect` gives of the only image of a batch, up to rounding, one detection at a time.

    A mask is made only in the rows and columns that a positive logit reaches, so that an image of
    many megapixels costs no more than its objects.
    """
    probabilities = predictions.classes[-1][0].float().softmax(-1)[..., :-1]  # (Q, C)
    scores, queries, categories = _best_pairs(probabilities, max_detections)
    (maps,), (inner,), (outer,) = predictions.masks(), images.padding.sizes, images.originals
    canvas = images.padding.canvas
    to_rows, to_columns = (
        _axis(maps.shape[axis + 1], canvas[axis], inner[axis], outer[axis]).to(maps.device)
        for axis in (0, 1)
    )
    for query in queries.unique().tolist():
        low = maps[query].float()  # (h, w)
        rows = (to_rows[:, (low > 0).any(1)] > 0).any(1).nonzero().flatten()
        columns = (to_columns[:, (low > 0).any(0)] > 0).any(1).nonzero().flatten()
        if len(rows) == 0 or len(columns) == 0:
            continue
        top, left = int(rows[0]), int(columns[0])
        with torch.autocast(low.device.type, enabled=False):
            window = to_rows[top : int(rows[-1]) + 1] @ low
            window = window @ to_columns[left : int(columns[-1]) + 1].T  # (h', w')
        inside = window > 0
        area = int(inside.sum())
        if area == 0:
            continue
        certainty = float((window.sigmoid() * inside).sum()) / area
        y, x = (inside.any(axis).nonzero().flatten().tolist() for axis in (1, 0))
        inside = inside[y[0] : y[-1] + 1, x[0] : x[-1] + 1]
        top, left = top + y[0], left + x[0]
        sides = [left, top, left + inside.shape[1], top + inside.shape[0]]
        box = torch.tensor(sides, dtype=torch.float32)
        for pair in (queries == query).nonzero().flatten().tolist():
            score = float(scores[pair]) * certainty
            yield WindowDetection(box, score, int(categories[pair]), top, left, inside)


def _best_pairs(probabilities: Tensor, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, queries and categories, (N,) each, of the best pairs of (Q, C) probabilities."""
    scores, pair = probabilities.flatten().topk(min(most, probabilities.numel()))
    return scores, pair // probabilities.shape[1], pair % probabilities.shape[1]


def _axis(cells: int, canvas: int, inner: int, outer: int) -> Tensor:
    """(outer, cells): how `_resized` weighs the logits along one axis."""
    weights = interpolate(torch.eye(cells)[None], size=canvas, mode="linear", align_corners=False)
    weights = weights[..., :inner]
    if inner != outer:
        weights = interpolate(weights, size=outer, mode="linear", align_corners=False)
    return weights[0].T


def _resized(
    logits: Tensor, canvas: tuple[int, int], inner: tuple[int, int], outer: tuple[int, int]
) -> Tensor:
    """Logits (U, h, w) of the canvas to (U, H, W) float32 of an image, `inner` pixels of it."""
    maps = interpolate(logits[None].float(), size=canvas, mode="bilinear", align_corners=False)
    maps = maps[..., : inner[0], : inner[1]]
    if inner != outer:
        maps = interpolate(maps, size=outer, mode="bilinear", align_corners=False)
    return maps[0]
