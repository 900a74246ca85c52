"""`wsis data turn`: labels that lie as photographs are stored, or the photographs, made upright."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from wsislib.cli import DONE
from wsislib.data.photographs.turned_labels import Unsure


def turn(
    path: Path,
    /,
    *,
    out: Path,
    images: Path | None = None,
    unsure: Unsure = "ask",
    force: bool = False,
) -> int:
    """Make labels or photographs upright, as their cameras' EXIF orientation says.

    Every command reads photographs upright. Of a COCO file, labels that were drawn on the stored
    pixels are turned (boxes, polygons, run-length masks, points). Of a folder or a picture, upright
    copies without the tag are written, for other programs. The originals stay as they are.

    Args:
        path: a COCO JSON file, or a folder of photographs, or one photograph.
        out: the JSON file to write, or the folder for the copies.
        images: of a JSON file: folder that the file names are relative to; `images` beside it
            where not given.
        unsure: of a JSON file: what to do where sizes cannot tell on which pixels labels were drawn
            (upside down, mirrored, square): ask, turn or keep.
        force: overwrite what is there.
    """
    if out.resolve() == path.resolve():
        raise ValueError(f"--out {out}: is what is to be turned; name another place")
    if path.suffix.lower() == ".json":
        return _turn_labels(path, out, images or path.parent / "images", unsure, force)
    return _turn_pictures(path, out, force)


def _turn_labels(path: Path, out: Path, images: Path, unsure: Unsure, force: bool) -> int:
    import json

    from wsislib.atomic import atomic_write
    from wsislib.data.photographs.turned_labels import turn_labels
    from wsislib.data.photographs.validate_structure import read_sound_document

    if out.exists() and not force:
        raise ValueError(f"{out} exists already; name a new file, or say --force")
    done = turn_labels(read_sound_document(path), images, path, unsure)
    atomic_write(out, json.dumps(done.document, ensure_ascii=False))
    print(f"labels of {done.turned} images turned, of {done.kept} upright already: {out}")
    return DONE


def _turn_pictures(path: Path, out: Path, force: bool) -> int:
    import sys

    from wsislib.atomic import atomic_write
    from wsislib.data.images import ImageReadError, picture_facts
    from wsislib.data.turned_pictures import upright_file

    files = [(path, path.name)] if path.is_file() else list(_pictures(path, out))
    if not files:
        raise ValueError(f"{path}: no picture here")
    if any((out / name).resolve() == file.resolve() for file, name in files):
        raise ValueError(f"--out {out}: holds what is to be turned; name another folder")
    taken = [name for _, name in files if (out / name).exists()]
    if taken and not force:
        raise ValueError(
            f"{out / taken[0]} exists already ({len(taken)} such); name a new folder or say --force"
        )
    turned, bad = 0, 0
    for file, name in files:
        try:
            turned += picture_facts(file).orientation != 1
            atomic_write(out / name, upright_file(file))
        except ImageReadError as error:
            bad += 1
            print(f"left out: {error}", file=sys.stderr)
    print(f"{len(files) - bad} pictures, {turned} of them turned: {out}")
    return 1 if bad else DONE


def _pictures(folder: Path, out: Path) -> Iterator[tuple[Path, str]]:
    """Pictures in a folder and its subfolders, `out` left out, with their relative names."""
    from wsislib.data.images import IMAGE_SUFFIXES

    if not folder.is_dir():
        raise ValueError(f"{folder}: no such file or folder")
    for file in sorted(folder.rglob("*")):
        inside = file.resolve().is_relative_to(out.resolve())
        if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file() and not inside:
            yield file, file.relative_to(folder).as_posix()
