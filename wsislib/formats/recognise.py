"""Which format a file or folder is, and where its pictures are."""

from __future__ import annotations

from itertools import islice
from pathlib import Path, PureWindowsPath
from typing import Any

from wsislib.data.images import IMAGE_SUFFIXES
from wsislib.formats.untrusted import parse_json, parse_xml
from wsislib.formats.voc_masks import CLASSES, OBJECTS
from wsislib.formats.yolo import yolo_files

_FORMATS = "coco, cvat, label-studio, labelme, yolo, voc-xml, voc-masks"
_TRIED = 20  # files of a folder that are looked into


def recognise(source: Path) -> tuple[Path, str]:
    """What holds the labels, a file or folder, and its format; ValueError where that is unclear."""
    if source.is_dir():
        return _of_folder(source)
    suffix = source.suffix.lower()
    if suffix == ".json":
        return source, _of_json(parse_json(source), source)
    if suffix == ".xml":
        return source, _of_xml(source)
    if suffix in (".yaml", ".yml"):
        return source, "yolo"
    if suffix in (".zip", ".gz", ".tar", ".7z"):
        raise ValueError(f"{source}: is packed; unpack it and give the folder or file inside")
    if suffix == ".txt":
        raise ValueError(f"{source}: give the folder of YOLO's text files, not one of them")
    raise ValueError(f"{source}: not recognised as labels; say --from with one of {_FORMATS}")


def default_root(source: Path, format: str) -> Path | None:
    """Where the pictures of a source usually are; None where there is no such folder."""
    folder = source if source.is_dir() else source.parent
    if format == "yolo" and "labels" in folder.parts and not (folder / "images").is_dir():
        parts = list(folder.parts)
        parts[len(parts) - 1 - parts[::-1].index("labels")] = "images"
        return Path(*parts) if Path(*parts).is_dir() else folder
    if format == "labelme":
        return _labelme_root(source, folder)
    for name in ("images", "JPEGImages", "../images", "../JPEGImages"):
        if (folder / name).is_dir():
            return folder / name
    return folder


def _of_folder(folder: Path) -> tuple[Path, str]:
    if (folder / OBJECTS).is_dir() and (folder / CLASSES).is_dir():
        return folder, "voc-masks"
    found: dict[str, Path] = {}
    for name in ("*.xml", "Annotations/*.xml", "annotations/*.xml"):
        for path in islice(sorted(folder.glob(name)), 1):
            kind = _of_xml(path)
            found.setdefault(kind, path if kind == "cvat" else folder)
    files = (f for f in sorted(folder.rglob("*.json")) if f.name != "notes.json")
    documents = []
    for path in islice(files, _TRIED):
        try:
            kind = _of_json(parse_json(path), path)
        except ValueError:
            continue
        documents += [path] if kind != "labelme" else []
        found.setdefault(kind, folder if kind == "labelme" else path)
    yaml = any((folder / name).is_file() for name in ("data.yaml", "data.yml", "dataset.yaml"))
    if yaml or (not found and next(yolo_files(folder), None) is not None):
        found["yolo"] = folder
    if len(documents) > 1:
        names = " and ".join(path.name for path in documents[:2])
        raise ValueError(f"{folder}: holds {names}; name the one to convert")
    if len(found) > 1:
        kinds = " and ".join(sorted(found))
        raise ValueError(f"{folder}: holds labels of {kinds}; say --from with one, or name a file")
    if not found:
        raise ValueError(f"{folder}: holds no labels that are recognised; --from may be {_FORMATS}")
    kind, path = next(iter(found.items()))
    return path, kind


def _of_xml(path: Path) -> str:
    kinds = {"annotations": "cvat", "annotation": "voc-xml"}
    tag = parse_xml(path).tag
    if tag not in kinds:
        raise ValueError(f"{path}: begins with <{tag:.40}>; CVAT's and VOC's XML are read")
    return kinds[tag]


def _of_json(content: Any, path: Path) -> str:
    if isinstance(content, dict):
        if "shapes" in content:
            return "labelme"
        if "images" in content or "categories" in content:
            return "coco"
        if "data" in content and ("annotations" in content or "predictions" in content):
            return "label-studio"
    if isinstance(content, list) and content and isinstance(content[0], dict):
        first = content[0]
        if "category_id" in first and "image_id" in first:
            return "coco"  # a list of results, which its reader refuses with the way out
        if "data" in first or "annotation_id" in first:
            return "label-studio"
    raise ValueError(f"{path}: JSON of no format that is recognised; --from may be {_FORMATS}")


def _labelme_root(source: Path, folder: Path) -> Path | None:
    """The source's folder where it holds pictures, else the folder of the first imagePath."""
    if any(path.suffix.lower() in IMAGE_SUFFIXES for path in folder.rglob("*")):
        return folder
    for file in islice(sorted(source.rglob("*.json")) if source.is_dir() else [source], _TRIED):
        try:
            content = parse_json(file)
        except ValueError:
            continue
        name = content.get("imagePath") if isinstance(content, dict) else None
        if isinstance(name, str) and "\0" not in name:
            picture = file.parent / PureWindowsPath(name).as_posix()
            if picture.is_file():
                return picture.parent.resolve()
    return folder
