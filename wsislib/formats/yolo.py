"""YOLO's text files: boxes and segments read and written, as Ultralytics documents them.

One file a picture, one line an object: the number of its category, then x, y of the centre, width
and height, or x and y of each vertex, in fractions of the picture; a last number more is a score.
Names are in `data.yaml`, `classes.txt` or `obj.names`. An empty file is a picture without objects.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from wsislib.formats.picture_names import PictureFinder
from wsislib.formats.record import ConversionReport, LabelledPicture, Labels, Region
from wsislib.formats.shapes import DIGITS, box_fields, bridged, ring_fields, upright_box
from wsislib.formats.untrusted import name_of, number, read_bounded, whole_number
from wsislib.strict import read_yaml

_YAMLS = ("data.yaml", "data.yml", "dataset.yaml")
_LISTS = ("classes.txt", "obj.names", "labels.txt", "predefined_classes.txt")
_NO_LABELS = {*_LISTS, "train.txt", "val.txt", "valid.txt", "test.txt"}
_PARTS = ("labels", "train", "valid", "val", "test")  # folders below that of the names
_FRACTION = 9  # digits written


def read_yolo(source: Path, finder: PictureFinder, report: ConversionReport) -> Labels:
    """The labels of a folder of text files, or of the folder that holds a `data.yaml`."""
    folder = source if source.is_dir() else source.parent
    names, file, pose = _names(folder)
    if finder.root is None or not finder.names:
        raise ValueError(f"{source}: YOLO's numbers are fractions of pictures; say --images FOLDER")
    pictures, seen = [], set()
    for path in yolo_files(folder):
        with report.entry(str(path)):
            found = finder.find(picture_of(path.relative_to(folder)))
            seen.add(found)
            width, height = finder.size(found)
            text = read_bounded(path).decode("utf-8-sig")
            picture = LabelledPicture(found, width, height)
            for place, line in enumerate(text.splitlines(), start=1):
                if line.strip():
                    with report.entry(f"{path}, line {place}"):
                        words = line.split()
                        if pose and len(words) > 5:
                            report.lose("key points of YOLO", f"{path}, line {place}")
                            words = words[:5]
                        picture.regions.append(_region(words, names, picture))
            pictures.append(picture)
    _read_rotated_boxes(pictures, report)
    for name in finder.names:
        if name not in seen:
            report.lose("picture without a label file, not taken for empty", name)
    if names is None:
        report.change("category named by its number: there is no data.yaml or classes.txt", file)
    return Labels(pictures, list(dict.fromkeys(names or [])))


def yolo_files(folder: Path) -> Iterator[Path]:
    """Files below a folder that may be YOLO's labels."""
    for path in sorted(folder.rglob("*.txt")):
        if path.name not in _NO_LABELS and not path.name.lower().startswith(("readme", ".")):
            yield path


def picture_of(path: Path) -> str:
    """The picture of a label file, without ending: in `images` where that is in `labels`."""
    parts = list(path.with_suffix("").parts)
    places = [i for i, part in enumerate(parts[:-1]) if part == "labels"]
    if places:
        parts[places[-1]] = "images"
    return PurePosixPath(*parts).as_posix()


def _read_rotated_boxes(pictures: list[LabelledPicture], report: ConversionReport) -> None:
    """Where all segments are rectangles and not all upright, they are YOLO's rotated boxes."""
    segments = [
        (picture, place, region.fields["segmentation"][0])
        for picture in pictures
        for place, region in enumerate(picture.regions)
        if region.kind == "segmentation"
    ]
    shapes = [_rectangle(ring) for _, _, ring in segments]
    if "turned" not in shapes or None in shapes:
        return
    for picture, place, ring in segments:
        fields = upright_box(list(zip(ring[::2], ring[1::2], strict=True)))
        picture.regions[place] = replace(picture.regions[place], fields=fields)
        what = "segment that is a rectangle, as all others: a rotated box, read as the upright one"
        report.change(what, picture.name)


def _rectangle(ring: Sequence[float]) -> str | None:
    """Whether four corners, to half a pixel, are those of an upright or a turned rectangle."""
    if len(ring) != 8:
        return None
    ax, ay, bx, by, cx, cy, dx, dy = ring
    middle = max(abs(ax + cx - bx - dx), abs(ay + cy - by - dy))
    diagonals = abs(math.dist((ax, ay), (cx, cy)) - math.dist((bx, by), (dx, dy)))
    if middle > 1 or diagonals > 1:
        return None
    return "upright" if min(abs(ax - bx), abs(ay - by)) < 0.5 else "turned"


