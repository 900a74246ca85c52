"""Miniatures of COCO, VOC, Visual Genome and word vectors, for dry runs and tests.

Formats, sizes and numbers of categories are those of the real thing; nothing else is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
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
SIZE = WIDTH, HEIGHT = 640, 384
VALIDATION_IMAGES = 1
OBJECTS, VOC_OBJECTS = 8, 3  # in an image; COCO has 7 on average, VOC 2.4
WORD_WIDTH = 300  # numbers in a word vector, as in GloVe's
# COCO's ids go up to 90 and leave these out.
COCO_IDS = tuple(sorted({*range(1, 91)} - {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}))

# Image id, category id, whether it is a crowd, box xywh, area, segmentation.
CocoAnnotation = tuple[int, int, int, Sequence[float], float, Any]
GenomeObject = tuple[Sequence[str], float, float, float, float]  # synsets, x, y, width, height


def write_miniatures(experiment: Experiment, config: Any, folder: Path) -> None:
    """Write all data files that a run with the settings `config` reads as `folder`/<name>.

    There are `train_count` images for training, one for validation. What is there already is
    left alone, so that several runs may share a folder.
    """

    def missing(setting: str) -> Path | None:
        name = getattr(config, setting, "")
        return folder / name if name and not (folder / name).exists() else None

    images = getattr(config, "train_count", 0)
    subset = next(iter(getattr(config, "subsets", ())), None)
    for seed, (part, number) in enumerate((("train", images), ("val", VALIDATION_IMAGES))):
        if annotations := missing(f"{part}_annotations"):
            photographs = getattr(config, f"{part}_images", "") or f"unused/{part}"
            write_coco(annotations, folder / photographs, number, seed, subset)
    if genome := missing("genome"):
        val_ids = range(1, VALIDATION_IMAGES + 1)  # those of `write_coco`
        write_genome(genome, images, val_ids, config.categories, config.genome_test_count)
    if voc := missing("voc"):
        write_voc(voc, {config.train_list: images, config.val_list: VALIDATION_IMAGES})
    if vectors := missing("embedding_file"):
        write_word_vectors(vectors)
    for name in experiment.files(config):
        if not (folder / name).exists():
            problem = f"a dry run cannot make a miniature of the data file {name!r}"
            raise ValueError(f"{problem}; teach book/wsisbook/plan/dry_run_data.py its format")


def smooth_image(
    generator: np.random.Generator, size: tuple[int, int] = SIZE, cells: tuple[int, int] = (6, 10)
) -> Image.Image:
    """An image of random colours that change smoothly, so that JPEG keeps it nearly."""
    pixels = generator.integers(0, 256, (*cells, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR)


def _scene(
    generator: np.random.Generator, objects: int
) -> tuple[Image.Image, list[npt.NDArray[np.float64]]]:
    """An image of plain octagons, and the (8, 2) corners xy of each, 24 to 180 pixels wide."""
    image, shapes = smooth_image(generator), []
    draw = ImageDraw.Draw(image)
    angles = 2 * math.pi * (np.arange(8) + 0.5) / 8
    for _ in range(objects):
        radii = generator.uniform(12, 90, 2)
        centre = generator.uniform(radii, np.array(SIZE) - radii)
        corners = centre + radii * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        shapes.append(np.round(corners, 2))
        colour = tuple(int(value) for value in generator.integers(0, 256, 3))
        draw.polygon([(x, y) for x, y in shapes[-1].tolist()], fill=colour)
    return image, shapes


def _box(corners: npt.NDArray[np.float64]) -> tuple[float, float, float, float]:
    """x, y, width, height."""
    low, (x, y) = corners.min(axis=0), corners.max(axis=0) - corners.min(axis=0)
    return low[0].item(), low[1].item(), x.item(), y.item()


def write_coco(
    annotations: Path, photographs: Path, images: int, seed: int, subset: str | None = None
) -> None:
    """Write a data set in COCO's format: 80 categories, polygons and one crowd region.

    `subset` is that of all images; None leaves it out.
    """
    generator, files = np.random.default_rng(seed), {}
    entries: list[CocoAnnotation] = []
    for image_id in range(1, images + 1):
        image, shapes = _scene(generator, OBJECTS)
        files[image_id] = f"{image_id:012d}.jpg"
        _save(image, photographs / files[image_id])
        for place, corners in enumerate(shapes, start=(image_id - 1) * OBJECTS):
            x, y = corners.T
            area = abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2
            category = COCO_IDS[place * 13 % len(COCO_IDS)]
            entries.append((image_id, category, 0, _box(corners), area, [corners.ravel().tolist()]))
    crowd = {"size": [HEIGHT, WIDTH], "counts": [0, 20 * HEIGHT, (WIDTH - 20) * HEIGHT]}
    entries.append((1, 1, 1, [0.0, 0.0, 20.0, float(HEIGHT)], 20.0 * HEIGHT, crowd))
    numbered = dict(enumerate(entries, start=1))
    categories = zip(COCO_IDS, COCO_NAMES, strict=True)
    document = coco_document(files, SIZE, numbered, categories)
    for image in document["images"]:
        image |= {} if subset is None else {"subset": subset}
    atomic_write(annotations, json.dumps(document))


def coco_document(
    files: Mapping[int, str],
    size: tuple[int, int],
    annotations: Mapping[int, CocoAnnotation],
    categories: Iterable[tuple[int, str]],
) -> dict[str, Any]:
    """A COCO file: the files of images of one size, annotations and category names, all by id."""
    names = ("image_id", "category_id", "iscrowd", "bbox", "area", "segmentation")
    sides = {"width": size[0], "height": size[1]}
    own = {i: dict(zip(names, values, strict=True)) for i, values in annotations.items()}
    return {
        "images": [{"id": i, "file_name": name, **sides} for i, name in files.items()],
        "annotations": [{"id": i, **values} for i, values in own.items()],
        "categories": [{"id": i, "name": name} for i, name in categories],
    }


def write_voc(root: Path, lists: Mapping[str, int]) -> None:
    """Write a folder in VOC's layout, all masks in the devkit's own pair of folders.

    `lists` gives each list's name and how many images it has, none of them on two lists.
    """
    generator, number = np.random.default_rng(0), 0
    for split, images in lists.items():
        names = [f"2012_{n:06d}" for n in range(number + 1, number + images + 1)]
        for name in names:
            picture, shapes = _scene(generator, VOC_OBJECTS)
            objects, classes = (Image.new("L", SIZE) for _ in range(2))
            for place, corners in enumerate(shapes, start=1):
                polygon = [(x, y) for x, y in corners.tolist()]
                category = 1 + (number * VOC_OBJECTS + place) % len(VOC_NAMES)
                ImageDraw.Draw(objects).polygon(polygon, fill=place)
                ImageDraw.Draw(classes).polygon(polygon, fill=category)
            write_voc_image(root, name, picture, np.asarray(objects), np.asarray(classes))
            number += 1
        write_voc_list(root, split, names)


def write_voc_image(
    root: Path, name: str, image: Image.Image, objects: npt.NDArray[np.uint8],
    classes: npt.NDArray[np.uint8], ending: str = "",
) -> None:  # fmt: skip
    """Write a photograph and its two index pictures, in folders whose names have the `ending`."""
    _save(image, root / "JPEGImages" / f"{name}.jpg")
    for folder, indices in (("SegmentationObject", objects), ("SegmentationClass", classes)):
        save_indices(indices, root / f"{folder}{ending}" / f"{name}.png")


def write_voc_list(root: Path, split: str, names: Iterable[str]) -> None:
    """Write the list of a split's images."""
    file = root / "ImageSets" / "Segmentation" / f"{split}.txt"
    atomic_write(file, "\n".join(names) + "\n")


