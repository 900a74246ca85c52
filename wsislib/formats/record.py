"""What every format is read into: pictures with labels, and the report of a conversion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

SHOWN = 10  # places of one kind that the report names


@dataclass(frozen=True)
class Region:
    """One label of a picture.

    Attributes:
        category: its name.
        fields: any of `segmentation`, `bbox` and `point`, as in a COCO annotation of this library
            (`wsislib.data.photographs.coco_labels`), in pixels; none of them is a tag.
        score: of a prediction.
        crowd: whether it is a crowd region.
        group: shapes of one picture, category and group are parts of one object.
        extra: other keys of a COCO annotation.
    """

    category: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    score: float | None = None
    crowd: bool = False
    group: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The most that it has: segmentation, bbox, point or tag."""
        return next((k for k in ("segmentation", "bbox", "point") if self.fields.get(k)), "tag")


@dataclass
class LabelledPicture:
    """One picture: its name as the source has it, its size in pixels where known, its labels."""

    name: str
    width: int | None = None
    height: int | None = None
    regions: list[Region] = field(default_factory=list)
    id: int | None = None  # of its COCO record, where the ids of the file can stay
    extra: Mapping[str, Any] = field(default_factory=dict)  # other keys of its COCO record


@dataclass
class Labels:
    """Everything that one source holds.

    Attributes:
        pictures: in the source's order.
        names: of the categories that the source declares, in its order; may be empty.
        ids: of categories, where those of the file can stay.
        extra: other keys of the COCO record of a category, by name.
        info: other keys of a COCO document.
    """

    pictures: list[LabelledPicture]
    names: list[str] = field(default_factory=list)
    ids: Mapping[str, int] = field(default_factory=dict)
    extra: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """Regions by kind: masks, boxes, points and tags."""
        plural = {"segmentation": "masks", "bbox": "boxes", "point": "points", "tag": "tags"}
        kinds = [region.kind for picture in self.pictures for region in picture.regions]
        return {name: kinds.count(kind) for kind, name in plural.items()}


class ConversionReport:
    """What a conversion changed, and what it could not hold: counted by kind, the first named."""

    def __init__(self) -> None:
        self.changed: dict[str, list[str]] = {}
        self.lost: dict[str, list[str]] = {}

    def change(self, what: str, where: str) -> None:
        """Something was read in another form than it was written."""
        self.changed.setdefault(what, []).append(where)

    def lose(self, what: str, where: str) -> None:
        """Something was left out."""
        self.lost.setdefault(what, []).append(where)

    @contextmanager
    def entry(self, where: str) -> Iterator[None]:
        """Read one entry: a ValueError inside leaves it out and says so."""
        try:
            yield
        except ValueError as error:
            self.lose("entry that cannot be read", f"{where}: {error}")

    def text(self, shown: int = SHOWN) -> str:
        """The report for a reader; empty where nothing happened."""
        lines: list[str] = []
        for title, kinds in (("changed", self.changed), ("could not be held", self.lost)):
            lines += [f"{title}:"] if kinds else []
            for what, places in kinds.items():
                lines.append(f"  {what} ({len(places)})")
                lines += [f"    {place:.300}" for place in places[:shown]]
                lines += [f"    and {len(places) - shown} more"] if len(places) > shown else []
        return "\n".join(lines).encode("utf-8", "replace").decode()
