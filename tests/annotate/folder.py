"""A folder of small images to label."""

from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (60, 40)  # width, height


def make_folder(place: Path, count: int = 3) -> Path:
    """`count` images a.png, b.png, ... with a bright square on noise."""
    place.mkdir(parents=True, exist_ok=True)
    numbers = np.random.default_rng(0)
    for index in range(count):
        pixels = numbers.integers(0, 80, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
        pixels[10:30, 20:40] = (250, 120 + 20 * index, 20)
        Image.fromarray(pixels).save(place / f"{'abcdefgh'[index]}.png")
    return place
