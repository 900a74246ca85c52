"""Weaker labels from stronger ones: masks become boxes, points or tags, never the other way round.

The result holds no mask, nor anything from which one could be recovered beyond what an annotator
of that kind would have given. WISH (Kweon and Yoon, CVPR 2025) labels every image in exactly one
kind. Where on the object its points lie is not known; the default here is a random pixel of the
object, because SAM's point prompt must lie on it. Hu et al. (CVPR 2018) give masks to some
categories and boxes to the others; with `weaken_each` each entry has its own kind.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from wsislib.data.sample import Label, LabelKind
from wsislib.data.transforms import tight_boxes

PointChoice = Literal["random", "centre"]


def weaken(
    label: Label, kind: LabelKind, generator: torch.Generator, point: PointChoice = "random"
) -> Label:
    """What an annotator who gives only `kind` would have given.

    Args:
        label: of the same or a stronger kind, for every entry.
        kind: of the result.
        generator: of the random pixels; untouched unless points are drawn.
        point: "random" for a random pixel of the mask, "centre" for the centre of the largest
            circle inside it.

    Returns:
        A new label of `kind` with `kinds` None. TAG: each category once, ascending. POINT: pixel
        centres (at +0.5) inside the mask. BOX: tight around the mask (x1 = last column + 1)
        where there is a mask, else the box as given.

    Raises:
        ValueError: an entry is of a weaker kind, a point is asked of a box, or a mask is empty.
    """
    kind = LabelKind(kind)
    _require_stronger(label, kind)
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
    """Boxes for every entry and masks only for entries of some categories.

    This is the supervision of Hu et al. (CVPR 2018): boxes for A and B, masks for A.

    Args:
        label: with a box for every entry and a mask for every entry of A.
        mask_categories: (C,) bool, True for the categories in A.

    Returns:
        A label of kind BOX whose `kinds` say MASK for entries of A and BOX for the others. Mask
        rows of the others are all False: they are no ground truth.

    Raises:
        ValueError: an entry lacks its box or mask, or its category lies outside 0..C-1.
    """
    if label.boxes is None or label.masks is None:
        kind = label.kind.name
        raise ValueError(f"a {kind} label has no masks to keep: give boxes and masks")
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


def weaken_each(
    label: Label, kinds: Tensor, generator: torch.Generator, point: PointChoice = "random"
) -> Label:
    """As `weaken`, with a kind for each of the K entries: `kinds`, (K,) uint8 of `LabelKind`.

    Returns:
        The entries stronger than TAG in their order, then the tags, each category once,
        ascending. `kinds` is None where all are alike.

    Raises:
        ValueError: as `weaken`, for some entry; or `kinds` is not (K,) uint8.
    """
    if kinds.shape != label.categories.shape or kinds.dtype != torch.uint8:
        raise ValueError(f"kinds must be ({len(label)},) uint8, is {tuple(kinds.shape)}")
    found = [LabelKind(kind) for kind in kinds.unique().tolist()] or [label.kind]
    parts = {kind: weaken(label[kinds == kind], kind, generator, point) for kind in found}
    if len(parts) == 1:
        return parts[found[0]]
    nothing = Label(LabelKind.TAG, label.categories[:0])
    tags = parts.pop(LabelKind.TAG, nothing).categories  # (T,)
    stronger = kinds != LabelKind.TAG  # (K,)

    def field(name: str) -> Tensor | None:
        held = {kind: getattr(part, name) for kind, part in parts.items()}
        some = next((value for value in held.values() if value is not None), None)
        if some is None:
            return None
        whole = some.new_zeros(len(label), *some.shape[1:])
        for kind, value in held.items():
            if value is not None:
                whole[kinds == kind] = value
        return torch.cat([whole[stronger], some.new_zeros(len(tags), *some.shape[1:])])

    return Label(
        found[0],
        torch.cat([label.categories[stronger], tags]),
        points=field("points"),
        boxes=field("boxes"),
        masks=field("masks"),
        kinds=torch.cat([kinds[stronger], kinds.new_zeros(len(tags))]),
    )


def inscribed_centre(mask: np.ndarray) -> tuple[float, float]:
    """The centre (x, y) of the largest circle inside a mask (H, W) bool that is not empty.

    The pixel (its centre, so at +0.5) farthest from everything outside, the image's border
    included. Where several are equally far (a line one pixel wide), the one nearest to their mean,
    so that a thin mask is not marked at its end.
    """
    distance = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]  # (H, W)
    best = np.argwhere(distance == distance.max())  # (N, 2) row, column
    nearest = best[((best - best.mean(axis=0)) ** 2).sum(axis=1).argmin()]
    return float(nearest[1]) + 0.5, float(nearest[0]) + 0.5


def _require_stronger(label: Label, kind: LabelKind) -> None:
    held = LabelKind(min(label.entry_kinds.tolist(), default=label.kind))  # of the weakest entry
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
    _require_filled(masks)
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
        masks = _masks_of(label)[has_mask]
        _require_filled(masks)
        boxes[has_mask] = tight_boxes(masks)
    return boxes


def _masks_of(label: Label) -> Tensor:
    if label.masks is None:
        raise ValueError(f"a {label.kind.name} label must hold masks here; this one has none")
    return label.masks.clone()


def _require_filled(masks: Tensor) -> None:
    empty = (~masks.flatten(1).any(dim=1)).nonzero()
    if len(empty):
        raise ValueError(
            f"entry {int(empty[0, 0])}: its mask is empty, so it has neither box nor point; drop "
            "the entry"
        )
