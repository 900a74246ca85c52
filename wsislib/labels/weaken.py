"""Cheap labels from dear ones: masks become boxes, points or tags, never the other way round.

What comes out holds no mask, nor anything a mask could be recovered from beyond what an annotator
of that kind would have given. WISH (Kweon and Yoon, CVPR 2025) labels every image with exactly
one kind. Where its point lies on the object is not known; the default here is a random pixel of
the object, because SAM's point prompt must lie on it.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from wsislib.data.sample import Label, LabelKind

PointChoice = Literal["random", "centre"]


def weaken(
    label: Label, kind: LabelKind, generator: torch.Generator, point: PointChoice = "random"
) -> Label:
    """Return what an annotator who gives only `kind` would have given.

    Args:
        label: a label of the same or a dearer kind, for every entry.
        kind: the wanted kind.
        generator: source of the random pixels; untouched unless points are drawn.
        point: "random" for a random pixel of the mask, "centre" for the centre of the largest
            circle inside it.

    Returns:
        A new label of `kind` with `kinds` None. TAG: each category once, ascending. POINT: pixel
        centres (at +0.5) inside the mask. BOX: tight around the mask (x1 = last column + 1)
        where there is a mask, else the box as given.

    Raises:
        ValueError: the label is cheaper than `kind` for some entry, a box is asked for a point
            on the object, or a mask is empty.
    """
    kind = LabelKind(kind)
    _demand_dearer(label, kind)
    if kind == LabelKind.TAG:
        return Label(kind, torch.unique(label.categories))  # (T,) ascending
    categories = label.categories.clone()  # (K,)
    if kind == LabelKind.POINT:
        return Label(kind, categories, points=_points_of(label, generator, point))
    boxes = _boxes_of(label)
    if kind == LabelKind.BOX:
        return Label(kind, categories, boxes=boxes)
    return Label(kind, categories, boxes=boxes, masks=_masks_of(label))


def partial(label: Label, mask_categories: Tensor) -> Label:
    """Return boxes for every entry and masks only for entries of some categories.

    This is the supervision of Hu et al. (CVPR 2018): boxes for A and B, masks for A.

    Args:
        label: a label with a mask for every entry of `mask_categories`.
        mask_categories: (C,) bool, True for the categories in A.

    Returns:
        A label of kind BOX whose `kinds` say MASK for entries of A and BOX for the others. Mask
        rows of the others are all False: they hold no truth.

    Raises:
        ValueError: the label is no box or mask label, an entry of A has no mask, or a category
            lies outside 0..C-1.
    """
    if label.boxes is None or label.masks is None:
        raise ValueError(
            f"a {label.kind.name} label has no masks to keep: partial supervision needs boxes and "
            "masks"
        )
    if mask_categories.dtype != torch.bool or mask_categories.ndim != 1:
        raise ValueError("mask_categories must be a (C,) bool tensor, True for categories in A")
    count = len(mask_categories)
    outside = (label.categories < 0) | (label.categories >= count)
    if bool(outside.any()):
        entry = int(outside.nonzero()[0, 0])
        raise ValueError(
            f"entry {entry}: category {int(label.categories[entry])} lies outside 0..{count - 1}; "
            "mask_categories needs one entry for each category of the data set"
        )
    kept = mask_categories.to(label.categories.device)[label.categories]  # (K,)
    lacking = (kept & ~label.has_mask).nonzero()
    if len(lacking):
        raise ValueError(f"entry {int(lacking[0, 0])}: its category is in A but it has no mask")
    kinds = torch.full_like(label.categories, int(LabelKind.BOX), dtype=torch.uint8)
    kinds[kept] = int(LabelKind.MASK)
    return Label(
        LabelKind.BOX,
        label.categories.clone(),
        boxes=label.boxes.clone(),
        masks=label.masks & kept[:, None, None],  # (K, H, W)
        kinds=kinds,
    )


def boxes_of_masks(masks: Tensor) -> Tensor:
    """Return tight boxes around masks.

    Args:
        masks: (K, H, W) bool, none empty.

    Returns:
        (K, 4) float32 xyxy in pixels; x1 and y1 lie one past the last column and row.

    Raises:
        ValueError: names the first empty mask.
    """
    _demand_filled(masks)
    columns, rows = masks.any(dim=1), masks.any(dim=2)  # (K, W), (K, H)
    return torch.stack(
        [_first(columns), _first(rows), _past_last(columns), _past_last(rows)], dim=1
    ).to(torch.float32)


def inscribed_centre(mask: np.ndarray) -> tuple[float, float]:
    """Return the centre of the largest circle inside a mask.

    The pixel farthest from everything outside, the image's border included. Where several are
    equally far (a line one pixel wide), the one nearest to their mean, so that a thin mask is not
    marked at its end.

    Args:
        mask: (H, W) bool, not empty.

    Returns:
        x and y of that pixel's centre, so at +0.5.
    """
    distance = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]  # (H, W)
    best = np.argwhere(distance == distance.max())  # (N, 2) row, column
    nearest = best[((best - best.mean(axis=0)) ** 2).sum(axis=1).argmin()]
    return float(nearest[1]) + 0.5, float(nearest[0]) + 0.5


def _demand_dearer(label: Label, kind: LabelKind) -> None:
    held = label.kind
    if label.kinds is not None and len(label):
        held = LabelKind(int(label.kinds.min()))  # what the poorest entry has
    if kind > held:
        raise ValueError(
            f"a {held.name} label cannot become a {kind.name} label: weaken only goes downwards "
            "(MASK > BOX > POINT > TAG)"
        )
    if kind == LabelKind.POINT and held == LabelKind.BOX:
        raise ValueError(
            "a BOX label cannot become a POINT label: where the object lies in its box is not "
            "known; weaken the masks instead"
        )


def _points_of(label: Label, generator: torch.Generator, point: PointChoice) -> Tensor:
    if point not in ("random", "centre"):
        raise ValueError(f"point is {point!r}; it must be 'random' or 'centre'")
    if label.points is not None and label.kind == LabelKind.POINT:
        return label.points.clone()
    masks = _masks_of(label)
    _demand_filled(masks)
    points = torch.empty((len(label), 2), dtype=torch.float32)
    for entry, mask in enumerate(masks):
        if point == "centre":
            points[entry] = torch.tensor(inscribed_centre(mask.cpu().numpy()))
            continue
        pixels = mask.nonzero()  # (N, 2) row, column
        row, column = pixels[int(torch.randint(len(pixels), (), generator=generator))].tolist()
        points[entry] = torch.tensor([column + 0.5, row + 0.5])
    return points.to(label.categories.device)


def _boxes_of(label: Label) -> Tensor:
    if label.boxes is None:
        raise ValueError(f"a {label.kind.name} label must hold boxes; this one has none")
    boxes = label.boxes.clone()  # (K, 4)
    has_mask = label.has_mask
    if bool(has_mask.any()):
        boxes[has_mask] = boxes_of_masks(_masks_of(label)[has_mask])
    return boxes


def _masks_of(label: Label) -> Tensor:
    if label.masks is None:
        raise ValueError(f"a {label.kind.name} label must hold masks here; this one has none")
    return label.masks.clone()


def _demand_filled(masks: Tensor) -> None:
    empty = (~masks.flatten(1).any(dim=1)).nonzero()
    if len(empty):
        raise ValueError(
            f"entry {int(empty[0, 0])}: its mask is empty, so it has neither box nor point; drop "
            "the entry"
        )


def _first(held: Tensor) -> Tensor:
    """(K, N) bool -> (K,) index of the first True."""
    return held.to(torch.uint8).argmax(dim=1)


def _past_last(held: Tensor) -> Tensor:
    """(K, N) bool -> (K,) index after the last True."""
    return held.shape[1] - held.flip(1).to(torch.uint8).argmax(dim=1)
