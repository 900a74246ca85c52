"""What has been labelled of one image so far, as a value that never changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from wsislib.data.photographs.coco_labels import label_of

Entry = Mapping[str, Any]
"""A COCO annotation without `image_id`: `id`, `category_id` and what its kind has (see
`wsislib.data.photographs.coco_labels`), and `seconds`, what it took to make."""


@dataclass(frozen=True)
class Work:
    """One image's labels.

    Attributes:
        file_name: relative to the image folder.
        width: pixels.
        height: pixels.
        entries: what is labelled, oldest first.
        finished: whether everything that is to be labelled is; only then may a model learn that
            there is nothing else in the image.
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

    def with_entry(self, entry: Entry) -> Work:
        """With one entry more, or one changed: an entry with the same id is replaced.

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
        # A place says more than a tag, so it takes its tag's stead.
        kept = [*others[:position], entry, *others[position:]]
        if not _is_tag(entry):
            kept = [o for o in kept if not (_is_tag(o) and o["category_id"] == category)]
        return replace(self, entries=tuple(kept))

    def without(self, entry_id: int) -> Work:
        """Without one entry.

        Raises:
            ValueError: there is no such entry.
        """
        kept = tuple(entry for entry in self.entries if entry["id"] != entry_id)
        if len(kept) == len(self.entries):
            raise ValueError(f"{self.file_name}: there is no entry {entry_id}")
        return replace(self, entries=kept)

    def named(self, entry_id: int, category_id: int) -> Work:
        """With another category for one entry.

        Raises:
            ValueError: there is no such entry, or see `with_entry`.
        """
        old = next((entry for entry in self.entries if entry["id"] == entry_id), None)
        if old is None:
            raise ValueError(f"{self.file_name}: there is no entry {entry_id}")
        return self.with_entry({**old, "category_id": category_id})


def _is_tag(entry: Entry) -> bool:
    return not any(entry.get(key) for key in ("segmentation", "bbox", "point"))
