"""The folder of predictions: what `wsis predict` writes there, and how it is read again.

`predictions.json` is a COCO document whose annotations carry a score, for tools that open labels;
`results.json` is the bare list that COCO's evaluation takes; `overlays` holds the pictures. All of
it is written whole or not at all, and from time to time while the work goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from wsislib.atomic import atomic_write, read_json
from wsislib.data.sample import Category
from wsislib.teacher.pseudo_labels import as_document

DOCUMENT, RESULTS, OVERLAYS, LEGEND = "predictions.json", "results.json", "overlays", "legend.txt"
SECONDS_BETWEEN = 20.0  # writes of what is there so far, and ten times what a write takes


@dataclass(frozen=True)
class ImagePredictions:
    """Predictions of one image, best score first, N of them."""

    image: dict[str, Any]  # COCO image record: id, file_name, width and height
    categories: tuple[str, ...]  # N names
    scores: tuple[float, ...]  # N, 0..1
    boxes: tuple[list[float], ...]  # N times [x, y, w, h] in pixels, tight around the mask
    masks: tuple[dict[str, Any], ...]  # N times compressed RLE at the image's size


def read_predictions(path: Path, least_score: float = 0.0) -> Iterator[ImagePredictions]:
    """What `wsis predict` wrote to a folder or a predictions.json, image by image."""
    document = read_json(path / DOCUMENT if path.is_dir() else path)
    names = {category["id"]: category["name"] for category in document["categories"]}
    found: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in document["images"]}
    for annotation in document["annotations"]:
        if annotation["score"] >= least_score:
            found[annotation["image_id"]].append(annotation)
    for image in document["images"]:
        mine = sorted(found[image["id"]], key=lambda annotation: -annotation["score"])
        yield ImagePredictions(
            image,
            tuple(names[a["category_id"]] for a in mine),
            tuple(a["score"] for a in mine),
            tuple(a["bbox"] for a in mine),
            tuple(a["segmentation"] for a in mine),
        )


def overlay_names(names: Sequence[str]) -> list[str]:
    """File names of the overlays of photographs, all different on every system.

    `a.jpg` gives `a.jpg`; where `a.png` lies beside it they give `a.jpg.jpg` and `a.png.jpg`.
    """
    stems = Counter(_stem(name).casefold() for name in names)
    taken: set[str] = set()
    chosen = []
    for name in names:
        base = _stem(name) if stems[_stem(name).casefold()] == 1 else name
        while f"{base}.jpg".casefold() in taken:
            base += "_"
        taken.add(f"{base}.jpg".casefold())
        chosen.append(f"{base}.jpg")
    return chosen


class PredictionFiles:
    """The results of a run in the folder `out`, which is claimed and tried when this is made.

    Args:
        out: the folder; made where it is missing.
        categories: those of the model.
        made_by: what made the predictions, for the document's `info`.
        overlays: names of all overlays that the run may write.
    """

    def __init__(
        self, out: Path, categories: Sequence[Category], made_by: str, overlays: Sequence[str]
    ) -> None:
        self.out, self.categories, self.made_by = out, categories, made_by
        self._overlays = list(overlays)
        self.records: list[dict[str, Any]] = []
        self.results: list[dict[str, Any]] = []
        remove_overlays(out)
        self._next = 0.0
        self.write(complete=False)

    def add(self, record: Mapping[str, Any], results: Sequence[dict[str, Any]]) -> None:
        """Take the results of one image; now and then all so far are written."""
        self.records.append(dict(record))
        self.results += results
        if time.monotonic() >= self._next:
            self.write(complete=False)

    def write(self, complete: bool) -> None:
        """Write both files; `complete` says that nothing is to come."""
        start = time.monotonic()
        document = as_document(self.results, self.records, self.categories, self.made_by)
        document["info"] |= {"complete": complete, "overlays": self._overlays}
        for name, content in ((DOCUMENT, document), (RESULTS, self.results)):
            text = json.dumps(content, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
            atomic_write(self.out / name, text)
        now = time.monotonic()
        self._next = now + max(SECONDS_BETWEEN, 10 * (now - start))


def require_free(out: Path, force: bool, inputs: Sequence[Path]) -> None:
    """Raise ValueError where results in `out` would overwrite something, and try to write there.

    With `force` an earlier run's files may be replaced, but never one of `inputs`, nor pictures in
    the folder of overlays that no run lists. Raises OSError where the folder cannot be written.
    """
    mine = [out / name for name in (DOCUMENT, RESULTS, OVERLAYS)]
    for path in inputs:
        for target in mine:
            if path.exists() and path.resolve().is_relative_to(target.resolve()):
                raise ValueError(f"{path}: would be overwritten; choose another folder with --out")
    there = [path.name for path in mine if path.exists() and not _is_empty_folder(path)]
    if there and not force:
        raise ValueError(
            f"{out}: holds results already ({', '.join(there)}); choose another folder with --out, "
            "or replace them with --force"
        )
    listed = {str(path) for path in _earlier_overlays(out)}
    inside = sorted((out / OVERLAYS).rglob("*")) if (out / OVERLAYS).is_dir() else []
    odd = [path for path in inside if not path.is_dir() and str(path) not in listed]
    if odd:
        raise ValueError(
            f"{odd[0]}: not written by an earlier run of this version ({len(odd)} such files); "
            "move them away, or choose another folder with --out"
        )
    probe = out / f".{DOCUMENT}.{os.getpid()}.trial"
    atomic_write(probe, "")
    probe.unlink()


def remove_overlays(out: Path) -> None:
    """Remove the overlays that an earlier run lists in `out`, and folders that are then empty."""
    for path in _earlier_overlays(out):
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            for folder in list(path.parents)[: len(path.relative_to(out).parts) - 1]:
                folder.rmdir()


def _earlier_overlays(out: Path) -> list[Path]:
    """Overlays that a run's document lists and that are there as files; none of a broken one."""
    try:
        listed = read_json(out / DOCUMENT)["info"]["overlays"]
        names = [PurePosixPath(name) for name in listed] + [PurePosixPath(LEGEND)]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    safe = [name for name in names if not name.is_absolute() and ".." not in name.parts]
    root = (out / OVERLAYS).resolve()
    paths = [out / OVERLAYS / name for name in safe]
    return [p for p in paths if p.is_file() and p.resolve().is_relative_to(root)]


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))
