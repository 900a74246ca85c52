"""Between a COCO file and what is labelled of each image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wsislib.annotate.image_labels import Entry, ImageLabels
from wsislib.data.photographs.coco_labels import numbers
from wsislib.data.photographs.validate_report import Report, require_trainable
from wsislib.data.photographs.validate_structure import check_structure, read_document
from wsislib.data.rle import checked_rle

_IMAGE_KEYS = ("id", "file_name", "width", "height", "seconds")


def read_labels(path: Path) -> dict[str, Any]:
    """The document at `path`; raises ValueError listing every fault, also of its drafts."""
    document, problems = read_document(path)
    sound = document is not None and _are_drafts(document.get("drafts", []))
    if document is not None:
        whole = {**document, **_with_drafts(document)} if sound else document
        problems = [p for p in check_structure(whole, path) if p.code != "no-images"]
    require_trainable(Report.of(str(path), problems))
    assert document is not None  # else there is a problem
    if not sound:
        raise ValueError(
            f"{path}: 'drafts' must be a list of image records, each with a list of 'annotations'; "
            "mend it or take it out"
        )
    for work in works_of(document).values():
        _require_places(work, path)
    return document


def _require_places(work: ImageLabels, path: Path) -> None:
    """Raise ValueError, naming the entry, where the place of one cannot be drawn."""
    for entry in work.entries:
        try:
            for key, count in (("bbox", 4), ("point", 2)):
                if entry.get(key):
                    numbers(entry[key], key, count)
            if entry.get("segmentation"):
                checked_rle(entry["segmentation"], work.height, work.width)
        except ValueError as error:
            raise ValueError(
                f"{path}, image {work.id}, annotation {entry['id']}: {error}; mend it or take it "
                "out (`wsis data check` lists everything that is wrong)"
            ) from None


def works_of(document: dict[str, Any]) -> dict[str, ImageLabels]:
    """What a sound document says of each image."""
    by_image: dict[int, list[Entry]] = {}
    for annotation in document.get("annotations", []):
        entry = {key: value for key, value in annotation.items() if key != "image_id"}
        by_image.setdefault(annotation["image_id"], []).append(entry)
    works = [_work(r, by_image.get(r["id"], []), True) for r in document.get("images", [])]
    works += [_work(r, r["annotations"], False) for r in document.get("drafts", [])]
    return {work.file_name: work for work in works}


def document_of(
    works: Sequence[ImageLabels], categories: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """The COCO document of `works`: finished ones as images, the others as drafts."""
    done = [work for work in works if work.finished]
    drafts = [
        {**_record(work), "annotations": [dict(entry) for entry in work.entries]}
        for work in works
        if not work.finished
    ]
    return {
        "images": [_record(work) for work in done],
        "annotations": [{**e, "image_id": work.id} for work in done for e in work.entries],
        "categories": list(categories),
        **({"drafts": drafts} if drafts else {}),
    }


def _are_drafts(drafts: Any) -> bool:
    return isinstance(drafts, list) and all(
        isinstance(draft, dict)
        and isinstance(draft.get("annotations"), list)
        and all(isinstance(entry, dict) for entry in draft["annotations"])
        for draft in drafts
    )


def _with_drafts(document: dict[str, Any]) -> dict[str, Any]:
    """Images and annotations as they would be if every draft were finished."""
    images, annotations = document.get("images"), document.get("annotations")
    if not isinstance(images, list) or not isinstance(annotations, list):
        return {}
    drafts = document.get("drafts", [])
    more = [{**entry, "image_id": d.get("id")} for d in drafts for entry in d["annotations"]]
    return {"images": [*images, *drafts], "annotations": [*annotations, *more]}


def _work(record: dict[str, Any], entries: Sequence[Entry], finished: bool) -> ImageLabels:
    other = {k: v for k, v in record.items() if k not in (*_IMAGE_KEYS, "annotations")}
    seconds = record.get("seconds", 0.0)
    return ImageLabels(
        file_name=record["file_name"],
        width=record["width"],
        height=record["height"],
        entries=tuple(entries),
        finished=finished,
        seconds=float(seconds) if isinstance(seconds, int | float) else 0.0,
        id=record["id"],
        record=other,
    )


def _record(work: ImageLabels) -> dict[str, Any]:
    facts = {"id": work.id, "file_name": work.file_name, "width": work.width, "height": work.height}
    return {**facts, **work.record, **({"seconds": work.seconds} if work.seconds else {})}
