"""The data contract: what one image with its label is, and what a model answers.

Everything between a file on disk and a table in the book passes through these types.
A label says exactly what an annotator gave and nothing more: a weakly labelled image carries
no mask anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor


class LabelKind(IntEnum):
    """What an annotator gave, from cheapest to dearest."""

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
    """What a teacher makes of a label: M masks for each of its K entries, none of them truth.

    Attributes:
        masks: (K, M, H, W) bool; a candidate may be empty.
        quality: (K, M) float32 in 0..1, the IoU that the teacher itself predicts for each.
    """

    masks: Tensor
    quality: Tensor

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

    Attributes:
        kind: what every entry has at least. TAG: `categories` only, each once.
            POINT: also `points`. BOX: also `boxes`. MASK: also `boxes` and `masks`.
        categories: (K,) int64, category indices 0..C-1.
        points: (K, 2) float32 xy in pixels, on the object; pixel centres lie at +0.5.
        boxes: (K, 4) float32 xyxy in pixels, 0 <= x0 < x1 <= W, 0 <= y0 < y1 <= H.
        masks: (K, H, W) bool.
        kinds: (K,) uint8 of `LabelKind` where the image is partially supervised (some entries
            carry more than `kind`), else None. Each entry then holds the field of its own
            kind. Rows that hold no truth are empty: rows of `masks` whose entry is not MASK are
            all False, rows of `boxes` whose entry is below BOX are all 0; in `points` only the
            rows of POINT entries are promised to be truth.
        candidates: what a teacher offers for each entry; for a tag nothing, so its row is empty,
            of quality 0. None where no teacher was asked, and on labels of tags alone.
    """

    kind: LabelKind
    categories: Tensor
    points: Tensor | None = None
    boxes: Tensor | None = None
    masks: Tensor | None = None
    kinds: Tensor | None = None
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
        held = {name: getattr(self, name) for name in names}
        changed = {name: change(value) for name, value in held.items() if value is not None}
        return replace(self, **changed)


@dataclass(frozen=True)
class Sample:
    """One image with its label.

    Attributes:
        image: (3, H, W) float32 RGB in 0..1.
        image_id: the data set's own id, a positive integer.
        label: what is known about the image.
    """

    image: Tensor
    image_id: int
    label: Label

    def to(self, device: torch.device | str) -> Sample:
        """The same sample with every tensor on `device`."""
        return Sample(self.image.to(device), self.image_id, self.label.to(device))

    def check(self, category_count: int | None = None) -> Sample:
        """Return self, or raise one clear error.

        Args:
            category_count: C; where given, category indices must lie in 0..C-1.

        Raises:
            ValueError: names the image id, the entry and what is wrong.
        """
        from wsislib.data.check import check_sample

        check_sample(self, category_count)
        return self


@dataclass(frozen=True)
class Detections:
    """What a model finds in one image, N instances, best score first.

    Attributes:
        boxes: (N, 4) float32 xyxy in pixels of the image as given.
        scores: (N,) float32 in 0..1.
        categories: (N,) int64 category indices 0..C-1.
        masks: (N, H, W) bool at the size of the image as given.
    """

    boxes: Tensor
    scores: Tensor
    categories: Tensor
    masks: Tensor

    def __len__(self) -> int:
        return int(self.scores.shape[0])

    def to(self, device: torch.device | str) -> Detections:
        """The same detections with every tensor on `device`."""
        return Detections(
            self.boxes.to(device),
            self.scores.to(device),
            self.categories.to(device),
            self.masks.to(device),
        )


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
        ...

    def fingerprint(self) -> str:
        """Hex digest that changes when, and only when, images or annotations change."""
        ...


class Model(Protocol):
    """The two methods through which the engine sees every model."""

    def losses(self, batch: Sequence[Sample]) -> dict[str, Tensor]:
        """Named, unweighted scalar losses of a batch."""
        ...

    def predict(self, images: Sequence[Tensor]) -> list[Detections]:
        """Detections for images of (3, H, W) float32 in 0..1, sizes may differ."""
        ...
