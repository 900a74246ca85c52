"""A VOC 2012 folder of a few kilobytes: devkit layout, void borders, covered objects, trainaug."""

from pathlib import Path

import numpy as np

from wsisbook.plan.dry_run_data import smooth_image, write_voc_image, write_voc_list

HEIGHT, WIDTH = 30, 36
SPLITS = {
    "train": ("2007_000032", "2008_000008"),
    "val": ("2009_000001", "2009_000002"),
    "trainaug": ("2007_000032", "2008_000008", "2010_000100"),
}
VOID = 255


def objects(name: str) -> list[tuple[int, int, tuple[int, int, int, int]]]:
    """(number, category id, box xyxy with its void border) of each painted object."""
    return {
        "2007_000032": [(1, 1, (2, 2, 12, 14)), (2, 15, (16, 4, 30, 24))],
        "2008_000008": [(1, 13, (1, 1, 20, 20)), (3, 15, (22, 10, 34, 28))],
        "2009_000001": [(1, 20, (4, 4, 18, 18))],
        "2009_000002": [(1, 9, (0, 0, 12, 12)), (2, 9, (14, 14, 30, 28))],
        "2010_000100": [(1, 6, (3, 5, 25, 21))],
    }[name]


# A difficult object that the annotators covered with void: it has no number.
COVERED = {"2009_000001": (22, 6, 32, 20)}


def pictures(name: str) -> tuple[np.ndarray, np.ndarray]:
    """(H, W) uint8 SegmentationObject and SegmentationClass."""
    numbers = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    classes = np.zeros_like(numbers)
    for number, category, (x0, y0, x1, y1) in objects(name):
        for picture, value in ((numbers, number), (classes, category)):
            picture[y0:y1, x0:x1] = VOID
            picture[y0 + 1 : y1 - 1, x0 + 1 : x1 - 1] = value
    if name in COVERED:
        x0, y0, x1, y1 = COVERED[name]
        numbers[y0:y1, x0:x1] = classes[y0:y1, x0:x1] = VOID
    return numbers, classes


def write(root: Path, aug: bool = True) -> Path:
    """Write the devkit layout under `root`; returns the VOC2012 folder."""
    folder = root / "VOCdevkit" / "VOC2012"
    for split, names in SPLITS.items():
        if split == "trainaug" and not aug:
            continue
        write_voc_list(folder, split, names)
        for name in names:
            generator = np.random.default_rng(int(name.replace("_", "")))
            image = smooth_image(generator, (WIDTH, HEIGHT), (3, 3))
            ending = "Aug" if name == "2010_000100" else ""
            write_voc_image(folder, name, image, *pictures(name), ending)
    return folder
