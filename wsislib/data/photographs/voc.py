"""PASCAL VOC 2012 for instance segmentation.

Instances are the objects painted in `SegmentationObject`, whatever their `difficult` flag in the
XML files, as in the weakly supervised literature: IRNet (Ahn et al., CVPR 2019) scores with
chainercv's `VOCInstanceSegmentationDataset`, which takes every value but 0 and 255, and the
COCO-style VOC files of later work are made from the same pictures. The void label 255 marks
borders *and masks difficult objects* (Everingham and Winn, "VOC2012 Development Kit", section 2.6):
an object that the annotators covered with it is in no label and no ground truth, so a prediction
on it is a false positive.

The category is the one that covers most of the object's pixels in `SegmentationClass`; boxes are
the tight boxes of the masks.

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

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from wsislib.data.images import image_tensor, read_image
from wsislib.data.rle import MAX_PIXELS, encode_mask
from wsislib.data.sample import Category, Label, LabelKind, Sample
from wsislib.data.transforms import tight_boxes

VOC_NAMES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip
"""The 20 categories; category id i is VOC_NAMES[i - 1]."""
VOID = 255  # borders, and objects that the annotators found too difficult

_PICTURES = ("SegmentationObject", "SegmentationClass")
_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


@dataclass(frozen=True)
class VocFiles:
    """The three files of one image."""

    image: Path
    objects: Path
    classes: Path


@dataclass(frozen=True)
class VocInstance:
    """One object of an image: its number in SegmentationObject, category id and (H, W) mask."""

    number: int
    category_id: int
    mask: npt.NDArray[np.bool_]


class VocDataset:
    """A split of VOC 2012, fully labelled (kind MASK), read lazily.

    Attributes:
        categories: the 20, ids 1..20.
        image_ids: the digits of the image's name as one number where all names are numeric
            (2007_000032 is 2007000032), else the line number in the list.
        names: the image's names, in the order of `image_ids`.
    """

    def __init__(self, root: Path, split: str) -> None:
        """Find the folder and read the split's list.

        `root` has one of the module's layouts, `split` is train, val, trainval or trainaug
        (10,582 images), or any list that is there. Raises ValueError where folder or list is
        missing or broken, and says what is expected.
        """
        self.folder = find_voc_folder(Path(root))
        self.split = split
        split_file = find_split_file(self.folder, split)
        self.names = tuple(read_split(split_file))
        self.image_ids = numbers_of(self.names)
        if len(set(self.image_ids)) < len(self.image_ids):
            raise ValueError(f"{split_file}: an image is listed twice")
        self.categories = tuple(Category(i, name) for i, name in enumerate(VOC_NAMES, start=1))

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        """The sample at `index`; raises ValueError naming a file that cannot be read."""
        name, image_id = self.names[index], self.image_ids[index]
        array = read_image(files_of(self.folder, name, self.split).image)
        instances = self._instances(name)
        height, width = array.shape[:2]
        masks = torch.zeros(len(instances), height, width, dtype=torch.bool)
        for entry, instance in enumerate(instances):
            if instance.mask.shape != (height, width):
                raise ValueError(f"{self.folder}, image {name}: masks have another size")
            masks[entry] = torch.from_numpy(instance.mask)
        categories = torch.tensor([instance.category_id - 1 for instance in instances]).long()
        label = Label(LabelKind.MASK, categories, boxes=tight_boxes(masks), masks=masks)
        return Sample(image_tensor(array), image_id, label)

    def ground_truth(self) -> dict[str, Any]:
        """COCO dictionary with every mask as RLE; reads all mask pictures of the split."""
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for name, image_id in zip(self.names, self.image_ids, strict=True):
            files = files_of(self.folder, name, self.split)
            height, width = read_index_picture(files.objects).shape
            images.append(
                {"id": image_id, "file_name": files.image.name, "width": width, "height": height}
            )
            for instance in self._instances(name):
                x0, y0, x1, y1 = tight_boxes(torch.from_numpy(instance.mask)[None])[0].tolist()
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": image_id,
                        "category_id": instance.category_id,
                        "iscrowd": 0,
                        "area": int(instance.mask.sum()),
                        "bbox": [x0, y0, x1 - x0, y1 - y0],
                        "segmentation": encode_mask(instance.mask),
                    }
                )
        categories = [{"id": category.id, "name": category.name} for category in self.categories]
        return {"images": images, "annotations": annotations, "categories": categories}

    def fingerprint(self) -> str:
        """Hex digest of the images' names and of the bytes of images and masks."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256(json.dumps(self.names).encode())
        for name in self.names:
            files = files_of(self.folder, name, self.split)
            for path in (files.image, files.objects, files.classes):
                digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()

    def _instances(self, name: str) -> list[VocInstance]:
        files = files_of(self.folder, name, self.split)
        objects, classes = read_index_picture(files.objects), read_index_picture(files.classes)
        try:
            return instances_of(objects, classes)
        except ValueError as error:
            raise ValueError(f"{files.objects}: {error}") from None


def instances_of(
    objects: npt.NDArray[np.integer[Any]],
    classes: npt.NDArray[np.uint8],
    categories: int = len(VOC_NAMES),
) -> list[VocInstance]:
    """The objects of an image, by their number.

    In both pictures (H, W) 0 is background and 255 void; else `objects` has the object's number
    and `classes` the category id. Raises ValueError where the sizes differ, or an object has no
    pixel of a category 1..`categories`.
    """
    if objects.shape != classes.shape:
        raise ValueError(
            f"objects have {objects.shape[1]} x {objects.shape[0]} pixels, classes "
            f"{classes.shape[1]} x {classes.shape[0]}"
        )
    instances = []
    for number in np.unique(objects[(objects != 0) & (objects != VOID)]).tolist():
        mask = objects == number
        votes = np.bincount(classes[mask], minlength=256)[1 : categories + 1]
        if votes.max() == 0:
            raise ValueError(f"object {number} lies on no pixel of a category 1..{categories}")
        instances.append(VocInstance(number, int(votes.argmax()) + 1, mask))
    return instances


def numbers_of(names: Sequence[str]) -> tuple[int, ...]:
    """A positive id per image name (see `VocDataset.image_ids`)."""
    digits = [name.replace("_", "") for name in names]
    if all(text.isascii() and text.isdigit() and int(text) > 0 for text in digits):
        return tuple(int(text) for text in digits)
    return tuple(range(1, len(names) + 1))


def find_voc_folder(root: Path) -> Path:
    """The folder with `ImageSets/Segmentation`: `root`, or a usual child, or a ValueError."""
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
    """The list of a split; where there is none, a ValueError names the splits that there are."""
    lists = folder / "ImageSets" / "Segmentation"
    names = ["trainaug", "train_aug"] if split == "trainaug" else [split]
    for name in names:
        if _NAME.fullmatch(name) and (lists / f"{name}.txt").is_file():
            return lists / f"{name}.txt"
    known = ", ".join(sorted(path.stem for path in lists.glob("*.txt"))) or "none"
    message = f"{lists}: no list of split '{split}' (there are: {known})"
    if split == "trainaug":
        message += (
            "; put the list of 10,582 names there and the masks of the Semantic Boundaries "
            "Dataset, as index PNGs, into SegmentationObjectAug and SegmentationClassAug"
        )
    raise ValueError(message)


def read_split(path: Path) -> list[str]:
    """Image names of a split, in file order; raises ValueError where a line is none, or none is.

    A line is a name, or, as in some trainaug lists, the paths of the image and its mask.
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

    Raises ValueError where it is missing, unreadable, or a colour picture, whose indices are lost.
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
