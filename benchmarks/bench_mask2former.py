"""Our Mask2Former against Hugging Face's at the same configuration.

    python benchmarks/bench_mask2former.py [--quick]

Two configurations: the lab's (96 px, batch of 16; the peer gets our backbone and pyramid, because
it has no light pixel decoder) and the paper's R-50 with 100 queries and 12,544 points, on small
images. Both sides take turns, step by step, in one process: a training step (forward, backward,
AdamW), inference up to detections, and matching plus losses alone, from the decoder's answer to its
gradient. On a CPU processor time of one thread, on a GPU wall time between synchronisations. Peak
memory is that of a training step above what the process holds before it, each in a process of its
own.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from mask2former_peer import Ours, Step, Theirs
from memory import forget_peak, peak_mib
from record import record

from wsislib.data.world import WorldDataset, WorldSpec
from wsislib.engine.device import pick_device
from wsislib.models.mask2former.builders import mask2former_lab, mask2former_r50
from wsislib.models.mask2former.mask2former import Mask2Former

REQUIRED = {"training step": 1.5, "matching and losses": 3.0}
CATEGORIES = 20

Build = Callable[[], Mask2Former]


def large() -> Mask2Former:
    """The paper's, predicting at the size that images come in, as the peer does here."""
    return mask2former_r50(CATEGORIES, pretrained=False, image_side=(256, 256))


# name -> (builder, pixels, batch, precision, rounds)
CONFIGURATIONS: dict[str, tuple[Build, int, int, str, int]] = {
    "lab, bf16": (lambda: mask2former_lab(CATEGORIES), 96, 16, "bf16", 9),
    "R-50, bf16": (large, 256, 2, "bf16", 5),
    "R-50, float32": (large, 256, 2, "float32", 5),
}


def sides(name: str, device: torch.device) -> tuple[Ours, Theirs]:
    """Both models with the same batch of lab scenes."""
    build, size, images, precision, _ = CONFIGURATIONS[name]
    scenes = WorldDataset(WorldSpec(CATEGORIES), seed=1, count=images, size=size)
    batch = [scenes[index].to(device) for index in range(images)]
    torch.manual_seed(0)
    ours = Ours(build().to(device), batch, precision)
    return ours, Theirs(ours)


def seconds(step: Step, device: torch.device) -> float:
    if device.type != "cuda":
        start = time.process_time()
        step()
        return time.process_time() - start
    torch.cuda.synchronize(device)
    start = time.perf_counter()
    step()
    torch.cuda.synchronize(device)
    return time.perf_counter() - start


def compare(ours: Step, theirs: Step, rounds: int, device: torch.device) -> dict[str, Any]:
    """Median seconds of both and the median of their ratios; the first round warms up."""
    pairs = []
    for number in range(rounds + 1):
        order = [ours, theirs] if number % 2 else [theirs, ours]
        took = {step: seconds(step, device) for step in order}
        pairs.append((took[ours], took[theirs]))
    ratios = sorted(b / a for a, b in pairs[1:])
    return {
        "seconds": round(statistics.median(a for a, _ in pairs[1:]), 4),
        "peer_seconds": round(statistics.median(b for _, b in pairs[1:]), 4),
        "times_faster": round(statistics.median(ratios), 3),
        "quartiles": [round(ratios[len(ratios) * q // 4], 3) for q in (1, 3)],
        "rounds": rounds,
    }


def measure(name: str, quick: bool, device: torch.device) -> list[dict[str, Any]]:
    """The rows of one configuration."""
    ours, theirs = sides(name, device)
    rounds = 1 if quick else CONFIGURATIONS[name][-1]
    steps = {
        "training step": (ours.train, theirs.train),
        "inference": (ours.predict, theirs.predict),
        "matching and losses": (ours.supervise(), theirs.supervise()),
    }
    rows = []
    for what, (one, other) in steps.items():
        row = {"configuration": name, "what": what, **compare(one, other, rounds, device)}
        if what in REQUIRED:
            row["required"] = REQUIRED[what]
        rows.append(row)
        print(row, flush=True)
    return rows


def peak_mebibytes(name: str, side: str, device: torch.device) -> float:
    """What two training steps need at most above what was held before them."""
    ours, theirs = sides(name, device)
    step = ours.train if side == "ours" else theirs.train
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step(), step()
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    held = forget_peak()
    step(), step()
    return peak_mib() - held


def memory(name: str) -> dict[str, Any]:
    """Peak memory of both sides, each in a process of its own."""
    peaks = {}
    for side in ("ours", "theirs"):
        command = [sys.executable, __file__, "--memory", name, side]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        peaks[side] = json.loads(answer.splitlines()[-1])
    row = {
        "configuration": name,
        "what": "peak memory of a training step",
        "mebibytes": round(peaks["ours"], 1),
        "peer_mebibytes": round(peaks["theirs"], 1),
        "ratio": round(peaks["ours"] / peaks["theirs"], 3),
        "allowed": 1.0,
    }
    print(row, flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round; nothing is recorded")
    parser.add_argument("--memory", nargs=2, metavar=("CONFIGURATION", "SIDE"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    device = pick_device("auto")
    if options.memory:
        print(json.dumps(peak_mebibytes(*options.memory, device)))
        return
    rows = [row for name in CONFIGURATIONS for row in measure(name, options.quick, device)]
    rows += [memory(name) for name in CONFIGURATIONS]
    if not options.quick:
        print(f"written to {record(f'mask2former_{device.type}', rows)}")


if __name__ == "__main__":
    main()
