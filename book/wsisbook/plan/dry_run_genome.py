"""A Visual Genome of a few photographs, with as many synsets as a row wants."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ImageDraw

from wsisbook.plan.dry_run_data import HEIGHT, OBJECTS, WIDTH, noise, write_photograph
from wsislib.atomic import atomic_write
from wsislib.data.visual_genome.classes import COCO_NAMES, HAND_MAPPINGS

_STRIDE = 397  # prime, so that objects of neighbouring images are of other categories


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
