"""Does a sample keep the data contract? The first breach is raised as one clear error."""

from __future__ import annotations

import torch
from torch import Tensor

from wsislib.data.sample import Candidates, Label, LabelKind, Sample


def check_sample(sample: Sample, category_count: int | None = None) -> None:
    """Hold one sample against the contract of `wsislib.data.sample`.

    Args:
        sample: the sample to look at; nothing is changed.
        category_count: C; where given, category indices must lie in 0..C-1.

    Raises:
        ValueError: names the image id, the entry (counted from 0) and what is wrong.
    """
    image_id = sample.image_id
    if isinstance(image_id, bool) or not isinstance(image_id, int) or image_id < 1:
        raise ValueError(f"image id {image_id!r}: must be a positive integer")
    _check_image(sample.image, image_id)
    height, width = sample.image.shape[1:]
    try:
        _check_label(sample.label, height, width, category_count)
    except ValueError as error:
        raise ValueError(f"image {image_id}: {error}") from None


def _check_image(image: Tensor, image_id: int) -> None:
    if not isinstance(image, Tensor):
        raise ValueError(f"image {image_id}: must be a tensor, is {type(image).__name__}")
    if image.ndim != 3 or image.shape[0] != 3 or 0 in image.shape:
        raise ValueError(f"image {image_id}: must be (3, H, W), is {tuple(image.shape)}")
    if image.dtype != torch.float32:
        raise ValueError(f"image {image_id}: must be float32, is {image.dtype}")
    low, high = image.aminmax()
    # A NaN anywhere makes both ends NaN, and then no comparison is true.
    if not (bool(low >= 0) and bool(high <= 1)):
        raise ValueError(
            f"image {image_id}: values must lie in 0..1 and be finite, "
            f"are {float(low):g}..{float(high):g}"
        )


def _check_label(label: Label, height: int, width: int, category_count: int | None) -> None:
    if not isinstance(label.kind, LabelKind):
        raise ValueError(f"label kind must be a LabelKind, is {label.kind!r}")
    _check_field("categories", label.categories, (None,), torch.int64)
    count = len(label)
    for entry, category in enumerate(label.categories.tolist()):
        if category < 0 or (category_count is not None and category >= category_count):
            limit = "" if category_count is None else f"..{category_count - 1}"
            raise ValueError(f"entry {entry}: category index {category} is outside 0{limit}")
    kinds = _entry_kinds(label, count)
    _check_presence(label, kinds)
    _check_tags(label.categories, kinds)
    if label.points is not None:
        _check_field("points", label.points, (count, 2), torch.float32)
        _check_points(label.points, height, width)
    if label.boxes is not None:
        _check_field("boxes", label.boxes, (count, 4), torch.float32)
        _check_boxes(label.boxes, kinds, height, width)
    if label.masks is not None:
        _check_field("masks", label.masks, (count, height, width), torch.bool)
        _check_masks(label.masks, kinds)
    if label.candidates is not None:
        _check_candidates(label.candidates, kinds, height, width)


def _entry_kinds(label: Label, count: int) -> list[LabelKind]:
    """The kind of each entry, with `kinds` itself held against `kind`."""
    if label.kinds is None:
        return [label.kind] * count
    _check_field("kinds", label.kinds, (count,), torch.uint8)
    values = label.kinds.tolist()
    for entry, value in enumerate(values):
        if value > LabelKind.MASK:
            raise ValueError(f"entry {entry}: kinds holds {value}, which is no label kind")
        if value < label.kind:
            raise ValueError(
                f"entry {entry}: its kind {LabelKind(value).name} is lower than the label's "
                f"kind {label.kind.name}, which every entry has at least"
            )
    return [LabelKind(value) for value in values]


def _check_presence(label: Label, kinds: list[LabelKind]) -> None:
    """Each entry has the field of its kind; no field claims more than the kinds do."""
    carriers = (
        ("points", label.points, LabelKind.POINT),
        ("boxes", label.boxes, LabelKind.BOX),
        ("masks", label.masks, LabelKind.MASK),
    )
    for name, field, carrier in carriers:
        held = carrier == label.kind or (carrier == LabelKind.BOX and label.kind > carrier)
        entry = next((i for i, kind in enumerate(kinds) if kind == carrier), None)
        if entry is None and carrier == LabelKind.BOX:
            entry = next((i for i, kind in enumerate(kinds) if kind > carrier), None)
        if field is None and (held or entry is not None):
            where = "label" if entry is None else f"entry {entry}: label"
            raise ValueError(f"{where} of kind {_name(label, kinds, entry)} has no {name}")
        if field is not None and label.kinds is None and carrier > label.kind:
            raise ValueError(
                f"label of kind {label.kind.name} carries {name}: a label holds nothing beyond "
                "its kind (set `kinds` where some entries have more)"
            )


