"""What a teacher's candidates cost while training, when they are in the cache.

    python benchmarks/bench_teacher_cache.py [--quick]

A training step of the lab's Mask2Former, reading of the batch included, on box labels with
candidates from a warm cache (read, moved with the image, best one taken) against the same scenes
with ready masks. Both take turns, step by step, in one process: on a CPU processor time of one
thread, on a GPU wall time between synchronisations. And without a model: reading alone, filling
the cache, and bytes an instance, for scenes of two sizes. --quick uses a teacher with random
weights, whose masks look like nothing.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from bench_maskx import Step, compare
from record import record

from wsislib.data.sample import Dataset, LabelKind, Sample
from wsislib.data.transforms import random_flip
from wsislib.data.world import WorldDataset, WorldSpec
from wsislib.engine.device import autocast, pick_device
from wsislib.labels.datasets import WeakDataset
from wsislib.models.mask2former.builders import LOSS_WEIGHTS, mask2former_lab
from wsislib.models.sam.sam import Teacher
from wsislib.models.sam.sam_weights import load_sam
from wsislib.models.sam.tiny_sam import tiny_sam
from wsislib.teacher.caching import CacheStats, cache_candidates
from wsislib.teacher.teaching import TeachingDataset, pseudo_masks

ALLOWED_OVERHEAD = 1.05
CATEGORIES, BATCH = 20, 16

Read = Callable[[int], Sample]


def scenes_of(count: int, size: int) -> WorldDataset:
    """Scenes of the world, drawn already: what is measured is not their drawing."""
    scenes = WorldDataset(WorldSpec(CATEGORIES, size), seed=1, count=count)
    for index in range(count):
        scenes[index]
    return scenes


def from_cache(scenes: WorldDataset, teacher: Teacher) -> tuple[TeachingDataset, CacheStats, float]:
    """Box labels with candidates, what the pass did, and the seconds that it took."""
    boxes = WeakDataset(scenes, [LabelKind.BOX] * len(scenes), seed=0)
    folder = Path(tempfile.mkdtemp(prefix="teacher-cache-"))
    start = time.perf_counter()
    done = cache_candidates(boxes, teacher, folder, progress=False)
    return TeachingDataset(boxes, done.cache), done, time.perf_counter() - start


def reader(dataset: Dataset) -> Read:
    """Image `index`, flipped or not, with masks: its own or the teacher's best."""

    def read(index: int) -> Sample:
        generator = torch.Generator().manual_seed(index)
        sample = random_flip(dataset[index % len(dataset)], generator)
        return replace(sample, label=pseudo_masks(sample.label))

    return read


def training_step(read: Read, device: torch.device) -> Step:
    """Read a batch and make one optimiser step, in the lab's precision."""
    model = mask2former_lab(CATEGORIES).to(device).train()
    optimiser = torch.optim.AdamW(model.parameters(), 5e-4)

    def step(number: int) -> None:
        torch.manual_seed(number)
        batch = [read(BATCH * number + place).to(device) for place in range(BATCH)]
        with autocast(device, "bf16"):
            losses = model.losses(batch)
        optimiser.zero_grad()
        total = [LOSS_WEIGHTS[name] * loss.float() for name, loss in weighted(losses)]
        torch.stack(total).sum().backward()
        optimiser.step()

    return step


def weighted(losses: dict[str, torch.Tensor]) -> Sequence[tuple[str, torch.Tensor]]:
    """The losses that are learnt from."""
    return [(name, loss) for name, loss in losses.items() if name in LOSS_WEIGHTS]


def reading_step(read: Read) -> Step:
    """Read a batch and do nothing with it."""

    def step(number: int) -> None:
        for place in range(BATCH):
            read(BATCH * number + place)

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few steps; nothing is recorded")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    device, here = pick_device("auto"), torch.device("cpu")
    teacher = Teacher(tiny_sam(), "random", "random") if quick else load_sam()
    teacher.to(device)
    rows: list[dict[str, Any]] = []
    for size, count in ((96, 32 if quick else 320), (480, 16 if quick else 64)):
        scenes = scenes_of(count, size)
        taught, done, seconds = from_cache(scenes, teacher)
        ready = reader(WeakDataset(scenes, [LabelKind.MASK] * count, seed=0))
        cached = reader(taught)
        facts = {"teacher": teacher.name, "size": size, "images": count}
        facts |= {"instances": done.instances}
        rows.append(
            {
                "what": "the cache",
                **facts,
                "bytes_per_instance": round(done.bytes_per_instance, 1),
                "seconds_per_image_to_fill": round(seconds / count, 4),
            }
        )
        reading = compare(reading_step(cached), reading_step(ready), 3 if quick else 20, here)
        rows.append({"comparison": "reading a batch: cache / ready masks", **facts, **reading})
        if size == 96:
            steps = [training_step(read, device) for read in (cached, ready)]
            step = compare(*steps, 3 if quick else 40, device)
            step |= {"allowed_ratio": ALLOWED_OVERHEAD}
            rows.append({"comparison": "training step: cache / ready masks", **facts, **step})
    for row in rows:
        print(row)
    if not quick:
        print(f"written to {record(f'teacher_cache_{device.type}', rows)}")


if __name__ == "__main__":
    main()
