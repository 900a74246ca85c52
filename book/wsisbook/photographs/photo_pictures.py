"""What runs found in photographs, beside the ground truth, with or without the photographs.

Runs keep what they found in some validation images. A photograph is never part of the repository,
and its ground truth only where `wsis truth` was asked to put it beside the runs; so a figure takes
both from the data folder where that has them, and says in one line what it does without.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

from wsisbook.runs.declared import PHOTO, Study
from wsisbook.runs.paths import data_folder
from wsisbook.runs.resolve import keys_of, resolve
from wsisbook.runs.store import RunStore
from wsislib.atomic import atomic_write, read_json
from wsislib.data.images import image_tensor, read_image, resolve_image
from wsislib.data.photographs.coco import CocoDataset
from wsislib.data.photographs.coco_labels import label_of
from wsislib.data.sample import Category
from wsislib.viz import pictures
from wsislib.viz.overlay import Style
from wsislib.viz.pictures import Panel, read_detections

TRUTH_FILE = "truth_examples.json"  # beside the runs: ground truth of the images with examples
SURE = 0.5  # a detection is drawn from this score on
GROUND = 0.95  # grey of the ground that stands for a photograph, 0..1


@dataclass(frozen=True)
class _Scenes:
    """What is known of the images that examples are of."""

    categories: tuple[Category, ...]
    sizes: Mapping[int, tuple[int, int]]  # image id -> height, width in pixels
    truth: Mapping[int, list[dict[str, Any]]] | None  # image id -> COCO annotations
    photographs: Mapping[int, torch.Tensor]  # those that are here, (3, H, W)


def photo_figure(
    root: Path,
    found: Sequence[tuple[Any, list[dict[str, Any]]]],
    images: Sequence[int],
    seed: int,
    sure: float = SURE,
) -> Figure:
    """One line an image: the ground truth where it is here, and what each row found.

    Args:
        root: the results folder of the runs, which may hold `TRUTH_FILE`.
        found: at least one row (`reading.RowResults`) with its examples.
        images: places among the images of the examples; counted round.
        seed: of the examples.
        sure: least score, 0..1, of a detection that is drawn.
    """
    row = found[0][0]
    ids = sorted({result["image_id"] for _, seen in found for result in seen})
    scenes = _scenes(root, row, [r for _, seen in found for r in seen], ids, seed)
    chosen = dict.fromkeys(ids[place % len(ids)] for place in images)
    lines = []
    for image_id in chosen:
        height, width = scenes.sizes[image_id]
        ground = scenes.photographs.get(image_id, torch.full((3, height, width), GROUND))
        line = []
        if scenes.truth is not None:
            index = {category.id: i for i, category in enumerate(scenes.categories)}
            label = label_of(scenes.truth.get(image_id, []), height, width, index)
            line.append(Panel(ground, label))
        for _, seen in found:
            detections = read_detections(seen, image_id, scenes.categories, height, width)
            line.append(Panel(ground, detections))
        lines.append(line)
    titles = ["ground truth"] if scenes.truth is not None else []
    titles += [row.title for row, _ in found]
    style = Style(alpha=0.45 if scenes.photographs else 0.8, min_score=sure)
    figure = pictures.pictures(lines, scenes.categories, titles=titles, style=style)
    figure.set_figheight(figure.get_figheight() + 0.25)
    said = f"Found with a score of {sure:g} or more, seed {seed}. {_absent(scenes)}"
    figure.supxlabel(said.strip(), fontsize=7)
    return figure


def _absent(scenes: _Scenes) -> str:
    """What the data folder lacks, in one line; "" if nothing."""
    lacking = [] if scenes.photographs else ["photographs"]
    lacking += ["ground truth"] if scenes.truth is None else []
    what = " and ".join(lacking)
    return f"Without {what}: the data folder of this build does not have them." if what else ""


def _scenes(
    root: Path, row: Any, seen: Sequence[Mapping[str, Any]], ids: list[int], seed: int
) -> _Scenes:
    """Ground truth and photographs, where they are those that the runs were judged by."""
    facts = read_json(row.folder(seed) / "environment.json")
    fingerprint = facts["data"].get("val")
    here = _data_here(row.config, fingerprint)
    document = None if here is None else CocoDataset(*here, image_ids=ids).ground_truth()
    if document is None:
        document = _kept_truth(root, fingerprint)
    if document is None:
        sizes = {r["image_id"]: tuple(r["segmentation"]["size"]) for r in seen}
        names = (row.metrics(seed) or {}).get("per_category", {}).get("segm", {})
        # Ids of VOC are 1 to 20; an id that has no name so is its own.
        known = dict(enumerate(names, start=1))
        used = {r["category_id"] for r in seen} - known.keys()
        known |= {number: f"category {number}" for number in used}
        return _Scenes(_ordered(row.config, known), sizes, None, {})
    known = {category["id"]: category["name"] for category in document["categories"]}
    records = {record["id"]: record for record in document["images"] if record["id"] in ids}
    truth: dict[int, list[dict[str, Any]]] = {image_id: [] for image_id in ids}
    for annotation in document["annotations"]:
        if annotation["image_id"] in truth:
            truth[annotation["image_id"]].append(annotation)
    photographs = {}
    if here is not None:
        for image_id, record in records.items():
            file = resolve_image(here[1], record["file_name"])
            photographs[image_id] = image_tensor(read_image(file))
    sizes = {image_id: (r["height"], r["width"]) for image_id, r in records.items()}
    return _Scenes(_ordered(row.config, known), sizes, truth, photographs)


def _ordered(config: Any, names: Mapping[int, str]) -> tuple[Category, ...]:
    """The categories, the frequent ones first: neighbours have colours that differ most."""
    frequent = list(getattr(config, "frequent", ()))
    rank = {name: place for place, name in enumerate(frequent)}
    ids = sorted(names, key=lambda number: (rank.get(names[number], len(rank)), number))
    return tuple(Category(number, names[number]) for number in ids)


def _data_here(config: Any, fingerprint: str | None) -> tuple[Any, Any] | None:
    """Annotations and images of the validation data, if the data folder has those very ones."""
    if getattr(config, "data", "") != "coco":
        return None
    file, root = (data_folder() / name for name in (config.val_annotations, config.val_images))
    if not file.is_file() or not root.is_dir():
        return None
    try:
        same = CocoDataset(file, root).fingerprint() == fingerprint
    except (OSError, ValueError):  # half a data folder: pictures do without it
        return None
    return (file, root) if same else None


def _kept_truth(root: Path, fingerprint: str | None) -> dict[str, Any] | None:
    """The ground truth that `write_truth` put beside the runs, if it is of the same data."""
    file = root / TRUTH_FILE
    document = read_json(file) if file.is_file() else None
    return document if document and document["fingerprint"] == fingerprint else None


def write_truth(study: Study, store: RunStore) -> Path:
    """Put the ground truth of the images that runs keep examples of beside the runs.

    That of the first run that is there: all tables of photographs are judged by the same images.

    Raises:
        ValueError: no run is there, or the data folder does not hold what it was judged by.
    """
    for key in keys_of(study, PHOTO):
        ids = sorted({result["image_id"] for result in store.read(key, "examples.json") or []})
        if not ids:
            continue
        config = resolve(study, key).config
        fingerprint = (store.read(key, "environment.json") or {}).get("data", {}).get("val")
        here = _data_here(config, fingerprint)
        if here is None:
            raise ValueError(
                f"{data_folder()}: lacks the photographs that the run {key} was judged by; name "
                "the folder that has them in WSIS_DATA"
            )
        truth = CocoDataset(*here, image_ids=ids).ground_truth()
        text = json.dumps({"fingerprint": fingerprint, **truth}, separators=(",", ":"))
        atomic_write(store.root / TRUTH_FILE, text + "\n")
        return store.root / TRUTH_FILE
    raise ValueError(f"{store.root}: no run on photographs is there; `wsis plan --scale photo`")
