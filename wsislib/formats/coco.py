"""COCO documents: as tools really write them, read; as this library wants them, written.

Ids may be missing, text, floats, from 0 or given twice; sizes may be missing; key points may stand
in for points; `iscrowd` may be null, or 1 everywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wsislib.data.rle import checked_rle, rle_area
from wsislib.formats.picture_names import PictureFinder
from wsislib.formats.record import ConversionReport, LabelledPicture, Labels, Region
from wsislib.formats.untrusted import list_of, mapping_of, name_of, number, parse_json, whole_number

Key = int | str
_IMAGE_KEYS = {"id", "file_name", "width", "height"}
_ANNOTATION_KEYS = {
    "id", "image_id", "category_id", "segmentation", "bbox", "point", "area", "iscrowd", "score",
}  # fmt: skip
_NUMBERED_ANEW = "ids of {} numbered anew"
_NO_NUMBERS = "ids of {} that are text or floats, read as numbers"


def read_coco(source: Path, finder: PictureFinder, report: ConversionReport) -> Labels:
    """The labels of a COCO document, whatever its ids are."""
    content = parse_json(source)
    if isinstance(content, list):
        raise ValueError(
            f"{source}: is a list of COCO results, which names neither pictures nor categories; "
            "give the document that has 'images', 'annotations' and 'categories'"
        )
    document = mapping_of(content, str(source))
    lists = {key: list_of(document.get(key), key) for key in ("images", "annotations")}
    names, ids, extra = _categories(list_of(document.get("categories"), "categories"), report)
    pictures, by_key = _pictures(lists["images"], report)
    _annotations(lists["annotations"], by_key, names, report)
    for key in document:
        if key not in ("images", "annotations", "categories", "info", "licenses"):
            report.lose("part of the document beside images, annotations and categories", repr(key))
    info: dict[str, Any] = {key: document[key] for key in ("info", "licenses") if key in document}
    return Labels(pictures, list(dict.fromkeys(names.values())), ids, extra, info)


def _categories(
    records: Sequence[Any], report: ConversionReport
) -> tuple[dict[Key, str], dict[str, int], dict[str, Mapping[str, Any]]]:
    """Names by key, ids by name where they can stay, and other keys by name."""
    names: dict[Key, str] = {}
    extra: dict[str, Mapping[str, Any]] = {}
    for place, record in enumerate(records):
        with report.entry(f"categories[{place}]"):
            key = _key(mapping_of(record, "category").get("id"), "id")
            if key in names:
                raise ValueError(f"id {key!r} is given twice")
            name = name_of(record.get("name") or f"category {key}", "name")
            if name in names.values():
                report.change("categories of one name, joined", f"{name!r} (id {key})")
            if name != record.get("name"):
                report.change("name of a category", f"{record.get('name')!r:.60} -> {name!r}")
            names[key] = name
            extra.setdefault(name, {k: v for k, v in record.items() if k not in ("id", "name")})
    _note_texts(records, "categories", report)
    ids = {name: key for key, name in reversed(names.items()) if isinstance(key, int)}
    if len(ids) < len(set(names.values())) or min(ids.values(), default=1) < 1:
        report.change(_NUMBERED_ANEW.format("categories"), f"{list(names)[:5]}")
        ids = {}
    return names, ids, extra


def _pictures(
    records: Sequence[Any], report: ConversionReport
) -> tuple[list[LabelledPicture], dict[Key, LabelledPicture]]:
    pictures: list[LabelledPicture] = []
    by_key: dict[Key, LabelledPicture] = {}
    for place, record in enumerate(records):
        with report.entry(f"images[{place}]"):
            key = _key(mapping_of(record, "image").get("id"), "id")
            name = name_of(record.get("file_name") or record.get("path"), "file_name")
            if key in by_key:
                same = name == by_key[key].name
                raise ValueError(f"id {key!r} is given twice{'' if same else f', here for {name}'}")
            picture = LabelledPicture(name, id=key if isinstance(key, int) and key > 0 else None)
            size = [record.get("width"), record.get("height")]
            if all(side not in (None, 0, "", "0") for side in size):
                picture.width, picture.height = (whole_number(side, "size") for side in size)
            picture.extra = {k: v for k, v in record.items() if k not in _IMAGE_KEYS}
            pictures.append(picture)
            by_key[key] = picture
    _note_texts(records, "images", report)
    if any(picture.id is None for picture in pictures):
        report.change(_NUMBERED_ANEW.format("images"), f"{list(by_key)[:5]}")
        for picture in pictures:
            picture.id = None
    return pictures, by_key


def _annotations(
    records: Sequence[Any],
    by_key: Mapping[Key, LabelledPicture],
    names: Mapping[Key, str],
    report: ConversionReport,
) -> None:
    """Add every annotation to its picture."""
    marks = [_crowd(record, report) for record in records]
    if records and all(marks):
        what = "crowd mark of every annotation, read as objects (nothing could be learnt else)"
        report.change(what, f"{len(marks)} annotations")
        marks = [False] * len(marks)
    seen: Counter[Any] = Counter(_raw_id(record) for record in records if isinstance(record, dict))
    keep = all(isinstance(id, int) and id > 0 and seen[id] == 1 for id in seen)
    if not keep:
        some = next(id for id in seen if not (isinstance(id, int) and id > 0 and seen[id] == 1))
        report.change(_NUMBERED_ANEW.format("annotations"), f"such as {some!r:.60}")
    for place, (record, crowd) in enumerate(zip(records, marks, strict=True)):
        where = f"annotation {_raw_id(record) if keep else f'at place {place}'}"
        with report.entry(where):
            image = _key(mapping_of(record, "annotation").get("image_id"), "image_id")
            category = _key(record.get("category_id"), "category_id")
            if image not in by_key:
                raise ValueError(f"no image {image!r:.60} is declared")
            if category not in names:
                raise ValueError(f"no category {category!r:.60} is declared")
            fields = {k: record[k] for k in ("segmentation", "bbox", "point") if record.get(k)}
            extra = {k: v for k, v in record.items() if k not in _ANNOTATION_KEYS}
            if extra.get("keypoints"):
                _read_key_points(fields, extra, where, report)
            if keep:
                extra["id"] = record["id"]
            score = record.get("score")
            score = None if score is None else number(score, "score")
            region = Region(names[category], fields, score, crowd, extra=extra)
            by_key[image].regions.append(region)


def _read_key_points(
    fields: dict[str, Any], extra: dict[str, Any], where: str, report: ConversionReport
) -> None:
    """Key points of an annotation without a mask and with an empty box, or none, are its point."""
    box = [number(side, "bbox") for side in list_of(fields.get("bbox", []), "bbox")]
    if fields.get("segmentation") or fields.get("point") or (len(box) == 4 and box[2] and box[3]):
        return
    values = [number(v, "keypoints") for v in list_of(extra.pop("keypoints"), "keypoints")]
    extra.pop("num_keypoints", None)
    fields.pop("bbox", None)
    triples = list(zip(values[::3], values[1::3], values[2::3], strict=False))
    visible = [(x, y) for x, y, v in triples if v > 0]
    if not visible:
        raise ValueError("key points of which none is visible, and no box")
    report.change("key point with an empty box, read as a point", where)
    if len(visible) > 1:
        report.lose("key points of one object after its first", f"{where}: {len(visible) - 1}")
    fields["point"] = list(visible[0])


def _crowd(record: Any, report: ConversionReport) -> bool:
    mark = record.get("iscrowd", 0) if isinstance(record, dict) else 0
    if mark not in (0, 1):
        report.change("iscrowd that is neither 0 nor 1, read as 0", f"{mark!r:.60}")
    return bool(mark == 1)


def _note_texts(records: Sequence[Any], what: str, report: ConversionReport) -> None:
    odd = [_raw_id(r) for r in records if isinstance(r, dict) and not isinstance(r.get("id"), int)]
    if odd:
        report.change(_NO_NUMBERS.format(what), f"{odd[:5]!r:.200}")


def _raw_id(record: Any) -> Any:
    id = record.get("id") if isinstance(record, dict) else None
    return id if isinstance(id, int | str) and not isinstance(id, bool) else repr(id)


def _key(value: Any, what: str) -> Key:
    """An id of any kind as a number where it says one, else as text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return whole_number(value, what)
    text = name_of(value, what)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text


