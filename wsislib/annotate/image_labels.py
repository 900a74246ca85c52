"""The labels of one image so far, as a value that never changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from wsislib.data.photographs.coco_labels import label_of

Entry = Mapping[str, Any]
"""A COCO annotation without `image_id`: `id`, `category_id` and what its kind has (see
`wsislib.data.photographs.coco_labels`), and `seconds`, what it took to make."""


@dataclass(frozen=True)
class ImageLabels:
    """One image's labels.

    Attributes:
        file_name: relative to the image folder.
        width, height: pixels.
        entries: the labels, oldest first.
        finished: whether the labels are complete; only then may a model learn that there is
            nothing else in the image.
        seconds: time on this image that made no entry.
        id: of the image in the file; 0 where it is not numbered yet.
        record: other keys that the image's record in the file had.
    """

    file_name: str
    width: int
    height: int
    entries: tuple[Entry, ...] = ()
    finished: bool = False
    seconds: float = 0.0
    id: int = 0
    record: Mapping[str, Any] = field(default_factory=dict)

    def with_entry(self, entry: Entry) -> ImageLabels:
        """With an entry added, or replaced where one has the same id.

        Raises:
            ValueError: the entry's numbers are wrong, it lies outside the image or is empty, or
                it is a tag whose category has an entry already.
        """
        category = entry["category_id"]
        label_of([entry], self.height, self.width, {category: 0})
        others = [other for other in self.entries if other["id"] != entry["id"]]
        if _is_tag(entry) and any(other["category_id"] == category for other in others):
            raise ValueError("the image has an entry of this category already; a tag adds nothing")
        at = next((i for i, old in enumerate(self.entries) if old["id"] == entry["id"]), None)
        position = len(others) if at is None else at
        entries = [*others[:position], entry, *others[position:]]
        if not _is_tag(entry):  # it says more than the tag of its category, so that one goes
            entries = [o for o in entries if not (_is_tag(o) and o["category_id"] == category)]
        return replace(self, entries=tuple(entries))

    def without(self, entry_id: int) -> ImageLabels:
        """Without one entry; raises ValueError where there is no such entry."""
        entries = tuple(entry for entry in self.entries if entry["id"] != entry_id)
        if len(entries) == len(self.entries):
            raise ValueError(f"{self.file_name}: there is no entry {entry_id}")
        return replace(self, entries=entries)

    def named(self, entry_id: int, category_id: int) -> ImageLabels:
        """With another category for one entry; raises as `with_entry`, or where there is none."""
        old = next((entry for entry in self.entries if entry["id"] == entry_id), None)
        if old is None:
            raise ValueError(f"{self.file_name}: there is no entry {entry_id}")
        return self.with_entry({**old, "category_id": category_id})


def _is_tag(entry: Entry) -> bool:
    return not any(entry.get(key) for key in ("segmentation", "bbox", "point"))
