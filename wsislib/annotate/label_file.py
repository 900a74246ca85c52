"""The COCO file that is being labelled: written atomically after every change, with undo.

Only finished images stand under `images` and `annotations`, since a model learns that such an
image holds nothing else. The labels of the others are under `drafts`, which other readers of COCO
files ignore. Finished is what a person called finished, and what a file of another tool has
annotations for; an image that such a file only lists, without any, still waits to be looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from wsislib.annotate.documents import DocumentText, read_labels, works_of
from wsislib.annotate.image_labels import Entry, ImageLabels
from wsislib.annotate.listing import image_names
from wsislib.atomic import atomic_write
from wsislib.data.images import probe_image, resolve_image
from wsislib.data.sample import Category

Change = tuple[ImageLabels, ImageLabels]  # of one image: before and after


class LabelFile:
    """A folder of images, with the folders inside it, and the COCO file of their labels.

    `files` are the names of the images in the folder, sorted, then others that the file has.
    """

    def __init__(self, path: str | Path, image_root: str | Path, names: Sequence[str] = ()) -> None:
        """Open the file, which need not exist; nothing is written before the first change.

        `image_root` is the folder of images; of the `names` of categories, those that the file
        lacks are added. Raises ValueError where the file is broken (says every fault), there is
        neither a file nor a name, a name is empty or stands twice, or the folder holds no image.
        """
        self.path, self.image_root = Path(path), Path(image_root)
        document = read_labels(self.path) if self.path.exists() else {}
        self._digest = _digest(self.path)
        ours = ("images", "annotations", "categories", "drafts")
        self._rest = {key: value for key, value in document.items() if key not in ours}
        self._category_records: list[dict[str, Any]] = list(document.get("categories", []))
        self._add_names(names)
        self._works = works_of(document)
        self.files = tuple(dict.fromkeys([*image_names(self.image_root), *self._works]))
        self.place = {name: index for index, name in enumerate(self.files)}
        self._text = DocumentText()
        ids = (e["id"] for w in self._works.values() for e in (*w.entries, *w.proposals))
        self._last_id = max(ids, default=0)
        self._last_image_id = max((work.id for work in self._works.values()), default=0)
        self._listed = frozenset(self._works)  # stay in the file, whatever becomes of their entries
        self._past: list[Change] = []
        self._undone: list[Change] = []

    @property
    def categories(self) -> tuple[Category, ...]:
        """What can be labelled, in the order of the file."""
        return tuple(Category(record["id"], record["name"]) for record in self._category_records)

    def work(self, file_name: str, size: tuple[int, int] | None = None) -> ImageLabels:
        """The labels of an image so far; `size` is (width, height), None reads the image.

        Raises ValueError where the name leads out of the folder, the image cannot be read, or it is
        not of the size that the file has labels for; proposals for another size are left out.
        """
        if size is None:
            facts = probe_image(self.path_of(file_name))
            size = facts.width, facts.height
        known = self._works.get(file_name)
        if known is None:
            return ImageLabels(file_name, *size)
        if (known.width, known.height) != size and not (known.entries or known.finished):
            return replace(known, width=size[0], height=size[1], proposals=())
        if (known.width, known.height) != size:
            remedy = "put the old image back, or take its record out of the file"
            if (known.height, known.width) == size:
                remedy = (
                    "where they were drawn on the picture lying down, `wsis data turn` turns them"
                )
            raise ValueError(
                f"{self.path}, image {known.id}: {file_name} has {size[0]} x {size[1]} pixels, its "
                f"record says {known.width} x {known.height}; its labels would lie elsewhere: "
                f"{remedy}"
            )
        # Where the file only lists it, its first entries are a draft.
        return known if known.finished == _is_finished(known) else replace(known, finished=False)

    def path_of(self, file_name: str) -> Path:
        """The image's file; raises ValueError where the name leads out of the folder."""
        return resolve_image(self.image_root, file_name)

    def finished(self, file_name: str) -> bool:
        """Whether somebody has labelled an image completely."""
        known = self._works.get(file_name)
        return known is not None and _is_finished(known)

    def has_proposals(self, file_name: str) -> bool:
        """Whether something that a model proposed for an image waits."""
        known = self._works.get(file_name)
        return known is not None and bool(known.proposals)

    def states(self) -> str:
        """A letter for each of `files`: f finished, p with proposals, d begun, a dot for none."""
        return "".join(_state(self._works.get(name)) for name in self.files)

    def all_works(self) -> list[ImageLabels]:
        """Every image of the file, finished or not, in the order of their numbers."""
        return sorted(self._works.values(), key=lambda work: work.id)

    def next_entry_id(self) -> int:
        """A number that no entry or proposal has had since the file was opened."""
        self._last_id += 1
        return self._last_id

    def propose(
        self, proposals: Mapping[str, tuple[tuple[int, int], Sequence[Entry]]], source: str
    ) -> int:
        """Take a model's entries as proposals for unfinished images; how many were taken.

        `proposals` are (width, height) and entries without `id` of each name; they replace what
        still waits. `source` says which predictions they are (`proposals_from`). Cannot be undone;
        raises as `change`.
        """
        before, rest = dict(self._works), dict(self._rest)
        for work in before.values():
            self._keep(replace(work, proposals=()))
        taken = 0
        for name, (size, entries) in proposals.items():
            work = self._works.get(name) or ImageLabels(name, *size, id=self._next_image_id())
            if not _is_finished(work) and (work.width, work.height) == size:
                waiting = tuple({**entry, "id": self.next_entry_id()} for entry in entries)
                self._keep(replace(work, finished=False, proposals=waiting))
                taken += len(waiting)
        self._rest["proposals_from"] = source
        try:
            self._write()
        except (OSError, ValueError):
            self._works, self._rest = before, rest
            raise
        self._past.clear()
        self._undone.clear()
        return taken

    def change(self, work: ImageLabels) -> ImageLabels:
        """Replace the labels of an image, and write the file; returns them, numbered.

        Raises:
            OSError: the file cannot be written; everything stays as it was.
            ValueError: another program has written the file since it was read.
        """
        old = self._works.get(work.file_name)
        new = replace(work, id=work.id or (old.id if old else self._next_image_id()))
        if new.finished and not new.entries:  # else it is as if another tool had listed it
            new = replace(new, record={**new.record, "finished": True})
        before = old or ImageLabels(work.file_name, work.width, work.height, id=new.id)
        self._put(new)
        self._past.append((before, new))
        self._undone.clear()
        return new

    def undo(self) -> str | None:
        """Undo the last change; the name of its image, None where there is none."""
        return self._step(self._past, self._undone, 0)

    def redo(self) -> str | None:
        """Redo what was undone; the name of its image, None where there is nothing."""
        return self._step(self._undone, self._past, 1)

    @property
    def proposals_from(self) -> str:
        """Which predictions were proposed last; these again would bring removed ones back."""
        return str(self._rest.get("proposals_from", ""))

    @property
    def can_undo(self) -> bool:
        """Whether there is a change to undo."""
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        """Whether there is a change to redo."""
        return bool(self._undone)

    def add_category(self, name: str) -> Category:
        """Add a category, and write the file; raises as `change`, or for an empty or taken name."""
        before = list(self._category_records)
        if name.strip() in {record["name"] for record in before}:
            raise ValueError(f"there is a category '{name.strip()}' already")
        try:
            self._add_names([name])
            self._write()
        except (OSError, ValueError):
            self._category_records = before
            raise
        return self.categories[-1]

    def _step(self, source: list[Change], target: list[Change], side: int) -> str | None:
        if not source:
            return None
        work = source[-1][side]
        self._put(work)
        target.append(source.pop())
        return work.file_name

    def _put(self, work: ImageLabels) -> None:
        """Keep `work` and write the file; where that fails, neither."""
        before = dict(self._works)
        self._keep(work)
        try:
            self._write()
        except (OSError, ValueError):
            self._works = before
            raise

    def _keep(self, work: ImageLabels) -> None:
        self._works[work.file_name] = work
        something = work.entries or work.proposals or work.finished or work.seconds
        if not something and work.file_name not in self._listed:
            del self._works[work.file_name]  # as if it had never been opened

    def _next_image_id(self) -> int:
        self._last_image_id += 1
        return self._last_image_id

    def _write(self) -> None:
        if _digest(self.path) != self._digest:
            raise ValueError(
                f"{self.path}: changed on disk since it was opened here, by another page or "
                "program; open it again, so that neither's work is lost"
            )
        text = self._text.of(self.all_works(), self._category_records, self._rest)
        atomic_write(self.path, text)
        self._digest = hashlib.sha256(text.encode("utf-8")).hexdigest()

    def _add_names(self, names: Sequence[str]) -> None:
        for name in names:
            clean = name.strip()
            if not clean:
                raise ValueError(f"{self.path}: a category needs a name")
            if [other.strip() for other in names].count(clean) > 1:
                raise ValueError(f"{self.path}: the category '{clean}' is named twice")
            if clean not in {record["name"] for record in self._category_records}:
                number = 1 + max((record["id"] for record in self._category_records), default=0)
                self._category_records.append({"id": number, "name": clean})
        if not self._category_records:
            raise ValueError(
                f"{self.path}: no such file, so say the categories that you want to label (names)"
            )


def _is_finished(work: ImageLabels) -> bool:
    """Not where a file of another tool lists an image without any annotation."""
    return work.finished and bool(work.entries or work.record.get("finished"))


def _state(work: ImageLabels | None) -> str:
    if work is None or not (work.finished or work.entries or work.proposals or work.seconds):
        return "."
    return "f" if _is_finished(work) else "p" if work.proposals else "d" if work.entries else "."


def _digest(path: Path) -> str:
    """Of the file's bytes; empty where there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""
