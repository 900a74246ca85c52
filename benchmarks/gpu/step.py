"""A training step and a prediction of one model family against its peer, as one line of JSON.

Mask R-CNN and Mask^X R-CNN against torchvision's `maskrcnn_resnet50_fpn`, Mask2Former and WISH
against Hugging Face's Mask2Former with the same weights: R-50, random weights, bf16 autocast,
AdamW, the same images. Both are in memory and take turns, step by step; a step lasts between two
synchronisations. Peak memory is that of a step above what was held before it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
sys.path.insert(0, str(ROOT / "benchmarks" / "gpu"))

import torch  # noqa: E402
from bench_maskx import Step, compare  # noqa: E402
from memory import forget_peak, peak_mib  # noqa: E402
from sides import SIDES, Pair, Size  # noqa: E402

FULL = Size(side=800, canvas=1024, batch=4, regions=256, rounds=10, warm=3)
TINY = Size(side=64, canvas=64, batch=1, regions=8, rounds=1, warm=0)


def peak_mebibytes(step: Step, device: torch.device) -> float:
    """What a step needs at most above what was held before it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step(0)
        torch.cuda.synchronize(device)
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    before = forget_peak()
    step(0)
    return peak_mib() - before


def measure(pair: Pair, size: Size, device: torch.device) -> dict[str, Any]:
    """Images a second and peak memory of both, and their ratios (ours over the peer's)."""
    row: dict[str, Any] = {"peer": pair.peer, "side": pair.side, "batch": size.batch}
    for what, (ours, theirs) in pair.steps.items():
        if theirs is None:  # no peer here: ours alone
            found = compare(ours, ours, size.rounds, device, size.warm)
            rates = {"images_per_second": round(size.batch / found["seconds"], 2)}
            row[what] = {**rates, "mebibytes": round(peak_mebibytes(ours, device), 1)}
            continue
        found = compare(ours, theirs, size.rounds, device, size.warm)
        peaks = [peak_mebibytes(step, device) for step in (ours, theirs)]
        row[what] = {
            "images_per_second": round(size.batch / found["seconds"], 2),
            "peer_images_per_second": round(size.batch / found["peer_seconds"], 2),
            "times_faster": round(1 / found["ratio"], 3),
            "seconds_ratio_quartiles": found["ratio_quartiles"],
            "mebibytes": round(peaks[0], 1),
            "peer_mebibytes": round(peaks[1], 1),
            "memory_ratio": round(peaks[0] / max(peaks[1], 1e-9), 3),
            "rounds": size.rounds,
        }
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("family", choices=list(SIDES))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true")
    said = parser.parse_args()
    device, size = torch.device(said.device), TINY if said.tiny else FULL
    torch.manual_seed(0)
    print(json.dumps(measure(SIDES[said.family](size, device), size, device)))


if __name__ == "__main__":
    main()
