"""Pascal-style masks: a picture of objects and one of classes for each image, read.

`SegmentationObject/NAME.png` and `SegmentationClass/NAME.png`, by index (VOC 2012 itself) or by
colour with a `labelmap.txt` of lines `name:r,g,b::` (CVAT's "Segmentation mask 1.1").
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from wsislib.data.photographs.voc import VOC_NAMES, VOID, instances_of
from wsislib.data.rle import MAX_PIXELS, encode_mask
from wsislib.formats.picture_names import PictureFinder
from wsislib.formats.record import ConversionReport, LabelledPicture, Labels, Region
from wsislib.formats.untrusted import name_of, read_bounded

OBJECTS, CLASSES = "SegmentationObject", "SegmentationClass"
_VOID_COLOUR = (224, 224, 192)
_BLACK = (0, 0, 0)
Colour = tuple[int, ...]
Numbers = npt.NDArray[np.integer[Any]]


def read_voc_masks(source: Path, finder: PictureFinder, report: ConversionReport) -> Labels:
    """The instances of a folder that has both folders of mask pictures."""
    objects, classes = source / OBJECTS, source / CLASSES
    if not objects.is_dir() or not classes.is_dir():
        raise ValueError(f"{source}: needs the folders {OBJECTS} and {CLASSES}")
    if not finder.names:
        raise ValueError(f"{source}: its pictures are not in JPEGImages; say --images FOLDER")
    colours = _labelmap(source / "labelmap.txt")
    names = list(colours) if colours else _listed(source / "classes.txt") or list(VOC_NAMES)
    pictures = []
    for path in sorted(objects.glob("*.png")):
        with report.entry(str(path)):
            numbers = _numbers(path)
            kinds = _kinds(classes / path.name, colours)
            height, width = numbers.shape
            picture = LabelledPicture(path.stem, width, height)
            for instance in instances_of(numbers, kinds, len(names)):
                mask = {"segmentation": encode_mask(instance.mask)}
                picture.regions.append(Region(names[instance.category_id - 1], mask))
            pictures.append(picture)
    for path in sorted(classes.glob("*.png")):
        if not (objects / path.name).is_file():
            report.lose("class picture without an object picture", str(path))
    return Labels(pictures, names)


def _labelmap(path: Path) -> dict[str, Colour]:
    """Names and colours of a labelmap, without the background."""
    found: dict[str, Colour] = {}
    if not path.is_file():
        return found
    for place, line in enumerate(read_bounded(path).decode("utf-8-sig").splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, _, rest = line.partition(":")
        colour = tuple(int(v) for v in rest.partition(":")[0].split(",") if v.strip().isdecimal())
        if len(colour) != 3:
            raise ValueError(f"{path}, line {place}: {line!r:.60}, must be name:r,g,b::")
        if colour not in (_BLACK, _VOID_COLOUR):
            found[name_of(name, "name")] = colour
    return found


def _listed(path: Path) -> list[str]:
    lines = read_bounded(path).decode("utf-8-sig").splitlines() if path.is_file() else []
    return [line.strip() for line in lines if line.strip()]


def _numbers(path: Path) -> Numbers:
    """Object numbers (H, W); 0 is background, 255 void."""
    pixels = _pixels(path, as_colour=False)
    if pixels.ndim == 2:
        return pixels
    packed = _packed(pixels)
    values, places = np.unique(packed, return_inverse=True)
    number, table = 0, np.zeros(len(values), dtype=np.int32)
    for place, value in enumerate(values.tolist()):
        if value == _pack(_VOID_COLOUR):
            table[place] = VOID
        elif value != _pack(_BLACK):
            number += 2 if number + 1 == VOID else 1
            table[place] = number
    return table[places.reshape(packed.shape)]


def _kinds(path: Path, colours: dict[str, Colour]) -> npt.NDArray[np.uint8]:
    """Numbers of categories (H, W), from 1; 0 is background, 255 void."""
    pixels = _pixels(path, as_colour=bool(colours))
    if pixels.ndim == 2:
        return pixels.astype(np.uint8)
    if not colours:
        raise ValueError(f"{path}: colours without a labelmap.txt that says what they mean")
    packed, kinds = _packed(pixels), np.zeros(pixels.shape[:2], dtype=np.uint8)
    for number, colour in enumerate(list(colours.values())[: VOID - 1], start=1):
        kinds[packed == _pack(colour)] = number
    return kinds


def _pixels(path: Path, as_colour: bool) -> Numbers:
    """Indices (H, W), or colours (H, W, 3) where the picture has them or `as_colour` asks."""
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{path}: more than {MAX_PIXELS} pixels")
            index = image.mode in ("L", "1", "I", "I;16") or (image.mode == "P" and not as_colour)
            return np.array(image if index else image.convert("RGB"))
    except FileNotFoundError:
        raise ValueError(f"{path}: no such mask") from None
    except ValueError:
        raise
    except Exception as error:  # Pillow's decoders raise many kinds on damaged files
        raise ValueError(f"{path}: cannot be read ({error})") from None


def _packed(pixels: Numbers) -> Numbers:
    red, green, blue = (pixels[..., channel].astype(np.int32) for channel in range(3))
    return (red << 16) | (green << 8) | blue


def _pack(colour: Colour) -> int:
    return (colour[0] << 16) | (colour[1] << 8) | colour[2]
