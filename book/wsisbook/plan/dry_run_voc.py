"""A VOC folder of a few photographs, with masks as index pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from wsisbook.plan.dry_run_data import HEIGHT, WIDTH, noise, octagon, write_photograph
from wsislib.atomic import atomic_write
from wsislib.data.photographs.voc import VOC_NAMES

OBJECTS = 3  # in an image; VOC has 2.4 on average


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
            _write_image(root, name, number * OBJECTS, generator)
            number += 1
        file = root / "ImageSets" / "Segmentation" / f"{split}.txt"
        atomic_write(file, "\n".join(names) + "\n")


def _write_image(root: Path, name: str, first: int, generator: np.random.Generator) -> None:
    """One photograph with objects of different categories, and its two index pictures."""
    picture = noise(generator)
    objects, classes = (Image.new("L", (WIDTH, HEIGHT)) for _ in range(2))
    for place in range(1, OBJECTS + 1):
        corners = [(x, y) for x, y in octagon(generator).tolist()]
        colour = tuple(int(value) for value in generator.integers(0, 256, 3))
        ImageDraw.Draw(picture).polygon(corners, fill=colour)
        ImageDraw.Draw(objects).polygon(corners, fill=place)
        ImageDraw.Draw(classes).polygon(corners, fill=1 + (first + place) % len(VOC_NAMES))
    write_photograph(root / "JPEGImages" / f"{name}.jpg", picture)
    for folder, indices in (("SegmentationObject", objects), ("SegmentationClass", classes)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        indices.save(root / folder / f"{name}.png")
