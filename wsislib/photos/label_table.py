"""How each label was read: what the file holds, what is learnt of it, what the teacher answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tqdm import tqdm

from wsislib.data.photographs.coco import CocoDataset
from wsislib.data.photographs.coco_labels import annotation_kind
from wsislib.data.sample import Dataset, LabelKind
from wsislib.models.wish.candidate_choice import Gate
from wsislib.models.wish.prompt_head import entries_with_box

_KINDS = {"masks": LabelKind.MASK, "boxes": LabelKind.BOX, "points": LabelKind.POINT}
_KINDS |= {"tags": LabelKind.TAG}
_NAMES = {int(kind): name for name, kind in _KINDS.items()}


@dataclass(frozen=True)
class LabelTable:
    """Counts of annotations and images; written to labels.json in the run's folder."""

    images: int  # that are trained on
    empty: int  # of them, which teach that nothing is there
    left_out: int  # images of the file that are not used
    in_file: Mapping[str, int]  # of the images trained on: masks, boxes, points, tags, crowd
    learnt: Mapping[str, int]  # what labels hold: masks, boxes, points, tags
    boxes_fitted: int | None = None  # boxes that one of the teacher's masks fits
    boxes_filled: int | None = None  # boxes that are learnt themselves, filled; None: no teacher

    def text(self) -> str:
        """The table for a reader."""
        out = f", {self.left_out} left out" if self.left_out else ""
        head = f"{self.images} images, {self.empty} without objects{out}"
        columns = f"  {'':8s}{'in the file':>12s}{'learnt':>8s}"
        lines = [f"how each label was read ({head})", columns]
        for name, count in self.in_file.items():
            learnt = self.learnt.get(name, 0)
            if count or learnt:
                lines.append(f"  {name:8s}{count:12d}{learnt:8d}{self._note(name, learnt)}")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """The table as JSON's values; `LabelTable(**them)` gives it back."""
        return asdict(self)

    def _note(self, name: str, learnt: int) -> str:
        if name == "crowd":
            return "  crowd regions are no single objects"
        if not learnt or name == "masks":
            return ""
        if self.boxes_fitted is None:
            return "  of these no mask is learnt" if name == "boxes" else ""
        return {
            "boxes": f"  by the teacher's masks {self.boxes_fitted}; none fits, so filled: "
            f"{self.boxes_filled}",
            "points": "  by the teacher's masks",
            "tags": "  by activation maps; a category once an image",
        }[name]


def table_of_masks(dataset: CocoDataset) -> LabelTable:
    """The table of a training that takes labels as they are and asks no teacher."""
    learnt = Counter(annotation_kind(a) for i in range(len(dataset)) for a in dataset.instances(i))
    counts = {name: learnt[kind] for name, kind in _KINDS.items()}
    empty = sum(not dataset.instances(i) for i in range(len(dataset)))
    size, held = len(dataset), count_in_file(dataset, dataset.image_ids)
    return LabelTable(size, empty, dataset.declared - size, held, counts)


def table_of_taught(source: CocoDataset, taught: Dataset, gate: Gate) -> LabelTable:
    """The table of a training by a teacher; reads every image once.

    Args:
        source: the file's labels.
        taught: the labels that are learnt, with candidates.
        gate: which candidates may be learnt.
    """
    counted: Counter[str] = Counter()
    empty = fitted = filled = 0
    for index in tqdm(range(len(taught)), desc="label table", unit="image", disable=None):
        label = taught[index].label
        counted.update(_NAMES[kind] for kind in label.entry_kinds.tolist())
        empty += not len(label)
        if label.candidates is not None:
            lacking = gate.unanswered(label, label.candidates) & ~label.has_mask
            boxes = int((entries_with_box(label) & ~label.has_mask).sum())
            filled += int(lacking.sum())
            fitted += boxes - int(lacking.sum())
    learnt = {name: counted[name] for name in _KINDS}
    held = count_in_file(source, taught.image_ids)
    out = source.declared - len(taught)
    return LabelTable(len(taught), empty, out, held, learnt, fitted, filled)


def count_in_file(dataset: CocoDataset, image_ids: Iterable[int]) -> dict[str, int]:
    """Annotations of some images: masks, boxes, points, tags, and crowd regions of any kind."""
    used = set(image_ids)
    rows = [i for i, image_id in enumerate(dataset.image_ids) if image_id in used]
    kinds = Counter(annotation_kind(a) for i in rows for a in dataset.instances(i))
    counts = {name: kinds[kind] for name, kind in _KINDS.items()}
    return counts | {"crowd": sum(map(dataset.crowds, rows))}
