"""A model's predictions as proposals: matched to images by name, to categories by name.

They come as COCO documents whose annotations have a `score`, or as COCO results, a bare list that
says ids only; a COCO file then says which image and which category an id is.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from wsislib.annotate.documents import require_place
from wsislib.annotate.label_file import LabelFile
from wsislib.data.images import probe_image
from wsislib.data.photographs.coco_labels import annotation_kind, box_of
from wsislib.data.rle import checked_rle, rle_area, rle_box
from wsislib.data.sample import LabelKind

LEAST_SCORE = 0.25


@dataclass
class PredictionFile:
    """What a file predicts, and the names that its ids stand for."""

    path: Path
    source: str  # name and digest of the file
    results: list[dict[str, Any]]
    images: Mapping[Any, dict[str, Any]]  # records by id
    categories: Mapping[Any, str]  # names by id, in the order of the file

    def likely(self, least: float) -> list[dict[str, Any]]:
        """The results whose score is at least `least`; without one they count as sure."""
        scores = ((one, one.get("score", 1.0)) for one in self.results)
        return [
            one
            for one, score in scores
            if isinstance(score, int | float) and least <= score < math.inf
        ]

    def names(self, least: float, new: bool) -> list[str]:
        """The categories that are proposed; of a `new` file of labels all that the model knows."""
        used = {_id(one, "category_id") for one in self.likely(least)}
        return [name for number, name in self.categories.items() if new or number in used]


def read_proposals(path: Path, of: Path | None = None) -> PredictionFile:
    """Read a COCO document, or a bare list of results whose ids the COCO file `of` explains.

    Raises ValueError where a file cannot be read or is neither, or a bare list comes alone.
    """
    document, digest = _parsed(path)
    results, names = document, document
    if isinstance(document, list):
        if of is None:
            raise ValueError(
                f"{path}: a list of results says ids and no names; name the COCO file that it was "
                "predicted for as well (--of FILE)"
            )
        names, _ = _parsed(of)
    elif isinstance(document, dict):
        results = document.get("annotations")
    where = of if isinstance(document, list) and of is not None else path
    images, categories = (
        _records(names, "images", "file_name"),
        _records(names, "categories", "name"),
    )
    if not isinstance(results, list) or images is None or categories is None:
        raise ValueError(
            f"{where}: must be a COCO document with 'images' and 'categories', and predictions a "
            "list of results or the document's 'annotations'"
        )
    return PredictionFile(
        path,
        f"{path.name} {digest}",
        [one for one in results if isinstance(one, dict)],
        images,
        {number: one["name"].strip() for number, one in categories.items()},
    )


def propose(labels: LabelFile, predictions: PredictionFile, least: float = LEAST_SCORE) -> str:
    """Put predictions of a score of at least `least` into `labels`; a sentence on what was taken.

    The same predictions again change nothing. What cannot be drawn, or belongs to no image of the
    folder, is left out and counted.
    Raises ValueError where no prediction fits any image, and as `LabelFile.propose`.
    """
    if labels.proposals_from == predictions.source:  # else what was removed would come back
        waiting = sum(len(work.proposals) for work in labels.all_works())
        return f"{waiting} proposals still wait; {predictions.path} was read before"
    known = {category.name.strip(): category.id for category in labels.categories}
    ids = {number: known[n] for number, n in predictions.categories.items() if n in known}
    names, likely = _names(labels.files, predictions), predictions.likely(least)
    left_out = Counter({f"of a score below {least:g}": len(predictions.results) - len(likely)})
    sizes: dict[str, tuple[int, int]] = {}
    taken: dict[str, list[dict[str, Any]]] = {}
    fault = ""
    for result in likely:
        name, category = names.get(_id(result, "image_id")), ids.get(_id(result, "category_id"))
        if name is None:
            left_out["of images that are not in the folder"] += 1
            continue
        if category is None:
            left_out["of categories that have no name"] += 1
            continue
        try:
            size = sizes.get(name) or _size(labels, name, predictions, result)
            entry = _entry(result, size, predictions.path.name)
        except (ValueError, OSError) as error:
            fault = fault or f" (the first: {name}, {error})"
            left_out["that cannot be drawn"] += 1
            continue
        sizes[name] = size
        score = round(float(result.get("score", 1.0)), 4)
        taken.setdefault(name, []).append({**entry, "category_id": category, "score": score})
    best_first = {n: sorted(some, key=lambda e: -e["score"]) for n, some in taken.items()}
    done = 0
    if taken:
        done = labels.propose({n: (sizes[n], e) for n, e in best_first.items()}, predictions.source)
        over = sum(map(len, taken.values())) - done
        left_out["of images that are finished, or of another size in the file of labels"] = over
    reasons = [f"{count} {reason}" for reason, count in left_out.items() if count]
    wrong = "; ".join(reasons) + fault
    if not taken:
        raise ValueError(f"{predictions.path}: nothing to propose: {wrong or 'it is empty'}")
    return f"{done} proposals" + (f"; left out: {wrong}" if wrong else "")


def _records(document: Any, key: str, name: str) -> dict[Any, dict[str, Any]] | None:
    """Those of a list of the document that have an id and a name, by id; None without a list."""
    records = document.get(key) if isinstance(document, dict) else None
    if not isinstance(records, list):
        return None
    whole = (one for one in records if isinstance(one, dict) and isinstance(one.get(name), str))
    return {_id(one, "id"): one for one in whole if _id(one, "id") is not None}


def _id(record: Mapping[str, Any], key: str) -> int | str | None:
    """An id of a file that may hold anything."""
    value = record.get(key)
    return value if isinstance(value, int | str) else None


def _parsed(path: Path) -> tuple[Any, str]:
    """What a JSON file holds, and its digest."""
    content = path.read_bytes()
    try:
        return json.loads(content), hashlib.sha256(content).hexdigest()
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: is not JSON: {error}; write the predictions again") from None


def _names(files: Sequence[str], predictions: PredictionFile) -> dict[Any, str]:
    """Image ids to names in the folder: the same name, else the only file that ends alike."""
    inside, found = set(files), {}
    by_end: dict[str, list[str]] = {}
    for name in files:
        by_end.setdefault(PurePosixPath(name).name, []).append(name)
    for number, record in predictions.images.items():
        name = record["file_name"].replace("\\", "/")
        alike = by_end.get(PurePosixPath(name).name, [])
        if name in inside:
            found[number] = name
        elif len(alike) == 1:
            found[number] = alike[0]
    return found


def _size(
    labels: LabelFile, name: str, predictions: PredictionFile, result: Mapping[str, Any]
) -> tuple[int, int]:
    """(width, height) of an image as the predictions have it; read where they do not say it."""
    record, segmentation = predictions.images[result["image_id"]], result.get("segmentation")
    said: list[Any] = [record.get("width"), record.get("height")]
    coded = segmentation.get("size") if isinstance(segmentation, dict) else None
    if None in said and isinstance(coded, list):
        said = coded[::-1]
    if len(said) == 2 and all(isinstance(side, int) and side > 0 for side in said):
        return said[0], said[1]
    facts = probe_image(labels.path_of(name))
    return facts.width, facts.height


def _entry(result: Mapping[str, Any], size: tuple[int, int], source: str) -> dict[str, Any]:
    """The place of a result, checked and in the form that the page's own entries have."""
    width, height = size
    require_place(result, height, width)
    kind, head = annotation_kind(result), {"iscrowd": 0, "proposed_by": source}
    if kind == LabelKind.MASK:
        rle = checked_rle(result["segmentation"], height, width)
        if not rle_area(rle):
            raise ValueError("its mask covers no pixel")
        code = {"size": [height, width], "counts": rle["counts"].decode("ascii")}
        kept = result["segmentation"] if isinstance(result["segmentation"], list) else code
        return {**head, "segmentation": kept, "bbox": list(rle_box(rle)), "area": rle_area(rle)}
    if kind == LabelKind.BOX:
        x0, y0, x1, y1 = box_of(result, height, width)
        return {**head, "bbox": [x0, y0, x1 - x0, y1 - y0]}
    return {**head, **({"point": list(result["point"])} if kind == LabelKind.POINT else {})}
