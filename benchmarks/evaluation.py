"""Seconds to judge masks: `coco_ap` against pycocotools, on scenes of the procedural world.

    python benchmarks/evaluation.py [--quick]

Both start from the same ground truth and results in memory and end with the twelve numbers, which
must be equal. The two take turns; the ratio is that of the medians of processor time (both use one
thread), so that other programs on the machine count less.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from record import record

from wsislib.data.world import WorldDataset, WorldSpec
from wsislib.engine.evaluate import coco_ap
from wsislib.engine.predict import encode_masks

REQUIRED = 4.0
CATEGORIES = 80


def detections(dataset: WorldDataset, per_image: int, seed: int) -> list[dict[str, Any]]:
    """Results of a middling detector: each truth moved a little several times, some renamed."""
    rng = np.random.default_rng(seed)
    ids = [category.id for category in dataset.categories]
    results: list[dict[str, Any]] = []
    for index in range(len(dataset)):
        label = dataset[index].label
        if len(label) == 0:
            continue
        chosen = rng.integers(0, len(label), per_image)
        shifts = rng.integers(-4, 5, (per_image, 2)).tolist()
        masks = torch.stack(
            [label.masks[k].roll(s, (0, 1)) for k, s in zip(chosen, shifts, strict=True)]
        )
        renamed = rng.random(per_image) < 0.4
        for k, new, code in zip(chosen, renamed, encode_masks(masks), strict=True):
            category = int(rng.choice(ids)) if new else ids[int(label.categories[k])]
            results.append(
                {
                    "image_id": dataset.image_ids[index],
                    "category_id": category,
                    "score": float(rng.random()),
                    "segmentation": code,
                }
            )
    return results


def by_pycocotools(truth: dict[str, Any], results: list[dict[str, Any]]) -> list[float]:
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [100 * float(v) if v > -1 else float("nan") for v in evaluation.stats]


def by_ours(truth: dict[str, Any], results: list[dict[str, Any]]) -> list[float]:
    return list(coco_ap(truth, results).numbers().values())


def timed(call: Callable[..., list[float]], *data: Any) -> tuple[float, float, list[float]]:
    """Wall and processor seconds; works on copies, for pycocotools changes what it is given."""
    data = copy.deepcopy(data)
    wall, processor = time.perf_counter(), time.process_time()
    numbers = call(*data)
    return time.perf_counter() - wall, time.process_time() - processor, numbers


def measure(scenes: int, per_image: int, repeats: int) -> dict[str, Any]:
    dataset = WorldDataset(WorldSpec(categories=CATEGORIES), seed=5, count=scenes)
    truth, results = dataset.ground_truth(), detections(dataset, per_image, seed=0)
    ours, theirs = [], []
    for _ in range(repeats):
        theirs.append(timed(by_pycocotools, truth, results))
        ours.append(timed(by_ours, truth, results))
    ours_wall, theirs_wall = (statistics.median(run[0] for run in runs) for runs in (ours, theirs))
    ours_cpu, theirs_cpu = (statistics.median(run[1] for run in runs) for runs in (ours, theirs))
    difference = np.abs(np.subtract(ours[0][2], theirs[0][2]))
    undefined = np.isnan(ours[0][2]) == np.isnan(theirs[0][2])
    return {
        "scenes": scenes,
        "categories": CATEGORIES,
        "detections": len(results),
        "AP": round(ours[0][2][0], 4),
        "largest_difference": float(np.nanmax(difference)) if undefined.all() else float("inf"),
        "ours_seconds": round(ours_cpu, 3),
        "pycocotools_seconds": round(theirs_cpu, 3),
        "ratio": round(theirs_cpu / ours_cpu, 2),
        "wall_clock_ratio": round(theirs_wall / ours_wall, 2),
        "required_ratio": REQUIRED,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few scenes; nothing is recorded")
    quick = parser.parse_args().quick
    cases = [(100, 20)] if quick else [(2000, 20), (5000, 20)]
    rows = []
    for scenes, per_image in cases:
        rows.append(measure(scenes, per_image, 1 if quick else 3))
        print(rows[-1], flush=True)
        if rows[-1]["largest_difference"] > 1e-9:
            raise SystemExit("the two evaluators disagree")
    if not quick:
        print(f"written to {record('evaluation', rows)}")


if __name__ == "__main__":
    main()
