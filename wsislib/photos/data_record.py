"""What a training's data were, image by image, so that a change can be said and not only seen.

`data.json` in the run's folder: for each image its file name, size and short digests of the
picture and of each field of its annotations.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wsislib.atomic import atomic_write, read_json
from wsislib.data.photographs.coco import CocoDataset

_FIELDS = ("category_id", "iscrowd", "bbox", "area", "segmentation", "point")
_SHOWN = 3  # images that a message names
_DIGITS = 10

Record = dict[str, Any]


def record_of(dataset: CocoDataset) -> Record:
    """The record of a data set; reads every image file unless its digest is known."""
    images = {}
    digests = dataset.picture_digests
    for record in dataset.records():
        members = dataset.annotations_of(record["id"])
        images[str(record["id"])] = {
            "file_name": record["file_name"],
            "size": [record["width"], record["height"]],
            "picture": digests[record["id"]].hex()[:_DIGITS],
            "annotations": len(members),
            **{name: _digest([a.get(name) for a in members]) for name in _FIELDS},
        }
    categories = {str(category.id): category.name for category in dataset.categories}
    return {"categories": categories, "images": images}


def write_record(folder: Path, record: Record) -> None:
    """Write a record, one image a line."""
    head = json.dumps(record["categories"], ensure_ascii=False)
    lines = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in record["images"].items()]
    text = ",\n".join(lines)
    atomic_write(folder / "data.json", f'{{"categories": {head}, "images": {{\n{text}\n}}}}\n')


def describe_change(folder: Path, now: Record) -> str:
    """How the data differ from those that were recorded in `folder`, in a sentence.

    "" where none were recorded, or the record cannot be read.
    """
    try:
        then = read_json(folder / "data.json")
        before, after = then["images"], now["images"]
        parts = _changed_categories(then["categories"], now["categories"])
        for what, ids in (
            ("added", [i for i in after if i not in before]),
            ("removed", [i for i in before if i not in after]),
        ):
            if ids:
                parts.append(f"{_count(len(ids))} {what} ({_some(ids, {**before, **after})})")
        changed: dict[str, list[str]] = {}
        for i in after:
            fields = _changed_fields(before[i], after[i]) if i in before else []
            if fields:
                changed.setdefault(" and ".join(fields), []).append(i)
        for fields_text, ids in changed.items():
            parts.append(f"{fields_text} of {_count(len(ids))} changed ({_some(ids, after)})")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""
    if not parts and list(before) != list(after):
        parts = ["the order of the images changed"]
    return "; ".join(parts)


def _changed_fields(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs of one image, in words."""
    names = {"picture": "the picture", "size": "the size", "file_name": "the file name"}
    if then["annotations"] != now["annotations"]:
        whole = [text for name, text in names.items() if then[name] != now[name]]
        return [*whole, "the number of annotations"]
    return [
        names.get(name, f"'{name}'")
        for name in (*names, *_FIELDS)
        if then.get(name) != now.get(name)
    ]


def _changed_categories(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    parts = []
    for what, some, others in (("new", now, then), ("gone", then, now)):
        odd = [f"{i} '{name}'" for i, name in some.items() if others.get(i) != name]
        if odd:
            parts.append(f"categories {what}: {', '.join(odd[:_SHOWN])}")
    return parts


def _some(ids: list[str], records: Mapping[str, Any]) -> str:
    named = [f"{i} {records[i]['file_name']}" for i in ids[:_SHOWN]]
    return ", ".join(named) + (", ..." if len(ids) > _SHOWN else "")


def _count(number: int) -> str:
    return f"{number} image{'' if number == 1 else 's'}"


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
