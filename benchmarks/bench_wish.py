"""What WISH costs above the plain Mask2Former that it stands on.

    python benchmarks/bench_wish.py [--quick]

A training step of the lab's WISH, reading of the batch included, on labels of points, of boxes and
of tags, against a step of its Mask2Former on the true masks of the same scenes. Candidates of
points and boxes come from a warm cache; for tags the teacher is asked in every step, which the
paper's method cannot avoid. Both take turns, step by step, in one process: on a CPU processor time
of one thread, on a GPU wall time between synchronisations. --quick uses a teacher with random
weights, takes few steps and records nothing.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from bench_maskx import Step, compare
from bench_teacher_cache import BATCH, CATEGORIES, scenes_of
from record import record
from torch import Tensor, nn

from wsislib.data.sample import Dataset, LabelKind
from wsislib.data.transforms import random_flip
from wsislib.data.world import WorldDataset
from wsislib.engine.device import autocast, pick_device
from wsislib.labels.datasets import WeakDataset
from wsislib.models.mask2former.builders import LOSS_WEIGHTS, mask2former_lab
from wsislib.models.sam.sam import Teacher
from wsislib.models.sam.sam_weights import load_sam
from wsislib.models.sam.tiny_sam import tiny_sam
from wsislib.models.wish.builders import wish_lab, wish_loss_weights
from wsislib.teacher.caching import cache_candidates
from wsislib.teacher.teaching import TeachingDataset

ALLOWED_OVERHEAD = 1.15  # with a warm cache


def labelled(scenes: WorldDataset, kind: LabelKind, teacher: Teacher) -> Dataset:
    """The scenes with labels of one kind, and candidates where the kind has any."""
    weak = WeakDataset(scenes, [kind] * len(scenes), seed=0)
    if kind in (LabelKind.TAG, LabelKind.MASK):
        return weak
    folder = Path(tempfile.mkdtemp(prefix="wish-bench-"))
    return TeachingDataset(weak, cache_candidates(weak, teacher, folder, progress=False).cache)


def training_step(
    model: nn.Module, dataset: Dataset, weights: Mapping[str, float], device: torch.device
) -> Step:
    """Read a batch and make one optimiser step, in the lab's precision."""
    model.to(device).train()
    losses_of: Callable[..., dict[str, Tensor]] = model.losses  # type: ignore[assignment]
    optimiser = torch.optim.AdamW(model.parameters(), 5e-4)

    def step(number: int) -> None:
        torch.manual_seed(number)
        generator = torch.Generator().manual_seed(number)
        rows = [(BATCH * number + place) % len(dataset) for place in range(BATCH)]
        batch = [random_flip(dataset[row], generator).to(device) for row in rows]
        with autocast(device, "bf16"):
            losses = losses_of(batch)
        optimiser.zero_grad()
        torch.stack(
            [weights[name] * loss.float() for name, loss in losses.items()]
        ).sum().backward()
        optimiser.step()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few steps; nothing is recorded")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    device = pick_device("auto")
    teacher = Teacher(tiny_sam(), "random", "random") if quick else load_sam()
    scenes = scenes_of(32 if quick else 320, 96)
    plain = labelled(scenes, LabelKind.MASK, teacher.to(device))
    rows: list[dict[str, Any]] = []
    for kind in (LabelKind.POINT, LabelKind.BOX, LabelKind.TAG):
        wish = wish_lab(CATEGORIES, teacher, cam_warmup=0, self_start=0)
        own = training_step(wish, labelled(scenes, kind, teacher), wish_loss_weights(), device)
        peer = training_step(mask2former_lab(CATEGORIES), plain, LOSS_WEIGHTS, device)
        found = compare(own, peer, 3 if quick else 40, device)
        name = f"training step: WISH on {kind.name.lower()} labels / Mask2Former on masks"
        limit = {} if kind == LabelKind.TAG else {"allowed_ratio": ALLOWED_OVERHEAD}
        rows.append({"comparison": name, "teacher": teacher.name, **found, **limit})
        print(rows[-1], flush=True)
    if not quick:
        print(f"written to {record(f'wish_{device.type}', rows)}")


if __name__ == "__main__":
    main()
