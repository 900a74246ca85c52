"""`wsis data check`, `wsis data make` and `wsis data voc2coco`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from wsislib.data.photographs.validate_report import Report

Kind = Literal["tag", "point", "box", "mask"]


def check(
    path: Path,
    /,
    images: Path | None = None,
    kind: Kind = "mask",
    least: Kind | None = None,
    split: str | None = None,
    mend: Path | None = None,
    allow_empty: bool = False,
    json: bool = False,
) -> int:
    """Read a whole data set and report every problem before anything trains.

    Ends with 0 where training may start, with 1 where it may not. Nothing is written unless
    --mend asks for it.

    Args:
        path: a COCO JSON file, a folder with annotations.json, or a VOC folder.
        images: folder that the file names are relative to; `images` beside the annotations
            where not given. COCO only.
        kind: the strongest kind of label that will be read. COCO only.
        least: the kind that every annotation must have; a box where not given. Give tag or
            point for a model that learns from those. COCO only.
        split: train, val, trainval or trainaug. VOC only; train where not given.
        mend: write a copy of the JSON file without the annotations that have errors, and
            report on the copy. The original stays as it is. COCO only.
        allow_empty: a file without any annotation is meant so. COCO only.
        json: print the report as JSON.
    """
    from wsislib.data.photographs.validate import repairable

    again = partial(_report, kind=kind, least=least, allow_empty=allow_empty)
    report = again(path, images, split=split)
    if mend is not None:
        report = _mended(report, mend, path, images, again)
    print(report.to_json() if json else report.text())
    if mend is None and report.source.endswith(".json") and repairable(report):
        print("--mend COPY.json writes a copy without the faulty annotations", file=sys.stderr)
    return 0 if report.may_train else 1


def make(
    folder: Path, /, categories: int = 80, count: int = 100, size: int = 96, seed: int = 0
) -> int:
    """Draw scenes of the procedural world into a folder in COCO format.

    The same arguments give the same scenes; an interrupted call goes on where it stopped.

    Args:
        folder: gets images/*.png and annotations.json; must be new, empty or of these scenes.
        categories: how many, 1 to 3000.
        count: how many scenes.
        size: side of a scene in pixels.
        seed: of the scenes.
    """
    from tqdm import tqdm

    from wsislib.data.world import WorldDataset, WorldSpec, export_coco

    dataset = WorldDataset(WorldSpec(categories=categories, size=size), seed=seed, count=count)
    written = export_coco(dataset, folder, lambda places: tqdm(places, unit="scene", disable=None))
    print(f"{count} scenes of {categories} categories: {written}")
    return 0


def voc2coco(voc: Path, /, out: Path, longest: int = 224, split: str = "trainval") -> int:
    """Write a VOC 2012 folder as a small COCO folder: images, train.json and val.json.

    Photographs are scaled down and saved as JPEG, masks as RLE; a fifth of the photographs is for
    validation, chosen by a hash of the file name. An interrupted call goes on where it stopped.

    Args:
        voc: the VOC2012 folder that the devkit unpacks, or one that holds it.
        out: gets images/*.jpg, train.json and val.json; must be new, empty or of this conversion.
        longest: the long side of a scaled photograph in pixels, at most.
        split: train, val, trainval or trainaug, the list of photographs to take.
    """
    from tqdm import tqdm

    from wsislib.data.photographs.voc import VocDataset
    from wsislib.data.photographs.voc_to_coco import convert_voc

    dataset = VocDataset(voc, split)
    train, val = convert_voc(
        dataset, out, longest, lambda places: tqdm(places, unit="photograph", disable=None)
    )
    print(f"{train} photographs to train on and {val} to judge by: {out}")
    return 0


def _mended(
    report: Report, target: Path, path: Path, images: Path | None, again: Callable[..., Report]
) -> Report:
    """Write the mended copy and report on it; the same report where nothing can be mended."""
    from wsislib.data.photographs.validate import repairable, write_repaired

    if not report.source.endswith(".json"):
        raise ValueError(f"{path}: --mend is for a COCO JSON file")
    source = Path(report.source)
    left_out = write_repaired(source, report, target)
    if left_out == 0:
        print(f"{source}: no annotation to leave out; {target} was not written", file=sys.stderr)
        return report
    for problem in repairable(report):
        print(f"left out: {problem.where()}: {problem.message}", file=sys.stderr)
    print(f"{target}: written without {left_out} annotations", file=sys.stderr)
    return again(target, images or source.parent / "images", split=None)


def _report(
    path: Path, images: Path | None, kind: Kind, least: Kind | None, split: str | None,
    allow_empty: bool,
) -> Report:  # fmt: skip
    """The report on a COCO file or a VOC folder; ValueError for an option of the other one."""
    from wsislib.data.photographs.validate import check_coco, check_voc
    from wsislib.data.sample import LabelKind

    annotations = path / "annotations.json" if path.is_dir() else path
    if path.is_dir() and not annotations.is_file():
        if images is not None or kind != "mask" or least is not None:
            raise ValueError(f"{path}: --images, --kind and --least are for a COCO JSON file")
        if allow_empty:
            raise ValueError(f"{path}: --allow-empty is for a COCO JSON file")
        return check_voc(path, split or "train", progress=True)
    if split is not None:
        raise ValueError(f"{path}: --split is for a VOC folder; give the JSON file of the split")
    return check_coco(
        annotations,
        images or annotations.parent / "images",
        LabelKind[kind.upper()],
        least=None if least is None else LabelKind[least.upper()],
        allow_empty=allow_empty,
        progress=True,
    )
