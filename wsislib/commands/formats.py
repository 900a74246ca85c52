"""`wsis data convert` and `wsis data split`."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import tyro

from wsislib.cli import DONE
from wsislib.formats.convert import Source, Target


def convert(
    source: Path,
    /,
    to: Path,
    images: Path | None = None,
    from_: Annotated[Source | None, tyro.conf.arg(name="from")] = None,
    as_: Annotated[Target, tyro.conf.arg(name="as")] = "coco",
    categories: Path | None = None,
    score: float = 0.0,
    outline: float | None = None,
    force: bool = False,
) -> int:
    """Read labels of another tool, or predictions, and write them clean, with a report.

    The report counts and names everything that was changed or could not be held. The source is
    never changed.

    Args:
        source: a file or folder of CVAT (XML for images), Label Studio (JSON), labelme, YOLO, VOC
            (XML files, or folders of masks) or COCO, such as `wsis export` and `predict` write.
        to: the file to write; of labelme and YOLO a folder.
        images: folder of the pictures; where not given, `images` beside the source, or its folder.
        from_: format of the source; recognised where not given.
        as_: format to write.
        categories: a COCO file, or a text file with one name a line, whose categories and ids are
            taken; labels of others are left out. Give train's for val.
        score: leave out predictions with a lower score.
        outline: write masks as polygons within so many pixels, which tools can edit; exact masks
            where not given (YOLO has polygons only: 0.5).
        force: overwrite what is there.
    """
    from wsislib.formats.convert import convert_labels, write_labels

    if to.exists() and source.exists() and to.resolve() == source.resolve():
        raise ValueError(f"{to}: is the source, which is never overwritten; name another place")
    conversion = convert_labels(source, images, from_, categories, score)
    files = write_labels(conversion, as_, to, outline, force)
    labels, report = conversion.labels, conversion.report.text()
    counts = ", ".join(f"{count} {kind}" for kind, count in labels.counts().items())
    print(f"read as {conversion.format}: {len(labels.pictures)} images, {counts}")
    print(f"categories: {', '.join(labels.names[:20])}{', ...' if len(labels.names) > 20 else ''}")
    print(report or "nothing was changed or left out")
    if conversion.root is None:
        print("no pictures at hand: their names stay as they are; --images FOLDER finds them")
    print(f"written: {to}" + (f" ({len(files)} files)" if len(files) > 1 else ""))
    if as_ == "coco":
        beside = (
            conversion.root is None or conversion.root.resolve() == to.resolve().parent / "images"
        )
        root = "" if beside else f" --images {conversion.root}"
        least = next(
            k for k in ("tag", "point", "box") if labels.counts()[_PLURAL[k]] or k == "box"
        )
        print(f"next: wsis data check {to}{root}{'' if least == 'box' else f' --least {least}'}")
    return DONE


_PLURAL = {"tag": "tags", "point": "points", "box": "boxes"}


def split(
    labels: Path,
    /,
    train: Path,
    val: Path,
    share: float = 0.2,
    by: str = "image",
    stratify: bool = True,
    seed: int = 0,
    force: bool = False,
) -> int:
    """Split a COCO file into one to train on and one to judge by; no image is in both.

    The same labels, options and seed give the same split, whatever the order of the file.

    Args:
        labels: COCO JSON file; it stays as it is.
        train: the file to write for training.
        val: the file to write for validation.
        share: of the images that are for validation, about.
        by: what stays together: image, folder, prefix:SEPARATOR (of file names, such as prefix:_),
            regex:PATTERN (its first group, else its match) or field:NAME (of the image's record).
        stratify: give both sides their share of each category.
        seed: of the draw.
        force: overwrite what is there.
    """
    from wsislib.atomic import atomic_write
    from wsislib.data.photographs.validate_structure import read_sound_document
    from wsislib.formats.split import choose_val, groups_of, split_part

    places = [path.resolve() for path in (labels, train, val)]
    if len(set(places)) < 3:
        raise ValueError("labels, --train and --val must be three different files")
    there = [path for path in (train, val) if path.exists()]
    if there and not force:
        raise ValueError(f"{there[0]}: exists already; name another place, or say --force")
    document = read_sound_document(labels)
    try:
        groups = groups_of(document, by)
        chosen = choose_val(groups, share, seed, stratify)
    except ValueError as error:
        raise ValueError(f"{labels}: {error}") from None
    held = {image for group in groups if group.key in chosen for image in group.images}
    rest = {record["id"] for record in document["images"]} - held
    parts = {train: split_part(document, rest), val: split_part(document, held)}
    for path, part in parts.items():
        atomic_write(path, json.dumps(part, separators=(",", ":")))
    print(f"{len(rest)} images to train on and {len(held)} to judge by, in {len(groups)} groups")
    counts = [Counter(a["category_id"] for a in part["annotations"]) for part in parts.values()]
    print(f"{'annotations':24s}{'train':>8s}{'val':>8s}")
    for category in document["categories"]:
        ours, theirs = (count[category["id"]] for count in counts)
        lacking = "  in one of them only" if bool(ours) != bool(theirs) else ""
        print(f"  {category['name']:22.22s}{ours:8d}{theirs:8d}{lacking}")
    if document.get("drafts"):
        print(f"left behind: {len(document['drafts'])} unfinished drafts")
    print(f"written: {train} and {val}")
    return DONE
