"""The data contract: one image with its label, and a model's detections.

Everything between a file on disk and a table in the book passes through these types. A label holds
what an annotator gave and nothing more: a weakly labelled image carries no mask anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor


class LabelKind(IntEnum):
    """What an annotator gave, from cheapest to most expensive."""

    TAG = 0
    POINT = 1
    BOX = 2
    MASK = 3


@dataclass(frozen=True)
class Category:
    """One category: the id its data set uses (any positive integer) and its name.

    Everywhere else a category is its index 0..C-1 in the data set's `categories`.
    """

    id: int
    name: str


@dataclass(frozen=True)
class Candidates:
    """A teacher's masks for a label: M for each of its K entries, none of them ground truth."""

    masks: Tensor  # (K, M, H, W) bool; a candidate may be empty
    quality: Tensor  # (K, M) float32 in 0..1, the IoU that the teacher itself predicts for each

    def __len__(self) -> int:
        return int(self.quality.shape[0])

    def __getitem__(self, entries: Tensor) -> Candidates:
        """Those of some entries: (K,) bool or (N,) int64 indices."""
        return Candidates(self.masks[entries], self.quality[entries])

    def to(self, device: torch.device | str) -> Candidates:
        """The same candidates on `device`."""
        return Candidates(self.masks.to(device), self.quality.to(device))


@dataclass(frozen=True)
class Label:
    """The label of one image, of K entries.

    TAG entries have their category only, each once; POINT entries also a point, BOX entries also
    a box, MASK entries also a box and a mask. Where the image is partially supervised (some entries
    carry more than `kind`), `kinds` says what each has. Rows without ground truth are empty: rows
    of `masks` whose entry is not MASK are all False, rows of `boxes` whose entry is below BOX are
    all 0; in `points` only the rows of POINT entries are ground truth.
    """

    kind: LabelKind  # what every entry has at least
    categories: Tensor  # (K,) int64, category indices 0..C-1
    points: Tensor | None = None  # (K, 2) float32 xy in pixels; pixel centres lie at +0.5
    boxes: Tensor | None = None  # (K, 4) float32 xyxy in pixels, 0 <= x0 < x1 <= W, the same of y
    masks: Tensor | None = None  # (K, H, W) bool
    kinds: Tensor | None = None  # (K,) uint8 of `LabelKind`, None where all are of `kind`
    # A teacher's, for each entry; the row of a tag is empty, of quality 0. None where no teacher
    # was asked, and on labels of tags alone.
    candidates: Candidates | None = None

    def __len__(self) -> int:
        return int(self.categories.shape[0])

    def __getitem__(self, entries: Tensor) -> Label:
        """Some of the entries: (K,) bool or (N,) int64 indices."""
        return self._each(lambda field: field[entries])

    @property
    def entry_kinds(self) -> Tensor:
        """(K,) uint8: the `LabelKind` of each entry."""
        if self.kinds is not None:
            return self.kinds
        return torch.full_like(self.categories, int(self.kind), dtype=torch.uint8)

    @property
    def has_mask(self) -> Tensor:
        """(K,) bool: which entries carry a mask that may be learnt from."""
        return self.entry_kinds == int(LabelKind.MASK)

    def to(self, device: torch.device | str) -> Label:
        """The same label with every tensor on `device`."""
        return self._each(lambda field: field.to(device))

    def _each(self, change: Callable[[Any], Any]) -> Label:
        """The label with every field that it has changed."""
        names = ("categories", "points", "boxes", "masks", "kinds", "candidates")
        values = {name: getattr(self, name) for name in names}
        changed = {name: change(value) for name, value in values.items() if value is not None}
        return replace(self, **changed)


@dataclass(frozen=True)
class Sample:
    """One image with its label."""

    image: Tensor  # (3, H, W) float32 RGB in 0..1
    image_id: int  # the data set's own, positive
    label: Label

    def to(self, device: torch.device | str) -> Sample:
        """The same sample with every tensor on `device`."""
        return Sample(self.image.to(device), self.image_id, self.label.to(device))

    def check(self, category_count: int | None = None) -> Sample:
        """Return self; where `category_count` C is given, category indices must lie in 0..C-1.

        A ValueError names the image id, the entry (counted from 0) and what is wrong.
        """
        image_id = self.image_id
        if isinstance(image_id, bool) or not isinstance(image_id, int) or image_id < 1:
            raise ValueError(f"image id {image_id!r}: must be a positive integer")
        try:
            _check_image(self.image)
            height, width = self.image.shape[1:]
            _check_label(self.label, height, width, category_count)
        except ValueError as error:
            raise ValueError(f"image {image_id}: {error}") from None
        return self