def labels_document(labels: Labels, report: ConversionReport) -> dict[str, Any]:
    """The COCO document of cleaned labels, which `wsis data check` accepts."""
    known = dict(labels.ids) or {name: place for place, name in enumerate(labels.names, start=1)}
    ids: list[Any] = [region.extra.get("id") for p in labels.pictures for region in p.regions]
    keep = None not in ids and len(set(ids)) == len(ids)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for place, picture in enumerate(labels.pictures, start=1):
        record = {"id": picture.id or place, "file_name": picture.name}
        size = {"width": picture.width, "height": picture.height}
        images.append({**record, **size, **picture.extra})
        for region in picture.regions:
            entry = {
                "id": region.extra["id"] if keep else len(annotations) + 1,
                "image_id": record["id"],
                "category_id": known[region.category],
                "iscrowd": int(region.crowd),
                **region.fields,
            }
            if region.kind == "segmentation":
                assert picture.width is not None and picture.height is not None
                rle = checked_rle(region.fields["segmentation"], picture.height, picture.width)
                entry["area"] = rle_area(rle)
            elif region.kind == "bbox":
                entry["area"] = round(region.fields["bbox"][2] * region.fields["bbox"][3], 6)
            if region.score is not None:
                entry["score"] = region.score
            annotations.append({**region.extra, **entry})
    annotations.sort(key=lambda annotation: annotation["id"])
    categories = [{"id": known[n], "name": n, **labels.extra.get(n, {})} for n in labels.names]
    return {**labels.info, "images": images, "annotations": annotations, "categories": categories}
