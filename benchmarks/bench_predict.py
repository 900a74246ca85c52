"""Peak memory and time of `wsis predict` on photographs as phones and cameras take them.

    python benchmarks/bench_predict.py [--quick]

Each row is a process of its own, the command from its start to its end with overlays of everything
found: 4 photographs of 12 megapixels, one of 24 with 100 and 300 objects and in tiles, and 15 and
60 photographs, where memory should not grow. Weights are random, which costs what trained ones
do; in place of a trained detector's boxes come drawn ones, 200 to 1,000 pixels wide. Time is of
the processor, one thread. Linux only.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import memory
import numpy as np
import torch
from PIL import Image
from record import record

from wsislib.cli import main as wsis
from wsislib.engine.weights import save_weights
from wsislib.models.maskrcnn.detector import DetectedRegions, Detector
from wsislib.photos.recipe import ModelName, Recipe

CATEGORIES = tuple((i, f"kind {i}") for i in range(1, 6))
ALLOWED_MIB = 3000
PHONE, CAMERA, SMALL = (4032, 3024), (6000, 4000), (1280, 960)
LEAST, MOST = 200, 1000  # sides of the drawn boxes in pixels of a photograph of 12 megapixels


def untrained(folder: Path, model: ModelName) -> Path:
    """A model folder as `wsis train` leaves it, with random weights."""
    recipe = Recipe("small", "class-agnostic", False, (240, 320), 0, CATEGORIES, "none", model)
    recipe.save(folder)
    network = recipe.build()
    if model == "wish":  # a WISH's weights are those of its Mask2Former, under a name
        network = torch.nn.ModuleDict({"segmenter": network})
    save_weights(folder / "checkpoints" / "final.safetensors", network, {})
    return folder


def photographs(folder: Path, count: int, size: tuple[int, int]) -> Path:
    """JPEG files of smooth noise, (width, height) pixels."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(count):
        small = rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
        picture = Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)
        picture.save(folder / f"{index:03d}.jpg", quality=90)
    return folder


def with_drawn_boxes(count: int) -> None:
    """Let every detector find `count` boxes of useful size, after it has done its own work."""
    own = Detector.detect

    def detect(self: Detector, images: list[torch.Tensor]) -> DetectedRegions:
        regions = own(self, images)
        generator = torch.Generator().manual_seed(0)
        boxes = []
        for height, width in regions.sizes:
            unit = width / PHONE[0]
            sides = unit * (LEAST + (MOST - LEAST) * torch.rand(count, 2, generator=generator))
            room = torch.tensor([width, height]) - sides
            corner = room.clamp(min=0) * torch.rand(count, 2, generator=generator)
            boxes.append(torch.cat([corner, corner + sides], dim=1))
        score = torch.linspace(0.99, 0.5, count)
        label = 1 + torch.arange(count) % len(CATEGORIES)
        many = len(images)
        return replace(regions, boxes=boxes, scores=[score] * many, labels=[label] * many)

    Detector.detect = detect  # type: ignore[method-assign]


def child(objects: int, words: list[str]) -> None:
    """Run the command in this process and print what it took, as JSON."""
    torch.set_num_threads(1)
    with_drawn_boxes(objects)
    before = memory.forget_peak()
    start = time.process_time()
    with contextlib.redirect_stdout(sys.stderr):
        code = wsis(words)
    seconds = time.process_time() - start
    peak = memory.peak_mib()
    print(json.dumps({"code": code, "seconds": seconds, "peak": peak, "before": before}))


def measure(model: Path, images: Path, objects: int, *options: str) -> dict[str, Any]:
    """Peak MiB and seconds of a run in a process of its own."""
    with tempfile.TemporaryDirectory() as out:
        words = ["predict", str(model), str(images), "--out", f"{out}/found", "--device", "cpu"]
        words += ["--score", "0", "--max-detections", str(objects), *options]
        command = [sys.executable, __file__, "--child", str(objects), *words]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        told = json.loads(done.stdout)
        found = json.loads(Path(f"{out}/found/results.json").read_text())
    assert told["code"] == 0
    print(done.stdout, end="", flush=True)
    return {
        "peak_mib": round(told["peak"]),
        "allowed_mib": ALLOWED_MIB,
        "of_which_the_program_mib": round(told["before"]),
        "cpu_seconds": round(told["seconds"], 1),
        "instances": len(found),
    }


def rows_of(folder: Path, quick: bool) -> list[dict[str, Any]]:
    """Every measurement."""
    phones = photographs(folder / "phones", 1 if quick else 4, PHONE)
    camera = photographs(folder / "camera", 1, SMALL if quick else CAMERA)
    names: tuple[ModelName, ...] = ("mask-rcnn", "wish")
    models = {name: untrained(folder / name, name) for name in names}
    todo: list[tuple[str, ModelName, Path, int, tuple[str, ...]]] = [
        ("4 of 12 megapixels", "mask-rcnn", phones, 32, ()),
        ("1 of 24 megapixels", "mask-rcnn", camera, 100, ()),
        ("1 of 24 megapixels", "mask-rcnn", camera, 300, ()),
        ("1 of 24 megapixels, tiles of 1024", "mask-rcnn", camera, 32, ("--tile", "1024")),
    ]
    for count in (2, 4) if quick else (15, 60):
        images = photographs(folder / f"many{count}", count, SMALL)
        todo.append((f"{count} of 1.2 megapixels", "mask-rcnn", images, 32, ()))
    # Masks of random weights reach everywhere, so this is more than any trained model asks for.
    todo.append(("1 of 24 megapixels", "wish", camera, 100, ()))
    return [
        {"photographs": what, "model": name, "most": most}
        | measure(models[name], images, most, *options)
        for what, name, images, most, options in todo
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less of all; nothing is recorded")
    quick = parser.parse_args().quick
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(prefix="predict-") as folder:
        rows = rows_of(Path(folder), quick)
    for row in rows:
        print(row)
    if not quick:
        print(f"written to {record('predict_cpu', rows)}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(int(sys.argv[2]), sys.argv[3:])
    else:
        main()