@dataclass(frozen=True)
class Detections:
    """A model's predictions for one image, N instances, best score first."""

    boxes: Tensor  # (N, 4) float32 xyxy in pixels of the image as given
    scores: Tensor  # (N,) float32 in 0..1
    categories: Tensor  # (N,) int64 category indices 0..C-1
    masks: Tensor  # (N, H, W) bool at the size of the image as given

    def __len__(self) -> int:
        return int(self.scores.shape[0])

    def to(self, device: torch.device | str) -> Detections:
        """The same detections with every tensor on `device`."""
        fields = (self.boxes, self.scores, self.categories, self.masks)
        return Detections(*(field.to(device) for field in fields))


@dataclass(frozen=True)
class WindowDetection:
    """One instance of a large image, its mask given only where it may be True."""

    box: Tensor  # (4,) float32 xyxy in pixels of the image as given
    score: float  # 0..1
    category: int  # index 0..C-1
    top: int  # row of the window's first pixel in the image
    left: int  # column of it
    mask: Tensor  # (h, w) bool, the window


@runtime_checkable
class Dataset(Protocol):
    """What the engine needs of a data set."""

    categories: tuple[Category, ...]
    image_ids: tuple[int, ...]

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...

    def ground_truth(self) -> dict:
        """COCO-format dictionary with every true mask as RLE, for evaluation only.

        `images`, `annotations` (ids from 1, `category_id` = `Category.id`, `iscrowd`) and
        `categories`.
        """

    def fingerprint(self) -> str:
        """Hex digest that changes when, and only when, images or annotations change."""


class Model(Protocol):
    """The two methods through which the engine sees every model."""

    def losses(self, batch: Sequence[Sample]) -> dict[str, Tensor]:
        """Named, unweighted scalar losses of a batch."""

    def predict(self, images: Sequence[Tensor]) -> list[Detections]:
        """Detections for images of (3, H, W) float32 in 0..1, sizes may differ."""


@runtime_checkable
class WindowModel(Protocol):
    """What a model may offer beside `Model`, so that large images need little memory."""

    def predict_windows(self, image: Tensor) -> Iterator[WindowDetection]:
        """The detections of one image (3, H, W), one at a time, in any order of scores."""


def _check_image(image: Tensor) -> None:
    if not isinstance(image, Tensor):
        raise ValueError(f"must be a tensor, is {type(image).__name__}")
    if image.ndim != 3 or image.shape[0] != 3 or 0 in image.shape:
        raise ValueError(f"must be (3, H, W), is {tuple(image.shape)}")
    if image.dtype != torch.float32:
        raise ValueError(f"must be float32, is {image.dtype}")
    low, high = (float(end) for end in image.aminmax())
    # A NaN anywhere makes both ends NaN, and then no comparison is true.
    if not (low >= 0 and high <= 1):
        raise ValueError(f"values must lie in 0..1 and be finite, are {low:g}..{high:g}")


def _check_label(label: Label, height: int, width: int, category_count: int | None) -> None:
    if not isinstance(label.kind, LabelKind):
        raise ValueError(f"label kind must be a LabelKind, is {label.kind!r}")
    _check_field("categories", label.categories, (None,), torch.int64)
    kinds = _checked_kinds(label)
    _check_categories(label.categories, kinds, category_count)
    _check_presence(label, kinds)
    count = len(label)
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


def _check_field(
    name: str, value: object, shape: tuple[int | None, ...], dtype: torch.dtype
) -> None:
    """One tensor has its shape (None: any length) and dtype."""
    if not isinstance(value, Tensor):
        raise ValueError(f"{name} must be a tensor, is {type(value).__name__}")
    sides = zip(value.shape, shape, strict=False)
    if value.ndim != len(shape) or any(want not in (None, have) for have, want in sides):
        expected = ", ".join(str(want or "KM"[place]) for place, want in enumerate(shape))
        raise ValueError(f"{name} must have shape ({expected}), has {tuple(value.shape)}")
    if value.dtype != dtype:
        raise ValueError(f"{name} must be {dtype}, is {value.dtype}")


def _checked_kinds(label: Label) -> list[LabelKind]:
    """The kind of each entry, with `kinds` itself checked against `kind`."""
    if label.kinds is None:
        return [label.kind] * len(label)
    _check_field("kinds", label.kinds, (len(label),), torch.uint8)
    for entry, value in enumerate(label.kinds.tolist()):
        if value > LabelKind.MASK:
            raise ValueError(f"entry {entry}: kinds holds {value}, which is no label kind")
        if value < label.kind:
            raise ValueError(
                f"entry {entry}: its kind {LabelKind(value).name} is lower than the label's "
                f"kind {label.kind.name}, which every entry has at least"
            )
    return [LabelKind(value) for value in label.kinds.tolist()]