def save_indices(indices: npt.NDArray[np.uint8], file: Path) -> None:
    """Save (H, W) indices as a PNG with a random palette."""
    image = Image.frombytes("P", indices.shape[::-1], indices.tobytes())
    image.putpalette(np.random.default_rng(0).integers(0, 256, 768).tolist())
    _save(image, file)


def _save(image: Image.Image, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file, quality=90)  # of JPEG; PNG has none


def write_genome(
    root: Path, images: int, coco_val_ids: Sequence[int], listed: int, tests: int
) -> None:
    """Write objects.json, image_data.json and photographs in Visual Genome's format.

    The training part has `images`, the validation part those in COCO of `coco_val_ids`; of the
    test part `tests` are declared, without a photograph. `listed` is how many of the most frequent
    synsets will be asked for; one of COCO's is too rare to be among them, as in the real files.
    """
    if listed < len(COCO_NAMES) or tests < 1:
        raise ValueError(
            f"a miniature of Visual Genome has {len(COCO_NAMES)} synsets or more and a test part, "
            f"but {listed} synsets and {tests} test images are wanted"
        )
    # The authors' rule: a COCO name's own synset, or a pair made by hand.
    synsets = [HAND_MAPPINGS.get(n, f"{n.replace(' ', '_')}.n.01") for n in COCO_NAMES]
    rare = HAND_MAPPINGS["hair drier"]
    synsets.remove(rare)
    synsets += [f"thing_{number:04d}.n.01" for number in range(listed - len(synsets))]
    photographed = images + len(coco_val_ids)
    # A prime stride, so that objects of neighbouring images are of other categories.
    places = np.arange(photographed * OBJECTS).reshape(-1, OBJECTS) * 397 % listed
    named = [[synsets[place] for place in row] for row in places]
    named.append([*synsets, *synsets, rare])  # the first test image has each listed one twice
    coco_ids = [*([None] * images), *coco_val_ids, *([None] * tests)]
    files = {n: (f"VG_100K/{n}.jpg", coco_id) for n, coco_id in enumerate(coco_ids, start=1)}
    objects: dict[int, list[GenomeObject]] = {image_id: [] for image_id in files}
    for image_id, own in enumerate(named, start=1):
        image, shapes = _scene(np.random.default_rng(image_id), len(own))
        objects[image_id] = [([s], *_box(shape)) for s, shape in zip(own, shapes, strict=True)]
        if image_id <= photographed:
            _save(image, root / files[image_id][0])
    (root / "VG_100K_2").mkdir(parents=True, exist_ok=True)
    atomic_write(root / "image_data.json", json.dumps(genome_images(files, SIZE)))
    atomic_write(root / "objects.json", json.dumps(genome_objects(objects)))


