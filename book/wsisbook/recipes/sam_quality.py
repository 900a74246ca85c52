"""How good a teacher is: IoU of its candidates with ground truth that it has not seen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
from torch import Tensor
from torchvision.ops import box_iou

from wsislib.data.sample import Sample
from wsislib.data.world.levels import LEVEL_NAMES
from wsislib.models.sam.drawn_prompts import PromptRule, random_pixels
from wsislib.models.sam.prompts import Prompts
from wsislib.models.sam.sam import CANDIDATES, Teacher

KINDS = ("box", "point")


@dataclass(frozen=True)
class _Answer:
    """What was measured of one prompt; the fields as `measure_teacher` explains them."""

    kind: str
    level: int
    best: float
    chosen: float
    score_error: float
    picked: int
    heads: list[float]


Meanings = dict[int, list[tuple[float, float]]]  # masks that a point may mean -> covered, alike


@torch.no_grad()
def measure_teacher(
    teacher: Teacher, scenes: Iterable[Sample], generator: torch.Generator
) -> dict[str, Any]:
    """Prompt a teacher with the tight box of every mask and with one random pixel of it.

    Args:
        teacher: to measure.
        scenes: with a mask and its level (the category) per entry, as `LevelScenes` gives them.
        generator: draws the points.

    Returns:
        `box` and `point`: per level the mean IoU of the `best` of three candidates and of the one
        `chosen` by predicted IoU, and how many `masks`. `heads`: per candidate its mean IoU with
        the nearest mask that the prompt may mean (a dead head shows here), and how often it was
        chosen. `meanings`: for points that may mean 1, 2 or 3 masks, mean IoU over those masks of
        the best candidate for each, and the mean IoU of the candidates with one another.
        `score_error`: mean distance of predicted from true IoU of the chosen candidate.
    """
    answers: list[_Answer] = []
    meanings: Meanings = defaultdict(list)
    for sample in scenes:
        if len(sample.label):
            _one_scene(teacher, sample, generator, answers, meanings)
    return _summary(answers, meanings)


def _one_scene(
    teacher: Teacher,
    sample: Sample,
    generator: torch.Generator,
    answers: list[_Answer],
    meanings: Meanings,
) -> None:
    masks, boxes = sample.label.masks, sample.label.boxes
    assert masks is not None and boxes is not None
    pixels = random_pixels(masks.flatten(1), generator)
    width = masks.shape[2]
    points = torch.stack([pixels % width, pixels // width], dim=1) + 0.5
    embedded = teacher.embed([sample.image])
    meant = {
        "box": box_iou(boxes, boxes) >= PromptRule().least_fit,
        "point": masks.flatten(1)[:, pixels].T,
    }  # (M, M): prompt, mask
    prompts = {"box": Prompts(boxes=boxes), "point": Prompts(points=points)}
    each = torch.arange(len(masks))
    for kind in KINDS:
        (offered,) = teacher.candidates(embedded, [prompts[kind]])
        table = candidate_iou(offered.masks, masks)  # (M, 3, M)
        target = table[each, :, each]  # (M, 3): with the mask that the prompt was drawn from
        picked = offered.scores.argmax(1)
        chosen = target[each, picked]
        nearest = table.masked_fill(~meant[kind][:, None], 0).amax(2)  # (M, 3)
        error = (offered.scores[each, picked] - chosen).abs()
        columns = (sample.label.categories, target.amax(1), chosen, error, picked, nearest)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        answers += [_Answer(kind, *row) for row in rows]
        if kind == "point":
            _add_meanings(offered.masks, table, meant[kind], meanings)


def _add_meanings(candidates: Tensor, table: Tensor, meant: Tensor, meanings: Meanings) -> None:
    """How well the candidates cover everything that a point may mean, and how much they differ."""
    covered = table.amax(1)  # (M, M): prompt, mask
    between = candidate_iou(candidates, candidates)  # (M, 3, 3) of one prompt's candidates
    for prompt, others in enumerate(meant):
        alike = between[prompt].triu(1).sum() / (CANDIDATES * (CANDIDATES - 1) / 2)
        row = float(covered[prompt][others].mean()), float(alike)
        meanings[int(others.sum())].append(row)


def candidate_iou(candidates: Tensor, masks: Tensor) -> Tensor:
    """IoU of (P, C, H, W) bool candidates of P prompts with masks.

    Masks of (M, H, W) are compared with every candidate, giving (P, C, M); masks of (P, C, H, W)
    within each prompt, giving (P, C, C).
    """
    one = candidates.flatten(2).float()  # (P, C, S)
    other = masks.flatten(1).float() if masks.dim() == 3 else masks.flatten(2).float()
    both = one @ other.transpose(-1, -2)
    sizes = other.sum(-1)
    either = one.sum(2, keepdim=True) + (sizes if masks.dim() == 3 else sizes[:, None]) - both
    return both / either.clamp(min=1)


def _summary(answers: list[_Answer], meanings: Meanings) -> dict[str, Any]:
    summary: dict[str, Any] = {kind: {} for kind in KINDS}
    for kind in KINDS:
        for level, name in enumerate(LEVEL_NAMES):
            rows = [a for a in answers if a.kind == kind and a.level == level]
            if rows:
                best, chosen = (_mean([getattr(a, of) for a in rows]) for of in ("best", "chosen"))
                summary[kind][name] = {"best": best, "chosen": chosen, "masks": len(rows)}
    summary["heads"] = [
        {
            "iou": _mean([a.heads[head] for a in answers]),
            "chosen": round(sum(a.picked == head for a in answers) / max(len(answers), 1), 4),
        }
        for head in range(CANDIDATES)
    ]
    summary["meanings"] = {
        str(count): {
            "covered": _mean([covered for covered, _ in rows]),
            "alike": _mean([alike for _, alike in rows]),
            "points": len(rows),
        }
        for count, rows in sorted(meanings.items())
    }
    summary["score_error"] = _mean([a.score_error for a in answers])
    return summary


def _mean(values: list[float]) -> float:
    """Four digits are more than the sample allows for."""
    return round(fmean(values), 4) if values else 0.0
