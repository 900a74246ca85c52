"""Where things lie in a PASCAL VOC 2012 folder, and how its index pictures are read.

Expected layout (`root` may be the VOC2012 folder itself, or a folder that holds `VOC2012` or
`VOCdevkit/VOC2012`):

    ImageSets/Segmentation/{train,val,trainval}.txt    as in the devkit
    ImageSets/Segmentation/trainaug.txt                 the 10,582 names (train_aug.txt will do)
    JPEGImages/*.jpg
    SegmentationObject/*.png  SegmentationClass/*.png   the devkit's own masks
    SegmentationObjectAug/*.png  SegmentationClassAug/*.png   for trainaug

The last two folders hold the masks of the Semantic Boundaries Dataset (Hariharan et al., 2011)
converted from .mat to index PNGs. For trainaug an image without a pair there is looked up in the
first two, so everything may lie in one pair of folders as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from wsislib.data.rle import MAX_PIXELS

VOID = 255
"""Borders, and objects that the annotators found too difficult."""

_PICTURES = ("SegmentationObject", "SegmentationClass")
_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


@dataclass(frozen=True)
class VocFiles:
    """The three files of one image."""

    image: Path
    objects: Path
    classes: Path


def find_voc_folder(root: Path) -> Path:
    """The folder that holds `ImageSets/Segmentation`.

    Raises:
        ValueError: neither `root` nor its usual children do.
    """
    tried = [root, root / "VOC2012", root / "VOCdevkit" / "VOC2012"]
    for folder in tried:
        if (folder / "ImageSets" / "Segmentation").is_dir():
            return folder
    places = ", ".join(str(folder) for folder in tried)
    raise ValueError(
        f"no VOC folder: none of {places} holds ImageSets/Segmentation; "
        "give the VOC2012 folder that the devkit unpacks"
    )


def find_split_file(folder: Path, split: str) -> Path:
    """The list of a split.

    Raises:
        ValueError: there is none; names the splits that there are.
    """
    lists = folder / "ImageSets" / "Segmentation"
    names = ["trainaug", "train_aug"] if split == "trainaug" else [split]
    for name in names:
        if _NAME.fullmatch(name) and (lists / f"{name}.txt").is_file():
            return lists / f"{name}.txt"
    known = ", ".join(sorted(path.stem for path in lists.glob("*.txt"))) or "none"
    hint = (
        "; put the list of 10,582 names there and the masks of the Semantic Boundaries Dataset, "
        "as index PNGs, into SegmentationObjectAug and SegmentationClassAug"
        if split == "trainaug"
        else ""
    )
    raise ValueError(f"{lists}: no list of split '{split}' (there are: {known}){hint}")


def read_split(path: Path) -> list[str]:
    """Image names of a split, in file order.

    A line is a name, or, as in some trainaug lists, the paths of the image and its mask.

    Raises:
        ValueError: the list is empty or a line is no name.
    """
    names = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        name = Path(line.split()[0]).stem if "/" in line else line.split()[0]
        if not _NAME.fullmatch(name):
            raise ValueError(f"{path}, line {number}: {line.strip()!r:.60} is no image name")
        names.append(name)
    if not names:
        raise ValueError(f"{path}: the list is empty")
    return names


def files_of(folder: Path, name: str, split: str) -> VocFiles:
    """The files of one image of a split, which need not exist."""
    image = folder / "JPEGImages" / f"{name}.jpg"
    candidates = [
        VocFiles(image, *(folder / f"{of}{end}" / f"{name}.png" for of in _PICTURES))
        for end in (("Aug", "") if split == "trainaug" else ("",))
    ]
    there = (files for files in candidates if files.objects.is_file() and files.classes.is_file())
    return next(there, candidates[0])


def read_index_picture(path: Path) -> npt.NDArray[np.uint8]:
    """The indices of a palette or grey PNG, (H, W) uint8.

    Raises:
        ValueError: missing, unreadable, or a colour picture, whose indices are lost.
    """
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{path}: more than {MAX_PIXELS} pixels")
            if image.mode not in ("P", "L", "1"):
                raise ValueError(
                    f"{path}: mode {image.mode} is no index picture; save it with its palette"
                )
            return np.array(image, dtype=np.uint8)
    except FileNotFoundError:
        raise ValueError(f"{path}: no such mask") from None
    except ValueError:
        raise
    except Exception as error:  # Pillow's decoders raise many kinds on damaged files
        raise ValueError(f"{path}: cannot be read ({error})") from None
