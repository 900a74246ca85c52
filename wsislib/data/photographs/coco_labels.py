"""The kind of one COCO annotation, and the label that the annotations of an image make.

The rule for files that mix kinds: each annotation is read as the most expensive that it has.

| the annotation has | it is a |
|---|---|
| `segmentation` (polygons or RLE) | MASK |
| else `bbox` [x, y, w, h] | BOX |
| else `point` [x, y] (our own field: a pixel position on the object) | POINT |
| none of them | TAG |

A field that is null or an empty list counts as absent. The image's kind is the least of its
annotations'; where some have more, `Label.kinds` says which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from wsislib.data.rle import (
    MAX_INSTANCES,
    MAX_MASK_BYTES,
    checked_rle,
    decode_segmentation,
    rle_box,
)
from wsislib.data.sample import Label, LabelKind

Annotation = Mapping[str, Any]
FAR = 1e9  # pixels: beyond any image


def annotation_kind(annotation: Annotation) -> LabelKind:
    """The most expensive thing that an annotation has (see the module's table)."""
    fields = {"segmentation": LabelKind.MASK, "bbox": LabelKind.BOX, "point": LabelKind.POINT}
    given = (kind for name, kind in fields.items() if _given(annotation.get(name)))
    return next(given, LabelKind.TAG)


def weaker_kind(annotation: Annotation, ceiling: LabelKind) -> LabelKind:
    """The kind at which an annotation is read: its own, at most `ceiling`.

    Raises ValueError where `ceiling` is POINT and it has a mask or a box but no `point`.
    """
    have = annotation_kind(annotation)
    if have <= ceiling:
        return have
    if ceiling == LabelKind.POINT and not _given(annotation.get("point")):
        raise ValueError(
            f"annotation {annotation.get('id')} has a {have.name} but no `point` [x, y]: add one, "
            "or draw points from the masks (wsislib.labels.weaken)"
        )
    return ceiling


class NumbersError(ValueError):
    """A `bbox` or `point` that is no list of finite numbers; `code` names the fault."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def numbers(value: Any, name: str, count: int) -> list[float]:
    """`value` as `count` finite numbers; raises NumbersError where it is something else."""
    form = "[x, y, width, height]" if count == 4 else "[x, y]"
    if not isinstance(value, list | tuple) or len(value) != count:
        raise NumbersError("wrong-type", f"'{name}' is {value!r:.60}, must be {form}")
    for number in value:
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise NumbersError("wrong-type", f"'{name}' holds {number!r:.60}, must be {form}")
        # Not `>=`: this is right for NaN, and safe for whole numbers beyond a float.
        if not abs(number) < FAR:
            fault = "is not finite or beyond any image"
            raise NumbersError("not-finite", f"'{name}' holds {number!r:.60}, which {fault}")
    return [float(number) for number in value]


def clip_box(bbox: Sequence[float], height: int, width: int) -> tuple[float, float, float, float]:
    """COCO's [x, y, w, h] as (x0, y0, x1, y1), clipped to the image, all in pixels."""
    x, y, w, h = bbox
    return max(x, 0), max(y, 0), min(x + w, width), min(y + h, height)


def box_of(annotation: Annotation, height: int, width: int) -> tuple[float, float, float, float]:
    """The box of a BOX or MASK annotation, xyxy in pixels, inside the image.

    A given `bbox` is believed; where there is none, or nothing of it lies in the image, it is
    the tight box of the mask. Raises ValueError where there is neither.
    """
    if _given(annotation.get("bbox")):
        x0, y0, x1, y1 = clip_box(numbers(annotation["bbox"], "bbox", 4), height, width)
        # Compared in float32, in which the label keeps it.
        if np.float32(x0) < np.float32(x1) and np.float32(y0) < np.float32(y1):
            return x0, y0, x1, y1
    if not _given(annotation.get("segmentation")):
        raise ValueError(f"box {list(annotation['bbox'])} has nothing inside the image")
    return clip_box(rle_box(checked_rle(annotation["segmentation"], height, width)), height, width)


def check_amount(count: int, mask_pixels: int = 0) -> None:
    """Raise ValueError where one image has more instances than `wsislib.data.rle` allows.

    `mask_pixels` are those of all masks that are decoded together.
    """
    if count > MAX_INSTANCES or mask_pixels > MAX_MASK_BYTES:
        raise ValueError(
            f"{count} instances with {mask_pixels} bytes of masks in one image; at most "
            f"{MAX_INSTANCES} and {MAX_MASK_BYTES} bytes are read"
        )


def label_of(
    annotations: Sequence[Annotation],
    height: int,
    width: int,
    category_index: Mapping[int, int],
    ceiling: LabelKind = LabelKind.MASK,
    may_vanish: bool = False,
) -> Label:
    """The label of one image of height x width pixels.

    `annotations` are those of the image without crowd regions, `category_index` maps category ids
    to 0..C-1, `ceiling` is the most expensive kind that is read. An image without annotations is
    fully known to be empty, kind `ceiling`. A mask without a pixel is left out where it
    `may_vanish`. Else a ValueError names the annotation and its fault.
    """
    kinds = [weaker_kind(annotation, ceiling) for annotation in annotations]
    check_amount(len(annotations), kinds.count(LabelKind.MASK) * height * width)
    annotations, kinds = _single_tags(annotations, kinds)
    lowest, highest = min(kinds, default=ceiling), max(kinds, default=ceiling)
    count = len(kinds)
    some_points = lowest == LabelKind.POINT or LabelKind.POINT in kinds
    label = Label(
        kind=lowest,
        categories=torch.tensor([category_index[a["category_id"]] for a in annotations]).long(),
        points=torch.zeros(count, 2) if some_points else None,
        boxes=torch.zeros(count, 4) if highest >= LabelKind.BOX else None,
        masks=torch.zeros(count, height, width).bool() if highest == LabelKind.MASK else None,
        kinds=None if lowest == highest else torch.tensor(kinds, dtype=torch.uint8),
    )
    for entry, (annotation, kind) in enumerate(zip(annotations, kinds, strict=True)):
        try:
            _fill(label, entry, annotation, kind, (height, width), may_vanish)
        except ValueError as error:
            raise ValueError(f"annotation {annotation.get('id')}: {error}") from None
    if may_vanish and label.masks is not None:
        return label[label.masks.flatten(1).any(1) | ~label.has_mask]
    return label


def _fill(
    label: Label,
    entry: int,
    annotation: Annotation,
    kind: LabelKind,
    size: tuple[int, int],
    may_vanish: bool,
) -> None:
    """Write one annotation into its row of a label's fields."""
    height, width = size
    if label.points is not None and kind == LabelKind.POINT:
        x, y = numbers(annotation["point"], "point", 2)
        if not (0 <= x <= width and 0 <= y <= height):
            raise ValueError(f"point [{x:g}, {y:g}] lies outside the image")
        label.points[entry] = torch.tensor([x, y])
    if label.boxes is not None and kind >= LabelKind.BOX:
        label.boxes[entry] = torch.tensor(box_of(annotation, height, width))
    if label.masks is not None and kind == LabelKind.MASK:
        mask = decode_segmentation(annotation["segmentation"], height, width)
        if not mask.any() and not may_vanish:
            raise ValueError("its mask covers no pixel")
        label.masks[entry] = torch.from_numpy(np.ascontiguousarray(mask))


def _single_tags(
    annotations: Sequence[Annotation], kinds: Sequence[LabelKind]
) -> tuple[list[Annotation], list[LabelKind]]:
    """Leave out tags that repeat an earlier tag of their image."""
    seen: set[int] = set()
    entries: list[int] = []
    for entry, (annotation, kind) in enumerate(zip(annotations, kinds, strict=True)):
        if kind != LabelKind.TAG or annotation["category_id"] not in seen:
            entries.append(entry)
        if kind == LabelKind.TAG:
            seen.add(annotation["category_id"])
    return [annotations[entry] for entry in entries], [kinds[entry] for entry in entries]


def _given(value: Any) -> bool:
    """Neither null nor empty."""
    return value is not None and not (isinstance(value, list | tuple | dict | str) and not value)
