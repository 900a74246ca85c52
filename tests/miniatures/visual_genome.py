"""A Visual Genome folder of a few kilobytes with every oddity of the real files.

Six COCO categories stand for the 80; `NAMES` are theirs. Boxes are known numbers.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from wsisbook.plan.dry_run_data import genome_images, genome_objects
from wsislib.data.visual_genome.dataset import VisualGenome

NAMES = ("person", "tv", "dog", "traffic light", "hair drier", "orange")
VAL_IDS = (900, 901, 555)  # 555 is a COCO image that Visual Genome lacks
WIDTH, HEIGHT = 40, 30
# image id -> (folder, coco id); not in the order of ids, image 8 has no record in objects.json.
IMAGES: dict[int, tuple[str, int | None]] = {
    5: ("VG_100K", None),
    2: ("VG_100K_2", 900),
    9: ("VG_100K", 800),
    3: ("VG_100K_2", None),
    8: ("VG_100K", 901),
    7: ("VG_100K", None),
}
CLASS_COUNT = 8
TEST_COUNT = 2

# (synsets, x, y, w, h) of each object, image by image, in the order of the file.
OBJECTS: dict[int, list[tuple[list[str], float, float, float, float]]] = {
    2: [
        (["person.n.01"], 1, 2, 10, 12),
        (["person.n.01"], -3, -4, 8, 9),  # hangs over the corner
        (["dog.n.01"], 35, 25, 20, 20),
        (["tree.n.01"], 0, 0, 40, 30),
        ([], 1, 1, 5, 5),
        (["sky.n.01", "cloud.n.01"], 0, 0, 40, 10),
    ],
    5: [
        (["person.n.01"], 3, 3, 4, 4),
        (["dog.n.03"], 2, 2, 6, 6),
        (["dog.n.03"], 4, 2, 6, 6),
        (["television.n.01"], 5, 5, 9, 7),
        (["traffic_light.n.01"], 1, 1, 2, 5),
        (["rare.n.01"], 1, 1, 2, 2),
    ],
    9: [
        (["traffic_light.n.01"], 20, 1, 3, 7),
        (["television.n.01"], 50, 2, 5, 5),  # outside
        (["tree.n.01"], 3, 3, 0, 9),  # empty
        (["zoo.n.01"], 0, 0, 9, 9),
        (["zoo.n.01"], 9, 9, 9, 9),
        (["hand_blower.n.01"], 7, 7, 3, 3),
        (["orange.n.02"], 5, 6, 7, 8),
        (["orange.n.02"], 6, 6, 7, 8),
        (["orange.n.02"], 7, 6, 7, 8),
        (["orange.n.01"], 8, 6, 7, 8),
    ],
    7: [(["dog.n.01"], 1.5, 2.25, 3, 4), (["sky.n.01"], 0, 0, 40, 9)],
    3: [],
}

# Of the counts below: 8 are the most frequent, ties by name. "dog" is then dog.n.01 (2, before
# dog.n.03 by name), "orange" is mapped by hand, and so is "hair drier", which is not frequent.
FREQUENT = (
    "orange.n.02",
    "person.n.01",
    "dog.n.01",
    "dog.n.03",
    "sky.n.01",
    "television.n.01",
    "traffic_light.n.01",
    "tree.n.01",
)
COCO = (
    "person.n.01",
    "television.n.01",
    "dog.n.01",
    "traffic_light.n.01",
    "hand_blower.n.01",
    "orange.n.01",
)
LAYOUT = (*COCO, "dog.n.03", "orange.n.02", "sky.n.01", "tree.n.01")


def image_data() -> list[dict]:
    files = {image: (f"{folder}/{image}.png", coco) for image, (folder, coco) in IMAGES.items()}
    return genome_images(files, (WIDTH, HEIGHT))


def objects() -> list[dict]:
    return genome_objects(OBJECTS, first=101)


def pixels(image_id: int) -> np.ndarray:
    generator = np.random.default_rng(image_id)
    return generator.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def write(
    root: Path, object_records: list[dict] | None = None, image_records: list[dict] | None = None
) -> Path:
    """Write the folder; returns it."""
    for folder in ("VG_100K", "VG_100K_2"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for image_id, (folder, _) in IMAGES.items():
        Image.fromarray(pixels(image_id)).save(root / folder / f"{image_id}.png")
    records = {
        "objects.json": objects() if object_records is None else object_records,
        "image_data.json": image_data() if image_records is None else image_records,
    }
    for name, content in records.items():
        (root / name).write_text(json.dumps(content))
    return root


def load(root: Path, **options: object) -> VisualGenome:
    """The miniature at `root`, read with its own class list."""
    settings = {
        "class_count": CLASS_COUNT,
        "test_count": TEST_COUNT,
        "coco_names": NAMES,
        **options,
    }
    return VisualGenome(root, VAL_IDS, **settings)