def _names(folder: Path) -> tuple[list[str] | None, str, bool]:
    """Names of categories, the file that has them, and whether lines hold key points too.

    The file is in the folder, or above it where that is one of a usual part.
    """
    place = folder.resolve()
    while True:
        for name in _YAMLS:
            if (place / name).is_file():
                names, pose = _names_of_yaml(place / name)
                return names, str(place / name), pose
        for name in _LISTS:
            if (place / name).is_file():
                lines = read_bounded(place / name).decode("utf-8-sig").splitlines()
                return [line.strip() for line in lines if line.strip()], str(place / name), False
        if place.name not in _PARTS:
            return None, str(folder), False
        place = place.parent


def _names_of_yaml(path: Path) -> tuple[list[str], bool]:
    if path.stat().st_size > 2**20:
        raise ValueError(f"{path}: more than 1 MiB")
    try:
        content = read_yaml(path)
    except (TypeError, RecursionError, AttributeError) as error:
        raise ValueError(f"{path}: not valid YAML ({error})") from None
    names: Any = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, dict):
        keys = sorted((whole_number(key, "names"), key) for key in names)
        if [key for key, _ in keys] != list(range(len(keys))):
            raise ValueError(f"{path}: 'names' must be numbered from 0")
        names = [names[key] for _, key in keys]
    if not isinstance(names, list) or not names:
        raise ValueError(f"{path}: has no list 'names' of the categories")
    return [name_of(name, "names") for name in names], content.get("kpt_shape") is not None


def _region(words: Sequence[str], names: list[str] | None, picture: LabelledPicture) -> Region:
    category = whole_number(words[0], "category")
    values = [number(word, "coordinate") for word in words[1:]]
    if names is not None and not 0 <= category < len(names):
        raise ValueError(f"category {category}, and there are {len(names)} names")
    name = f"category {category}" if names is None else names[category]
    score = values.pop() if len(values) == 5 or (len(values) > 6 and len(values) % 2) else None
    width, height = picture.width or 0, picture.height or 0
    if len(values) == 4:
        x, y, w, h = values
        if max(map(abs, values)) > 2:
            raise ValueError("a box that is not in fractions of the picture")
        edges = ((x - w / 2) * width, (y - h / 2) * height, w * width, h * height)
        left, top, across, down = (round(edge, DIGITS) for edge in edges)
        return Region(name, box_fields(left, top, left + across, top + down), score)
    if len(values) % 2 or len(values) < 6:
        raise ValueError(f"{len(words)} numbers are neither a box nor a segment")
    if max(map(abs, values)) > 2:
        raise ValueError("a segment that is not in fractions of the picture")
    pairs = zip(values[::2], values[1::2], strict=True)
    points = [(round(x * width, DIGITS), round(y * height, DIGITS)) for x, y in pairs]
    return Region(name, ring_fields(points), score)


def write_yolo(
    labels: Labels, folder: Path, report: ConversionReport
) -> Iterator[tuple[Path, bytes]]:
    """Paths in `folder` and content of `data.yaml` and of one text file a picture.

    Masks must be polygons already. Several rings become one, joined by lines, as Ultralytics' own
    converter does.
    """
    names = dict(enumerate(labels.names))
    content = {"path": ".", "train": "images", "val": "images", "names": names}
    text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
    yield folder / "data.yaml", text.encode()
    taken: set[str] = set()
    for picture in labels.pictures:
        path = folder / "labels" / Path(picture.name).with_suffix(".txt")
        if str(path).casefold() in taken:
            report.lose("picture that shares its stem with another", picture.name)
            continue
        taken.add(str(path).casefold())
        lines = []
        for region in picture.regions:
            where = f"{picture.name}: {region.category}"
            if region.crowd or region.kind in ("point", "tag"):
                report.lose("crowd region" if region.crowd else region.kind, where)
                continue
            values = _values(region, picture, report, where)
            score = [] if region.score is None else [region.score]
            numbers = " ".join(f"{v:.{_FRACTION}f}".rstrip("0").rstrip(".") for v in values + score)
            lines.append(f"{labels.names.index(region.category)} {numbers}\n")
        yield path, "".join(lines).encode()


def _values(
    region: Region, picture: LabelledPicture, report: ConversionReport, where: str
) -> list[float]:
    width, height = picture.width or 1, picture.height or 1
    if region.kind == "bbox":
        x, y, w, h = region.fields["bbox"]
        return [(x + w / 2) / width, (y + h / 2) / height, w / width, h / height]
    rings = region.fields["segmentation"]
    if len(rings) > 1:
        report.change("parts of one object, joined by lines", where)
    ring = bridged(rings)
    return [value / (height if place % 2 else width) for place, value in enumerate(ring)]
