"""Scenes per second of the procedural world on one core, image and masks included.

    python benchmarks/scenes.py [--quick]

The yardstick in the same run is Pillow decoding these scenes from PNG (without any masks): the
ratio says how drawing a scene compares with reading one, whatever the machine.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable

import numpy as np
from PIL import Image
from record import record

from wsislib.data.world import World, WorldSpec

REQUIRED = 200.0  # scenes per second at 96 px


def rate(call: Callable[[int], object], count: int, repeats: int) -> float:
    """Calls a second of processor time, the best of some repeats."""
    best = 0.0
    for repeat in range(repeats):
        start = time.process_time()
        for index in range(count):
            call(repeat * count + index)
        best = max(best, count / (time.process_time() - start))
    return best


def measure(categories: int, size: int, count: int, repeats: int) -> dict[str, float]:
    world = World(WorldSpec(categories=categories))
    codes = []
    for index in range(20):
        buffer = io.BytesIO()
        Image.fromarray(world.scene(1, index, size).image).save(buffer, format="PNG")
        codes.append(buffer.getvalue())
    drawn = rate(lambda i: world.scene(1, i, size).masks, count, repeats)
    read = rate(lambda i: np.asarray(Image.open(io.BytesIO(codes[i % 20]))), count, repeats)
    return {
        "categories": categories,
        "size": size,
        "scenes_per_second": round(drawn, 1),
        "png_decodes_per_second": round(read, 1),
        "ratio": round(drawn / read, 3),
        "required_scenes_per_second": REQUIRED if size == 96 else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few scenes; nothing is recorded")
    quick = parser.parse_args().quick
    scale = 10 if quick else 1
    repeats = 1 if quick else 3
    cases = [(80, 96, 1000), (3000, 96, 1000), (80, 384, 100)]
    rows = [measure(c, s, max(10, n // scale), repeats) for c, s, n in cases]
    for row in rows:
        print(row)
    if rows[0]["scenes_per_second"] < REQUIRED:
        print(f"below the {REQUIRED:.0f} scenes a second that are asked for at 96 px")
    if not quick:
        print(f"written to {record('scenes', rows)}")


if __name__ == "__main__":
    main()
