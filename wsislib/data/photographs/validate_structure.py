"""Checks of a COCO JSON file's skeleton: keys, types, ids and references, no geometry."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wsislib.data.photographs.validate_report import Location, Problem, Report, require_trainable
from wsislib.data.rle import MAX_PIXELS

_KEYS: dict[str, dict[str, type]] = {
    "categories": {"id": int, "name": str},
    "images": {"id": int, "file_name": str, "width": int, "height": int},
    "annotations": {"id": int, "image_id": int, "category_id": int},
}
_TYPES = {int: "a whole number", str: "text"}
# Exports of labelling tools break these rules in known ways, which conversion mends.
CONVERT = "`wsis data convert FILE --to CLEAN.json` does it"


def read_document(path: Path) -> tuple[dict[str, Any] | None, list[Problem]]:
    """A parsed COCO JSON file, or None with the problem that says why there is none."""
    here = Location(str(path))
    try:
        content = path.read_bytes()
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        return None, [here.error("file-unreadable", message, "give the path of a file")]
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        message = f"is not JSON: {error}"
        return None, [here.error("not-json", message, "export the annotations again")]
    if not isinstance(document, dict):
        message = f"holds a JSON {type(document).__name__}, must be an object"
        remedy = "export the annotations as COCO JSON"
        return None, [here.error("wrong-type", message, remedy)]
    return document, []


def read_sound_document(path: Path) -> dict[str, Any]:
    """A parsed COCO JSON file; raises ValueError listing every error of its structure."""
    document, problems = read_document(path)
    if document is not None:
        problems = list(check_structure(document, path))
    require_trainable(Report.of(str(path), problems))
    assert document is not None  # else there is a problem
    return document


def check_structure(document: dict[str, Any], path: Path) -> Iterator[Problem]:
    """Every problem of keys, types, ids and references, in file order."""
    here = Location(str(path))
    for name in _KEYS:
        if name not in document:
            remedy = f"add '{name}': a list, empty if need be"
            yield here.error("missing-key", f"has no '{name}'", remedy)
        elif not isinstance(document[name], list):
            message = f"'{name}' is {type(document[name]).__name__}, must be a list"
            yield here.error("wrong-type", message, f"make '{name}' a list")
    for name, one in (("categories", "category"), ("images", "image")):
        if document.get(name) == []:
            yield here.error(f"no-{name}", f"'{name}' is empty", f"declare every {one}")
    for name in _KEYS:
        yield from _check_records(document, name, path)
    yield from _check_categories(document, path)
    yield from _check_image_records(document, path)
    yield from _check_references(document, path)


def whole_records(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The records of 'categories', 'images' or 'annotations' that have all keys, well typed."""
    return [
        record
        for record in _records(document, name)
        if isinstance(record, dict)
        and all(_has_type(record.get(k), t) for k, t in _KEYS[name].items())
    ]


def has_legal_size(image: dict[str, Any]) -> bool:
    """Whether a well-typed image record declares a size that is read."""
    width, height = image["width"], image["height"]
    return min(width, height) >= 1 and bool(width * height <= MAX_PIXELS)


def _records(document: dict[str, Any], name: str) -> list[Any]:
    records = document.get(name)
    return records if isinstance(records, list) else []


def _has_type(value: object, kind: type) -> bool:
    if isinstance(value, str) and not value.isprintable():
        # JSON can hold halves of characters, which no file name or page can.
        return kind is str and not any("\ud800" <= character <= "\udfff" for character in value)
    return isinstance(value, kind) and not isinstance(value, bool)


def _check_records(document: dict[str, Any], name: str, path: Path) -> Iterator[Problem]:
    """Keys, types, zero and repeated ids of one list of records."""
    first: dict[int, int] = {}
    for index, record in enumerate(_records(document, name)):
        where = f"{name}[{index}]"
        if not isinstance(record, dict):
            message = f"{where} is {type(record).__name__}, must be an object"
            yield Location(str(path)).error("wrong-type", message, "write it as a COCO record")
            continue
        here = record_location(record, name, path)
        for key, kind in _KEYS[name].items():
            if key not in record:
                yield here.error("missing-key", f"{where} has no '{key}'", f"add '{key}'")
            elif not _has_type(record[key], kind):
                message = f"{where}: '{key}' is {record[key]!r:.60}, must be {_TYPES[kind]}"
                yield here.error("wrong-type", message, f"correct '{key}', or {CONVERT}")
        number: Any = record.get("id")
        if not _has_type(number, int):
            continue
        if number < 1:
            message = f"{where} has id {number}; ids start at 1 (evaluators read 0 as 'no match')"
            yield here.error("zero-id", message, f"number the {name} from 1, or {CONVERT}")
        if number in first:
            message = f"{where} has id {number}, which {name}[{first[number]}] has already"
            yield here.error("duplicate-id", message, f"give every record its own id, or {CONVERT}")
        first.setdefault(number, index)


def _check_categories(document: dict[str, Any], path: Path) -> Iterator[Problem]:
    """Blank names, and names that people cannot tell apart."""
    here, ids = Location(str(path)), dict[str, int]()
    for record in whole_records(document, "categories"):
        name = " ".join(unicodedata.normalize("NFC", record["name"]).split())
        if not name:
            message = f"category {record['id']} has the blank name {record['name']!r}"
            yield here.error("blank-name", message, "give every category a name")
        elif name in ids:
            message = f"categories {ids[name]} and {record['id']} share the name '{name}'"
            remedy = "give every category its own name, or make them one category"
            yield here.error("duplicate-name", message, remedy)
        ids.setdefault(name, record["id"])


def _check_image_records(document: dict[str, Any], path: Path) -> Iterator[Problem]:
    files: dict[str, int] = {}
    for record in whole_records(document, "images"):
        here = record_location(record, "images", path)
        if not has_legal_size(record):
            size = f"{record['width']} x {record['height']}"
            message = f"declares {size}; 1 to {MAX_PIXELS} pixels are read"
            yield here.error("image-size", message, "write the image's size in pixels")
        name = record["file_name"]
        if name in files:
            message = f"images {files[name]} and {record['id']} are the same file '{name}'"
            yield here.warning("duplicate-file", message, "declare the image once")
        files.setdefault(name, record["id"])


def _check_references(document: dict[str, Any], path: Path) -> Iterator[Problem]:
    images = {record["id"] for record in whole_records(document, "images")}
    categories = {record["id"] for record in whole_records(document, "categories")}
    for record in whole_records(document, "annotations"):
        here = record_location(record, "annotations", path)
        if record["image_id"] not in images:
            message = f"belongs to image {record['image_id']}, which is not declared"
            remedy = "declare the image, or delete the annotation"
            yield here.error("unknown-image", message, remedy)
        if record["category_id"] not in categories:
            message = f"has category {record['category_id']}, which is not declared"
            yield here.error("unknown-category", message, "declare it under 'categories'")
        if record.get("iscrowd", 0) not in (0, 1):
            message = f"'iscrowd' is {record['iscrowd']!r:.60}"
            yield here.error("wrong-type", message, "make 'iscrowd' 0 or 1")


def record_location(record: dict[str, Any], name: str, path: Path) -> Location:
    """The location of one record of 'images' or 'annotations', with the ids that it has."""
    keys = {"images": ("id",), "annotations": ("image_id", "id")}.get(name, ())
    values = (record.get(key) for key in keys)
    return Location(str(path), *(value if _has_type(value, int) else None for value in values))