def _name(label: Label, kinds: list[LabelKind], entry: int | None) -> str:
    return (label.kind if entry is None else kinds[entry]).name


def _check_tags(categories: Tensor, kinds: list[LabelKind]) -> None:
    seen: dict[int, int] = {}
    for entry, (category, kind) in enumerate(zip(categories.tolist(), kinds, strict=True)):
        if kind != LabelKind.TAG:
            continue
        if category in seen:
            raise ValueError(
                f"entry {entry}: tag of category index {category} repeats entry "
                f"{seen[category]}; an image has each tag once"
            )
        seen[category] = entry


def _check_points(points: Tensor, height: int, width: int) -> None:
    for entry, (x, y) in enumerate(points.tolist()):
        if not (0 <= x <= width and 0 <= y <= height):
            raise ValueError(
                f"entry {entry}: point ({x:g}, {y:g}) lies outside the image of "
                f"{width} x {height} pixels"
            )


def _check_boxes(boxes: Tensor, kinds: list[LabelKind], height: int, width: int) -> None:
    for entry, (box, kind) in enumerate(zip(boxes.tolist(), kinds, strict=True)):
        x0, y0, x1, y1 = box
        text = f"entry {entry}: box ({x0:g}, {y0:g}, {x1:g}, {y1:g})"
        if kind < LabelKind.BOX:
            if any(value != 0 for value in box):
                raise ValueError(f"{text} must be all 0: a {kind.name} entry has no box")
            continue
        inside = x0 >= 0 and y0 >= 0 and x1 <= width and y1 <= height
        if not inside:
            raise ValueError(
                f"{text} leaves the image of {width} x {height} pixels or is not finite"
            )
        if not (x0 < x1 and y0 < y1):
            raise ValueError(f"{text} is empty: it needs x0 < x1 and y0 < y1")


def _check_masks(masks: Tensor, kinds: list[LabelKind]) -> None:
    filled = masks.flatten(1).any(dim=1).tolist() if masks.shape[0] else []
    for entry, (some, kind) in enumerate(zip(filled, kinds, strict=True)):
        if kind == LabelKind.MASK and not some:
            raise ValueError(f"entry {entry}: mask is empty")
        if kind != LabelKind.MASK and some:
            raise ValueError(
                f"entry {entry}: mask must be all False: a {kind.name} entry has no mask"
            )


def _check_candidates(
    candidates: Candidates, kinds: list[LabelKind], height: int, width: int
) -> None:
    _check_field("candidates.quality", candidates.quality, (len(kinds), None), torch.float32)
    offered = candidates.quality.shape[1]
    if offered == 0:
        raise ValueError("candidates must be at least one an entry; without any, leave them None")
    _check_field(
        "candidates.masks", candidates.masks, (len(kinds), offered, height, width), torch.bool
    )
    for entry, row in enumerate(candidates.quality.tolist()):
        for place, value in enumerate(row):
            if not 0 <= value <= 1:  # nor is a NaN
                raise ValueError(
                    f"entry {entry}: quality {value:g} of candidate {place} must be finite and "
                    "lie in 0..1"
                )
    for entry, kind in enumerate(kinds):
        if kind == LabelKind.TAG and bool(candidates.masks[entry].any()):
            raise ValueError(
                f"entry {entry}: a tag has no candidates, since it says nothing about where its "
                "object lies"
            )


def _check_field(
    name: str, value: object, shape: tuple[int | None, ...], dtype: torch.dtype
) -> None:
    """One tensor has its shape (None: any length) and dtype."""
    if not isinstance(value, Tensor):
        raise ValueError(f"{name} must be a tensor, is {type(value).__name__}")
    fits = value.ndim == len(shape) and all(
        want is None or have == want for have, want in zip(value.shape, shape, strict=True)
    )
    if not fits:
        wanted = ", ".join(str(want or "KM"[place]) for place, want in enumerate(shape))
        raise ValueError(f"{name} must have shape ({wanted}), has {tuple(value.shape)}")
    if value.dtype != dtype:
        raise ValueError(f"{name} must be {dtype}, is {value.dtype}")
