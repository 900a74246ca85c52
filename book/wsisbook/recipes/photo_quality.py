"""How good a teacher is on photographs: IoU of its candidates with masks that it has not seen."""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from wsislib.data.sample import Dataset, Sample
from wsislib.models.sam.close_up import CloseUpTeacher
from wsislib.models.sam.drawn_prompts import random_pixels
from wsislib.models.sam.prompts import Prompts
from wsislib.models.sam.sam import MaskCandidates, Teacher

# COCO's limits between small, medium and large objects, pixels of the photograph as it is given.
SIZES = {"small": 0, "medium": 32**2, "large": 96**2}
KINDS = ("box", "point", "box, one look", "point, one look", "filled box", "GrabCut")
Scores = dict[tuple[str, str], list[tuple[float, float]]]  # kind, size -> best, chosen


def measure_on_photographs(
    teacher: Teacher,
    dataset: Dataset,
    baselines: bool = False,
    seed: int = 0,
    progress: bool = False,
) -> dict[str, Any]:
    """Prompt a teacher with the tight box of every mask and with one random pixel of it.

    Args:
        teacher: to measure.
        dataset: photographs with masks.
        baselines: also measure the filled box and GrabCut in the box.
        seed: of the pixels; an image's do not depend on the others.
        progress: show a progress bar.

    Returns:
        `box` and `point` (and `filled box`, `GrabCut`; of a teacher that looks closer also `box,
        one look` and `point, one look`, from the whole photograph alone): for `all`, `small`,
        `medium` and `large` objects (COCO's limits) the mean IoU of the `best` of three candidates
        and of the one `chosen` by predicted IoU, and the number of `masks`.
    """
    scores: Scores = defaultdict(list)
    for index in tqdm(range(len(dataset)), disable=not progress, unit="image", desc="measure"):
        sample = dataset[index]
        if len(sample.label):
            _one_photograph(teacher, sample, baselines, seed, scores)
    return {
        kind: {
            size: {
                "best": round(fmean(best for best, _ in rows), 4),
                "chosen": round(fmean(chosen for _, chosen in rows), 4),
                "masks": len(rows),
            }
            for size in ("all", *SIZES)
            if (rows := scores.get((kind, size)))
        }
        for kind in KINDS
        if scores.get((kind, "all"))
    }


def _one_photograph(
    teacher: Teacher, sample: Sample, baselines: bool, seed: int, scores: Scores
) -> None:
    masks, boxes = sample.label.masks, sample.label.boxes
    assert masks is not None and boxes is not None
    generator = torch.Generator().manual_seed(seed * 1_000_003 + sample.image_id)
    pixels = random_pixels(masks.flatten(1), generator)
    width = masks.shape[2]
    points = torch.stack([pixels % width, pixels // width], dim=1) + 0.5
    embedded = teacher.embed([sample.image.to(teacher.device)])
    for kind, prompts in (("box", Prompts(boxes=boxes)), ("point", Prompts(points=points))):
        (found,) = teacher.candidates(embedded, [prompts])
        _add(kind, *_best_and_chosen(found, masks), masks, scores)
        if isinstance(teacher, CloseUpTeacher):
            (found,) = teacher.candidates(embedded, [prompts], closer=False)
            _add(f"{kind}, one look", *_best_and_chosen(found, masks), masks, scores)
    if baselines:
        filled = torch.stack([_filled(box, masks.shape[1:]) for box in boxes])
        cut = torch.stack([_grabcut(sample.image, box) for box in boxes])
        for kind, drawn in (("filled box", filled), ("GrabCut", cut)):
            overlap = _iou(drawn[:, None], masks)[:, 0]
            _add(kind, overlap, overlap, masks, scores)


def _best_and_chosen(found: MaskCandidates, masks: Tensor) -> tuple[Tensor, Tensor]:
    """(N,) IoU of the best of three candidates and of the one with the best predicted IoU."""
    table = _iou(found.masks.cpu(), masks)  # (N, 3)
    picked = found.scores.cpu().argmax(1, keepdim=True)
    return table.amax(1), table.gather(1, picked)[:, 0]


def _iou(candidates: Tensor, masks: Tensor) -> Tensor:
    """(N, M) of (N, M, H, W) bool candidates with (N, H, W) masks."""
    one, other = candidates.flatten(2), masks.flatten(1)[:, None]
    return (one & other).sum(2) / (one | other).sum(2).clamp(min=1)


def _add(kind: str, best: Tensor, chosen: Tensor, masks: Tensor, scores: Scores) -> None:
    areas = masks.flatten(1).sum(1).tolist()
    for area, *pair in zip(areas, best.tolist(), chosen.tolist(), strict=True):
        size = max((name for name, low in SIZES.items() if area >= low), key=SIZES.__getitem__)
        for name in ("all", size):
            scores[kind, name].append((pair[0], pair[1]))


def _filled(box: Tensor, size: torch.Size) -> Tensor:
    """(H, W) bool: the pixels whose centres lie in the box."""
    rows, columns = (torch.arange(side) + 0.5 for side in size)
    x0, y0, x1, y1 = box.tolist()
    return ((rows > y0) & (rows < y1))[:, None] & ((columns > x0) & (columns < x1))[None]


def _grabcut(image: Tensor, box: Tensor) -> Tensor:
    from wsislib.labels.grabcut import grabcut_mask

    pixels = (image * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return torch.from_numpy(np.ascontiguousarray(grabcut_mask(pixels, box.numpy())))