def genome_images(
    files: Mapping[int, tuple[str, int | None]], size: tuple[int, int]
) -> list[dict[str, Any]]:
    """What image_data.json holds of images of one size: id -> file, and id in COCO or None."""
    url, (width, height) = "https://cs.stanford.edu/people/rak248/", size
    facts = {"width": width, "height": height, "flickr_id": None}
    return [
        {"image_id": image_id, "url": url + file, "coco_id": coco_id, **facts}
        for image_id, (file, coco_id) in files.items()
    ]


def genome_objects(
    objects: Mapping[int, Iterable[GenomeObject]], first: int = 1
) -> list[dict[str, Any]]:
    """What objects.json holds of image id -> objects, which are numbered from `first`."""
    number = count(first)

    def record(synsets: Sequence[str], x: float, y: float, w: float, h: float) -> dict[str, Any]:
        names = [synset.partition(".")[0] for synset in synsets]
        place = {"object_id": next(number), "x": x, "y": y, "w": w, "h": h}
        return {**place, "names": names, "synsets": list(synsets), "merged_object_ids": []}

    return [{"image_id": i, "objects": [record(*m) for m in ms]} for i, ms in objects.items()]


def write_word_vectors(file: Path) -> None:
    """Write random vectors of the words in COCO's category names, in GloVe's format."""
    words = sorted({word for name in COCO_NAMES for word in name.split()})
    vectors = np.random.default_rng(0).normal(size=(len(words), WORD_WIDTH)).tolist()
    texts = (" ".join(f"{value:.4f}" for value in vector) for vector in vectors)
    atomic_write(file, "".join(f"{w} {text}\n" for w, text in zip(words, texts, strict=True)))