def _check_categories(
    categories: Tensor, kinds: Sequence[LabelKind], category_count: int | None
) -> None:
    """Indices in range, each tag once."""
    tags: dict[int, int] = {}
    for entry, (category, kind) in enumerate(zip(categories.tolist(), kinds, strict=True)):
        if category < 0 or (category_count is not None and category >= category_count):
            limit = "" if category_count is None else f"..{category_count - 1}"
            raise ValueError(f"entry {entry}: category index {category} is outside 0{limit}")
        if kind == LabelKind.TAG and category in tags:
            raise ValueError(
                f"entry {entry}: tag of category index {category} repeats entry "
                f"{tags[category]}; an image has each tag once"
            )
        if kind == LabelKind.TAG:
            tags[category] = entry


def _check_presence(label: Label, kinds: Sequence[LabelKind]) -> None:
    """Each entry has the fields of its kind; no field claims more than the kinds do."""
    for name, needed_by in (
        ("points", (LabelKind.POINT,)),
        ("boxes", (LabelKind.BOX, LabelKind.MASK)),
        ("masks", (LabelKind.MASK,)),
    ):
        field = getattr(label, name)
        entry = next((i for i, kind in enumerate(kinds) if kind in needed_by), None)
        if field is None and entry is not None and kinds[entry] != label.kind:
            raise ValueError(f"entry {entry}: label of kind {kinds[entry].name} has no {name}")
        if field is None and (label.kind in needed_by or entry is not None):
            raise ValueError(f"label of kind {label.kind.name} has no {name}")
        if field is not None and label.kinds is None and label.kind < needed_by[0]:
            raise ValueError(
                f"label of kind {label.kind.name} carries {name}: a label holds nothing beyond "
                "its kind (set `kinds` where some entries have more)"
            )


def _check_points(points: Tensor, height: int, width: int) -> None:
    for entry, (x, y) in enumerate(points.tolist()):
        if not (0 <= x <= width and 0 <= y <= height):
            raise ValueError(
                f"entry {entry}: point ({x:g}, {y:g}) lies outside the image of "
                f"{width} x {height} pixels"
            )


def _check_boxes(boxes: Tensor, kinds: Sequence[LabelKind], height: int, width: int) -> None:
    for entry, (box, kind) in enumerate(zip(boxes.tolist(), kinds, strict=True)):
        x0, y0, x1, y1 = box
        text = f"entry {entry}: box ({x0:g}, {y0:g}, {x1:g}, {y1:g})"
        if kind < LabelKind.BOX:
            if any(box):
                raise ValueError(f"{text} must be all 0: a {kind.name} entry has no box")
        elif not (x0 >= 0 and y0 >= 0 and x1 <= width and y1 <= height):
            raise ValueError(
                f"{text} leaves the image of {width} x {height} pixels or is not finite"
            )
        elif not (x0 < x1 and y0 < y1):
            raise ValueError(f"{text} is empty: it needs x0 < x1 and y0 < y1")


def _check_masks(masks: Tensor, kinds: Sequence[LabelKind]) -> None:
    for entry, (mask, kind) in enumerate(zip(masks, kinds, strict=True)):
        filled = bool(mask.any())
        if kind == LabelKind.MASK and not filled:
            raise ValueError(f"entry {entry}: mask is empty")
        if kind != LabelKind.MASK and filled:
            raise ValueError(
                f"entry {entry}: mask must be all False: a {kind.name} entry has no mask"
            )


def _check_candidates(
    candidates: Candidates, kinds: Sequence[LabelKind], height: int, width: int
) -> None:
    _check_field("candidates.quality", candidates.quality, (len(kinds), None), torch.float32)
    number = candidates.quality.shape[1]
    if number == 0:
        raise ValueError("candidates must be at least one an entry; without any, leave them None")
    shape = (len(kinds), number, height, width)
    _check_field("candidates.masks", candidates.masks, shape, torch.bool)
    for entry, kind in enumerate(kinds):
        for place, value in enumerate(candidates.quality[entry].tolist()):
            if not 0 <= value <= 1:  # nor is a NaN
                raise ValueError(
                    f"entry {entry}: quality {value:g} of candidate {place} must be finite and "
                    "lie in 0..1"
                )
        if kind == LabelKind.TAG and bool(candidates.masks[entry].any()):
            raise ValueError(
                f"entry {entry}: a tag has no candidates, since it does not say where its object is"
            )
