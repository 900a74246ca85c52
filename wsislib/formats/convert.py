"""The whole way of a conversion: which format a source is, reading, cleaning, writing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from wsislib.atomic import atomic_write, finite_json
from wsislib.data.rle import decode_segmentation
from wsislib.formats.clean import clean_labels, only_categories
from wsislib.formats.coco import labels_document, read_coco
from wsislib.formats.cvat import read_cvat, write_cvat
from wsislib.formats.label_studio import read_label_studio
from wsislib.formats.label_studio_tasks import label_studio_config, write_label_studio
from wsislib.formats.labelme import read_labelme, write_labelme
from wsislib.formats.picture_names import PictureFinder
from wsislib.formats.recognise import default_root, recognise
from wsislib.formats.record import ConversionReport, LabelledPicture, Labels, Region
from wsislib.formats.shapes import outline
from wsislib.formats.untrusted import list_of, mapping_of, name_of, parse_json, read_bounded
from wsislib.formats.voc_masks import read_voc_masks
from wsislib.formats.voc_xml import read_voc_xml
from wsislib.formats.yolo import read_yolo, write_yolo

Source = Literal["coco", "cvat", "label-studio", "labelme", "yolo", "voc-xml", "voc-masks"]
Target = Literal["coco", "cvat", "label-studio", "labelme", "yolo"]
READERS: dict[str, Callable[[Path, PictureFinder, ConversionReport], Labels]] = {
    "coco": read_coco,
    "cvat": read_cvat,
    "label-studio": read_label_studio,
    "labelme": read_labelme,
    "yolo": read_yolo,
    "voc-xml": read_voc_xml,
    "voc-masks": read_voc_masks,
}
FOLDERS = ("labelme", "yolo")  # targets of one file a picture
_YOLO_TOLERANCE = 0.5  # pixels


@dataclass(frozen=True)
class Conversion:
    """What was read, cleaned, with its report."""

    format: str
    root: Path | None  # the folder of the pictures, None where there are none
    labels: Labels
    report: ConversionReport


def convert_labels(
    source: Path,
    images: Path | None = None,
    format: Source | None = None,
    categories: Path | None = None,
    least_score: float = 0.0,
) -> Conversion:
    """Read and clean a source of any format that is read; ValueError where nothing can be read.

    `images` is the folder of the pictures, `format` None recognises the source, `categories` a COCO
    file or a list of names, one a line, whose categories and ids are taken.
    """
    if not source.exists():
        raise ValueError(f"{source}: no such file or folder")
    if images is not None and not images.is_dir():
        raise ValueError(f"{images}: no such image folder")
    source, known = recognise(source) if format is None else (source, str(format))
    report = ConversionReport()
    root = images or default_root(source, known)
    finder = PictureFinder(root)
    if images is not None and not finder.names:
        raise ValueError(f"{images}: holds no image")
    if known not in FOLDERS and not known.startswith("voc") and known != "cvat" and source.is_dir():
        raise ValueError(f"{source}: is a folder; name the file of the labels")
    labels = READERS[known](source, finder, report)
    labels = clean_labels(labels, finder, report, least_score)
    if categories is not None:
        labels = only_categories(labels, *_categories_of(categories), report)
    return Conversion(known, root if finder.names else None, labels, report)


def write_labels(
    conversion: Conversion, target: Target, out: Path, tolerance: float | None, force: bool
) -> list[Path]:
    """Write labels in a format; the files that were written.

    `tolerance`: masks become polygons whose edges lie within so many pixels of the mask's; None
    keeps them exact where the format can. Raises ValueError where a file exists already and `force`
    is not given, or its ending is not the format's; then nothing is written.
    """
    labels, report = conversion.labels, conversion.report
    if target == "yolo":
        tolerance = _YOLO_TOLERANCE if tolerance is None else tolerance
    if tolerance is not None and target != "coco":
        labels = _outlined(labels, tolerance, keep_holes=target != "yolo", report=report)
    if out.is_dir() and target not in FOLDERS:
        raise ValueError(f"{out}: is a folder; name the file to write")
    if out.is_file() and target in FOLDERS:
        raise ValueError(f"{out}: is a file; {target} wants a folder")
    suffix = "" if target in FOLDERS else ".xml" if target == "cvat" else ".json"
    if suffix and out.suffix.lower() != suffix:  # by which tools, and `convert`, know the format
        raise ValueError(f"{out}: {target} is written to a file that ends in {suffix}")
    files: Iterable[tuple[Path, bytes]]
    if target == "coco":
        document = labels_document(labels, report)
        text = json.dumps(finite_json(document), ensure_ascii=False, separators=(",", ":"))
        files = [(out, text.encode("utf-8", "replace"))]
    elif target == "cvat":
        files = [(out, write_cvat(labels, report))]
    elif target == "label-studio":
        config = out.with_name(f"{out.stem}-config.xml")
        files = [(out, write_label_studio(labels, report)), (config, label_studio_config(labels))]
    elif target == "labelme":
        files = write_labelme(labels, out, conversion.root, report)
    else:
        files = write_yolo(labels, out, report)
    ready = list(files)
    there = [path for path, _ in ready if path.exists()]
    if there and not force:
        raise ValueError(f"{there[0]}: exists already; name another place, or say --force")
    for path, data in ready:
        atomic_write(path, data, flush=len(ready) < 10)
    return [path for path, _ in ready]


def _outlined(
    labels: Labels, tolerance: float, keep_holes: bool, report: ConversionReport
) -> Labels:
    """Labels with run-length coded masks as polygons; masks with holes stay if `keep_holes`."""

    def regions(picture: LabelledPicture) -> Iterator[Region]:
        for region in picture.regions:
            code = region.fields.get("segmentation")
            if not isinstance(code, dict):
                yield region
                continue
            where = f"{picture.name}: {region.category}"
            assert picture.width is not None and picture.height is not None
            mask = decode_segmentation(code, picture.height, picture.width)
            rings, holes = outline(mask, tolerance)
            if holes and keep_holes:
                report.change("mask with holes, kept as a mask", where)
                yield region
                continue
            if holes:
                report.lose("hole of a mask, filled", where)
            report.change(f"mask, written as a polygon within {tolerance:g} pixels", where)
            yield replace(region, fields={**region.fields, "segmentation": rings})

    pictures = [replace(picture, regions=list(regions(picture))) for picture in labels.pictures]
    return replace(labels, pictures=pictures)


def _categories_of(path: Path) -> tuple[list[str], dict[str, int]]:
    """Names and ids of a COCO file's categories, or of a text file with a name a line."""
    if path.suffix.lower() == ".json":
        records: list[Any] = list_of(
            mapping_of(parse_json(path), str(path)).get("categories"), "categories"
        )
        found = {
            name_of(mapping_of(r, "category").get("name"), "name"): r.get("id") for r in records
        }
        if not all(isinstance(id, int) and id > 0 for id in found.values()):
            raise ValueError(f"{path}: ids of categories must be whole numbers from 1")
        return list(found), found
    lines = read_bounded(path).decode("utf-8-sig").splitlines()
    names = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    return names, {name: place for place, name in enumerate(names, start=1)}
