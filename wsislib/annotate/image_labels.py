"""The labels of one image so far, as a value that never changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from wsislib.data.photographs.coco_labels import annotation_kind, box_of, numbers
from wsislib.data.rle import checked_rle, rle_area
from wsislib.data.sample import LabelKind

Entry = Mapping[str, Any]
"""A COCO annotation without `image_id`: `id`, `category_id` and what its kind has (see
`wsislib.data.photographs.coco_labels`), and `seconds`, what it took to make."""


@dataclass(frozen=True)
class ImageLabels:
    """One image's labels."""

    file_name: str  # relative to the image folder
    width: int  # pixels
    height: int
    entries: tuple[Entry, ...] = ()  # oldest first
    # Only of a finished image may a model learn that there is nothing else in it.
    finished: bool = False
    seconds: float = 0.0  # time on this image that made no entry
    id: int = 0  # of the image in the file; 0 where it is not numbered yet
    # A model's, with `score`: nobody's labels until a person accepts or changes them.
    proposals: tuple[Entry, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)  # other keys of its record in the file

    def with_entry(self, entry: Entry) -> ImageLabels:
        """With an entry added, or replaced where an entry or a proposal has the same id.

        Raises ValueError where its numbers are wrong, it lies outside the image or is empty, or it
        is a tag whose category has an entry already.
        """
        category = entry["category_id"]
        _require_readable(entry, self.height, self.width)
        others = [other for other in self.entries if other["id"] != entry["id"]]
        if _is_tag(entry) and any(other["category_id"] == category for other in others):
            raise ValueError("the image has an entry of this category already; a tag adds nothing")
        at = next((i for i, old in enumerate(self.entries) if old["id"] == entry["id"]), None)
        position = len(others) if at is None else at
        entries = [*others[:position], entry, *others[position:]]
        if not _is_tag(entry):  # it says more than the tag of its category, so that one goes
            entries = [o for o in entries if not (_is_tag(o) and o["category_id"] == category)]
        waiting = tuple(other for other in self.proposals if other["id"] != entry["id"])
        return replace(self, entries=tuple(entries), proposals=waiting)

    def without(self, entry_id: int) -> ImageLabels:
        """Without one entry or proposal; raises ValueError where there is no such one."""
        self.entry(entry_id)
        entries, proposals = (
            tuple(entry for entry in some if entry["id"] != entry_id)
            for some in (self.entries, self.proposals)
        )
        return replace(self, entries=entries, proposals=proposals)

    def named(self, entry_id: int, category_id: int) -> ImageLabels:
        """With another category for one entry; raises as `with_entry`, or where there is none."""
        return self.with_entry({**self.entry(entry_id), "category_id": category_id})

    def entry(self, entry_id: int) -> Entry:
        """An entry, or a proposal as the entry that it becomes; ValueError where there is none."""
        for entry in self.entries:
            if entry["id"] == entry_id:
                return entry
        for proposal in self.proposals:
            if proposal["id"] == entry_id:
                return {key: value for key, value in proposal.items() if key != "score"}
        raise ValueError(f"{self.file_name}: there is no entry {entry_id}")


def _require_readable(entry: Entry, height: int, width: int) -> None:
    """Raise ValueError where `label_of` would; without a mask of a large image being decoded."""
    kind = annotation_kind(entry)
    try:
        if kind == LabelKind.POINT:
            x, y = numbers(entry["point"], "point", 2)
            if not (0 <= x <= width and 0 <= y <= height):
                raise ValueError(f"point [{x:g}, {y:g}] lies outside the image")
        if kind >= LabelKind.BOX:
            box_of(entry, height, width)
        if kind == LabelKind.MASK and not rle_area(
            checked_rle(entry["segmentation"], height, width)
        ):
            raise ValueError("its mask covers no pixel")
    except ValueError as error:
        raise ValueError(f"annotation {entry['id']}: {error}") from None


def _is_tag(entry: Entry) -> bool:
    return not any(entry.get(key) for key in ("segmentation", "bbox", "point"))
