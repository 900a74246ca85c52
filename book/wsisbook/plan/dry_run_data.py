"""Data sets of a few images for a dry run, under the names that a row's settings give them.

Formats, sizes and numbers of categories are those of the real thing; nothing else is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from wsisbook.runs.experiments import Experiment
from wsislib.atomic import atomic_write
from wsislib.data.photographs.voc import VOC_NAMES
from wsislib.data.visual_genome.classes import COCO_NAMES, HAND_MAPPINGS

# Scaled to a short side of 800, an image of this shape is 1,333 long: the most there can be.
WIDTH, HEIGHT = 640, 384
VALIDATION_IMAGES = 1
OBJECTS = 8  # in an image; COCO has 7 on average
VOC_OBJECTS = 3  # VOC has 2.4
WORD_WIDTH = 300  # numbers in a word vector, as in GloVe's
_STRIDE = 397  # prime, so that objects of neighbouring images are of other categories
# COCO's ids go up to 90 and leave these out.
_NO_ID = frozenset({12, 26, 29, 30, 45, 66, 68, 69, 71, 83})
COCO_IDS = tuple(number for number in range(1, 91) if number not in _NO_ID)


def write_miniatures(experiment: Experiment, config: Any, folder: Path, images: int) -> None:
    """Write all data files that a run reads as `folder`/<name>.

    What is there already is left alone, so that several runs may share a folder.

    Args:
        experiment: of the run.
        config: its settings.
        folder: the data folder.
        images: for training; there is one for validation.

    Raises:
        ValueError: the run reads a file of which no miniature can be made.
    """
    for seed, (part, count) in enumerate((("train", images), ("val", VALIDATION_IMAGES))):
        annotations = getattr(config, f"{part}_annotations", "")
        photographs = getattr(config, f"{part}_images", "") or f"unused/{part}"
        if annotations and not (folder / annotations).exists():
            write_coco(folder / annotations, folder / photographs, count, seed)
    genome = getattr(config, "genome", "")
    if genome and not (folder / genome).exists():
        _write_genome(config, folder / genome, images)
    voc = getattr(config, "voc", "")
    if voc and not (folder / voc).exists():
        _write_voc(config, folder / voc, images)
    vectors = getattr(config, "embedding_file", "")
    if vectors and not (folder / vectors).exists():
        write_word_vectors(folder / vectors)
    for name in experiment.files(config):
        if not (folder / name).exists():
            raise ValueError(
                f"a dry run cannot make a miniature of the data file {name!r}; teach "
                "book/wsisbook/plan/dry_run_data.py its format"
            )


def write_coco(annotations: Path, photographs: Path, images: int, seed: int) -> None:
    """Write a data set in COCO's format: 80 categories, polygons and one crowd region."""
    generator = np.random.default_rng(seed)
    records, entries = [], []
    for number in range(1, images + 1):
        record, own = _scene(number, generator, photographs)
        records.append(record)
        entries += own
    crowd = {"size": [HEIGHT, WIDTH], "counts": [0, 20 * HEIGHT, (WIDTH - 20) * HEIGHT]}
    entries.append(
        {"image_id": 1, "category_id": 1, "iscrowd": 1, "bbox": [0.0, 0.0, 20.0, float(HEIGHT)],
         "area": 20.0 * HEIGHT, "segmentation": crowd}
    )  # fmt: skip
    document = {
        "images": records,
        "annotations": [{"id": i, **entry} for i, entry in enumerate(entries, start=1)],
        "categories": [
            {"id": i, "name": name} for i, name in zip(COCO_IDS, COCO_NAMES, strict=True)
        ],
    }
    atomic_write(annotations, json.dumps(document))


def write_word_vectors(file: Path, seed: int = 0) -> None:
    """Write random vectors of the words in COCO's category names, in GloVe's format."""
    generator = np.random.default_rng(seed)
    words = sorted({word for name in COCO_NAMES for word in name.split()})
    numbers = generator.normal(size=(len(words), WORD_WIDTH))
    lines = [
        " ".join([word, *(f"{value:.4f}" for value in row)])
        for word, row in zip(words, numbers, strict=True)
    ]
    atomic_write(file, "\n".join(lines) + "\n")


