"""Between a COCO file and what is labelled of each image.

A draft, an image that nobody has finished, is a record as of COCO's `images` with its own
`annotations`, and with `proposals`, those of a model that wait for a person.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
            "(and perhaps of 'proposals'); mend it or take it out"
        )
    for work in works_of(document).values():
        _require_places(work, path)
    return document


def require_place(entry: Entry, height: int, width: int) -> None:
    """Raise ValueError where the place of an entry cannot be drawn in an image of that size."""
    for key, count in (("bbox", 4), ("point", 2)):
        if entry.get(key):
            numbers(entry[key], key, count)
    if entry.get("segmentation"):
        checked_rle(entry["segmentation"], height, width)


def _require_places(work: ImageLabels, path: Path) -> None:
    """Raise ValueError, naming the entry, where the place of one cannot be drawn.

    Proposals, which may be a hundred an image, are checked when their image is shown.
    """
    for entry in work.entries:
        try:
            require_place(entry, work.height, work.width)
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


class DocumentText:
    """The JSON text of labels: a line for each image, annotation and draft.

    After a change only the lines of the image that changed are made anew; a file of thousands of
    images is written after every click.
    """

    def __init__(self) -> None:
        self._lines: dict[str, tuple[ImageLabels, str, list[str]]] = {}

    def of(
        self,
        works: Sequence[ImageLabels],
        categories: Sequence[dict[str, Any]],
        rest: Mapping[str, Any],
    ) -> str:
        """Finished `works` as images, the others as drafts; `rest` are the document's other keys.

        Raises ValueError for a number that JSON cannot say.
        """
        images, annotations, drafts = [], [], []
        for work in works:
            known = self._lines.get(work.file_name)
            if known is None or known[0] is not work:
                known = self._lines[work.file_name] = (work, *_lines(work))
            if work.finished:
                images.append(known[1])
                annotations += known[2]
            else:
                drafts.append(known[1])
        lists = {"images": images, "annotations": annotations, "categories": map(_json, categories)}
        parts = [f"{_json(key)}: {_json(value)}" for key, value in rest.items()]
        for key, lines in {**lists, **({"drafts": drafts} if drafts else {})}.items():
            inner = ",\n".join(lines)
            parts.append(f'"{key}": [\n{inner}\n]' if inner else f'"{key}": []')
        return "{\n" + ",\n".join(parts) + "\n}\n"


def _lines(work: ImageLabels) -> tuple[str, list[str]]:
    """Of one image: its record, and its annotations where those stand elsewhere."""
    if work.finished:
        return _json(_record(work)), [_json({**e, "image_id": work.id}) for e in work.entries]
    lists = {
        "annotations": work.entries,
        **({"proposals": work.proposals} if work.proposals else {}),
    }
    return _json({**_record(work), **{k: list(map(dict, v)) for k, v in lists.items()}}), []


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _are_drafts(drafts: Any) -> bool:
    return isinstance(drafts, list) and all(
        isinstance(draft, dict)
        and isinstance(draft.get("annotations"), list)
        and isinstance(draft.get("proposals", []), list)
        and all(isinstance(entry, dict) for entry in _all_of(draft))
        for draft in drafts
    )


def _all_of(draft: dict[str, Any]) -> list[Any]:
    """What a draft has of either kind."""
    return [*draft["annotations"], *draft.get("proposals", [])]


def _with_drafts(document: dict[str, Any]) -> dict[str, Any]:
    """Images and annotations as they would be if every draft were finished."""
    images, annotations = document.get("images"), document.get("annotations")
    if not isinstance(images, list) or not isinstance(annotations, list):
        return {}
    drafts = document.get("drafts", [])
    more = [{**entry, "image_id": d.get("id")} for d in drafts for entry in _all_of(d)]
    return {"images": [*images, *drafts], "annotations": [*annotations, *more]}


def _work(record: dict[str, Any], entries: Sequence[Entry], finished: bool) -> ImageLabels:
    other = {k: v for k, v in record.items() if k not in (*_IMAGE_KEYS, "annotations", "proposals")}
    seconds = record.get("seconds", 0.0)
    if finished and seconds and not entries:
        other["finished"] = True  # somebody worked on it here
    return ImageLabels(
        file_name=record["file_name"],
        width=record["width"],
        height=record["height"],
        entries=tuple(entries),
        finished=finished,
        seconds=float(seconds) if isinstance(seconds, int | float) else 0.0,
        id=record["id"],
        proposals=() if finished else tuple(record.get("proposals", [])),
        record=other,
    )


def _record(work: ImageLabels) -> dict[str, Any]:
    facts = {"id": work.id, "file_name": work.file_name, "width": work.width, "height": work.height}
    return {**facts, **work.record, **({"seconds": work.seconds} if work.seconds else {})}