def write_photograph(file: Path, image: Image.Image) -> None:
    """Write a JPEG, with its folder."""
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file, quality=90)


def noise(generator: np.random.Generator) -> Image.Image:
    """An image of smooth colours."""
    pixels = generator.integers(0, 256, (6, 10, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)


def _write_genome(config: Any, root: Path, images: int) -> None:
    write_genome(
        root,
        images=images,
        coco_val_ids=range(1, VALIDATION_IMAGES + 1),  # those of `write_coco`
        listed=config.categories,
        tests=config.genome_test_count,
    )


def _write_voc(config: Any, root: Path, images: int) -> None:
    write_voc(root, {config.train_list: images, config.val_list: VALIDATION_IMAGES})


def _scene(
    number: int, generator: np.random.Generator, photographs: Path
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Write one image; its COCO record and those of its objects, all of other categories."""
    image = noise(generator)
    draw = ImageDraw.Draw(image)
    entries = []
    for place in range(OBJECTS):
        corners = octagon(generator)
        colour = tuple(int(value) for value in generator.integers(0, 256, 3))
        draw.polygon([(x, y) for x, y in corners.tolist()], fill=colour)
        category = ((number - 1) * OBJECTS + place) * 13 % len(COCO_IDS)
        low, high = corners.min(axis=0), corners.max(axis=0)
        x, y = corners.T
        area = abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2
        entries.append(
            {
                "image_id": number,
                "category_id": COCO_IDS[category],
                "iscrowd": 0,
                "bbox": [*low.tolist(), *(high - low).tolist()],
                "area": area,
                "segmentation": [corners.ravel().tolist()],
            }
        )
    name = f"{number:012d}.jpg"
    write_photograph(photographs / name, image)
    return {"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT}, entries


def octagon(generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """(8, 2) corners xy inside the image; 24 to 180 pixels wide."""
    radii = generator.uniform(12, 90, 2)
    centre = generator.uniform(radii, np.array([WIDTH, HEIGHT]) - radii)
    angles = 2 * math.pi * (np.arange(8) + 0.5) / 8
    return np.round(centre + radii * np.stack([np.cos(angles), np.sin(angles)], axis=1), 2)


def write_genome(
    root: Path, *, images: int, coco_val_ids: Sequence[int], listed: int, tests: int
) -> None:
    """Write objects.json, image_data.json and photographs in Visual Genome's format.

    One of COCO's synsets is too rare to be listed, as in the real files: categories are one more
    than `listed`.

    Args:
        root: the folder to be.
        images: of the training part.
        coco_val_ids: COCO ids of the images of the validation part.
        listed: how many of the most frequent synsets will be asked for.
        tests: images of the test part; they are declared, but have no photograph.

    Raises:
        ValueError: fewer synsets are wanted than COCO has, or no test part.
    """
    if listed < len(COCO_NAMES) or tests < 1:
        raise ValueError(
            f"a miniature of Visual Genome has {len(COCO_NAMES)} synsets or more and a test part, "
            f"but {listed} synsets and {tests} test images are wanted"
        )
    frequent, rare = synsets(listed)
    photographed = [*([None] * images), *coco_val_ids]
    records, objects = [], []
    number = 0
    for image_id, coco_id in enumerate([*photographed, *([None] * tests)], start=1):
        records.append(_record(image_id, coco_id))
        own: list[str] = []
        if image_id <= len(photographed):
            own = [frequent[(number + k) * _STRIDE % len(frequent)] for k in range(OBJECTS)]
        elif image_id == len(photographed) + 1:  # the first test image holds each listed one twice
            own = [*frequent, *frequent, rare]
        objects.append(_photograph(root, image_id, own, number, image_id <= len(photographed)))
        number += len(own)
    for folder in ("VG_100K", "VG_100K_2"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    atomic_write(root / "image_data.json", json.dumps(records))
    atomic_write(root / "objects.json", json.dumps(objects))


def synsets(listed: int) -> tuple[list[str], str]:
    """The `listed` frequent synsets of the miniature, and one of COCO's that is rare."""
    coco = [
        HAND_MAPPINGS.get(name, f"{name.replace(' ', '_')}.n.01") for name in COCO_NAMES
    ]  # the authors' rule: the name's own synset, or a pair made by hand
    rare = HAND_MAPPINGS["hair drier"]
    coco.remove(rare)
    others = [f"thing_{number:04d}.n.01" for number in range(listed - len(coco))]
    return [*coco, *others], rare


def _record(image_id: int, coco_id: int | None) -> dict[str, Any]:
    return {
        "image_id": image_id,
        "url": f"https://cs.stanford.edu/people/rak248/VG_100K/{image_id}.jpg",
        "width": WIDTH,
        "height": HEIGHT,
        "coco_id": coco_id,
        "flickr_id": None,
    }


def _photograph(
    root: Path, image_id: int, own: Sequence[str], number: int, write: bool
) -> dict[str, Any]:
    """The record of one image's objects; where `write`, also its photograph."""
    generator = np.random.default_rng(image_id)
    image = noise(generator)
    draw = ImageDraw.Draw(image)
    entries = []
    for place, synset in enumerate(own):
        w, h = (int(value) for value in generator.integers(24, 180, 2))
        x, y = int(generator.integers(0, WIDTH - w)), int(generator.integers(0, HEIGHT - h))
        if write:
            colour = tuple(int(value) for value in generator.integers(0, 256, 3))
            draw.rectangle((x, y, x + w - 1, y + h - 1), fill=colour)
        entries.append(
            {
                "object_id": number + place + 1,
                "x": x, "y": y, "w": w, "h": h,
                "names": [synset.partition(".")[0]],
                "synsets": [synset],
                "merged_object_ids": [],
            }
        )  # fmt: skip
    if write:
        write_photograph(root / "VG_100K" / f"{image_id}.jpg", image)
    return {"image_id": image_id, "objects": entries}


def write_voc(root: Path, lists: dict[str, int], seed: int = 0) -> None:
    """Write a folder in VOC's layout, all masks in the devkit's own pair of folders.

    Args:
        root: the folder to be; it will hold ImageSets, JPEGImages and the two of masks.
        lists: name of a list -> how many images it has, none of them on two lists.
        seed: of what is drawn.
    """
    generator = np.random.default_rng(seed)
    number = 0
    for split, count in lists.items():
        names = [f"2012_{number + place:06d}" for place in range(1, count + 1)]
        for name in names:
            _write_image(root, name, number * VOC_OBJECTS, generator)
            number += 1
        file = root / "ImageSets" / "Segmentation" / f"{split}.txt"
        atomic_write(file, "\n".join(names) + "\n")


def _write_image(root: Path, name: str, first: int, generator: np.random.Generator) -> None:
    """One photograph with objects of different categories, and its two index pictures."""
    picture = noise(generator)
    objects, classes = (Image.new("L", (WIDTH, HEIGHT)) for _ in range(2))
    for place in range(1, VOC_OBJECTS + 1):
        corners = [(x, y) for x, y in octagon(generator).tolist()]
        colour = tuple(int(value) for value in generator.integers(0, 256, 3))
        ImageDraw.Draw(picture).polygon(corners, fill=colour)
        ImageDraw.Draw(objects).polygon(corners, fill=place)
        ImageDraw.Draw(classes).polygon(corners, fill=1 + (first + place) % len(VOC_NAMES))
    write_photograph(root / "JPEGImages" / f"{name}.jpg", picture)
    for folder, indices in (("SegmentationObject", objects), ("SegmentationClass", classes)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        indices.save(root / folder / f"{name}.png")
