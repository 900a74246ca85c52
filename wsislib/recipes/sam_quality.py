"""How good a teacher is: IoU of its candidates with true masks that it has not seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, Literal

import torch
from torch import Tensor
from torchvision.ops import box_iou

from wsislib.data.sample import Label, Sample
from wsislib.data.world.levels import LEVEL_NAMES
from wsislib.models.sam.drawn_prompts import PromptRule, random_pixels
from wsislib.models.sam.prompts import Prompts
from wsislib.models.sam.sam import CANDIDATES, Teacher

Kind = Literal["box", "point"]
KINDS: tuple[Kind, ...] = ("box", "point")


@dataclass
class Tally:
    """What was measured so far; lists of IoU, one entry a prompt."""

    best: dict[tuple[Kind, int], list[float]] = field(default_factory=dict)
    chosen: dict[tuple[Kind, int], list[float]] = field(default_factory=dict)
    predicted_error: list[float] = field(default_factory=list)
    heads: list[list[float]] = field(default_factory=lambda: [[] for _ in range(CANDIDATES)])
    picked: list[int] = field(default_factory=lambda: [0] * CANDIDATES)
    meanings: dict[int, list[float]] = field(default_factory=dict)
    agreement: dict[int, list[float]] = field(default_factory=dict)


@torch.no_grad()
def measure_teacher(
    teacher: Teacher, scenes: Iterable[Sample], generator: torch.Generator
) -> dict[str, Any]:
    """Prompt a teacher with the tight box of every mask and with one random pixel of it.

    Args:
        teacher: to judge.
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
    tally = Tally()
    for sample in scenes:
        if len(sample.label):
            _one_scene(teacher, sample, generator, tally)
    return _summary(tally)


def _one_scene(teacher: Teacher, sample: Sample, generator: torch.Generator, tally: Tally) -> None:
    masks, boxes = _masks_and_boxes(sample.label)
    pixels = random_pixels(masks.flatten(1), generator)
    width = masks.shape[2]
    points = torch.stack([pixels % width, pixels // width], dim=1) + 0.5
    embedded = teacher.embed([sample.image])
    meant = {
        "box": box_iou(boxes, boxes) >= PromptRule().least_fit,
        "point": masks.flatten(1)[:, pixels].T,
    }  # (M, M): prompt, mask
    prompts = {"box": Prompts(boxes=boxes), "point": Prompts(points=points)}
    for kind in KINDS:
        (found,) = teacher.candidates(embedded, [prompts[kind]])
        table = mask_iou(found.masks, masks)  # (M, 3, M)
        own = table[torch.arange(len(masks)), :, torch.arange(len(masks))]  # (M, 3)
        pick = found.scores.argmax(1)
        chosen = own.gather(1, pick[:, None])[:, 0]
        for level, best, one in zip(
            sample.label.categories.tolist(), own.amax(1).tolist(), chosen.tolist(), strict=True
        ):
            tally.best.setdefault((kind, level), []).append(best)
            tally.chosen.setdefault((kind, level), []).append(one)
        nearest = table.masked_fill(~meant[kind][:, None], 0).amax(2)  # (M, 3)
        likely = found.scores.gather(1, pick[:, None])[:, 0]
        tally.predicted_error += (likely - chosen).abs().tolist()
        for head in range(CANDIDATES):
            tally.heads[head] += nearest[:, head].tolist()
            tally.picked[head] += int((pick == head).sum())
        if kind == "point":
            _meanings(found.masks, table, meant[kind], tally)


def _meanings(candidates: Tensor, table: Tensor, meant: Tensor, tally: Tally) -> None:
    """How well the candidates cover everything that a point may mean, and how much they differ."""
    covered = table.amax(1)  # (M, M): prompt, mask
    between = mask_iou(candidates, candidates)  # (M, 3, 3) of one prompt's candidates
    for prompt, others in enumerate(meant):
        count = int(others.sum())
        tally.meanings.setdefault(count, []).append(float(covered[prompt][others].mean()))
        alike = between[prompt].triu(1).sum() / (CANDIDATES * (CANDIDATES - 1) / 2)
        tally.agreement.setdefault(count, []).append(float(alike))


def mask_iou(found: Tensor, masks: Tensor) -> Tensor:
    """IoU of (P, C, H, W) bool candidates with masks.

    Args:
        found: candidates of P prompts.
        masks: (M, H, W) bool, compared with every candidate, giving (P, C, M); or (P, C, H, W),
            compared within each prompt, giving (P, C, C).
    """
    one = found.flatten(2).float()  # (P, C, S)
    other = masks.flatten(1).float() if masks.dim() == 3 else masks.flatten(2).float()
    both = one @ other.transpose(-1, -2)
    sizes = other.sum(-1)
    either = one.sum(2, keepdim=True) + (sizes if masks.dim() == 3 else sizes[:, None]) - both
    return both / either.clamp(min=1)


def _masks_and_boxes(label: Label) -> tuple[Tensor, Tensor]:
    assert label.masks is not None and label.boxes is not None
    return label.masks, label.boxes


def _summary(tally: Tally) -> dict[str, Any]:
    levels: dict[str, Any] = {
        kind: {
            LEVEL_NAMES[level]: {
                "best": _mean(tally.best[kind, level]),
                "chosen": _mean(tally.chosen[kind, level]),
                "masks": len(tally.best[kind, level]),
            }
            for level in range(len(LEVEL_NAMES))
            if (kind, level) in tally.best
        }
        for kind in KINDS
    }
    prompts = max(sum(tally.picked), 1)
    heads = [
        {"iou": _mean(values), "chosen": round(picked / prompts, 4)}
        for values, picked in zip(tally.heads, tally.picked, strict=True)
    ]
    meanings = {
        str(count): {
            "covered": _mean(tally.meanings[count]),
            "alike": _mean(tally.agreement[count]),
            "points": len(tally.meanings[count]),
        }
        for count in sorted(tally.meanings)
    }
    error = _mean(tally.predicted_error)
    return {**levels, "heads": heads, "meanings": meanings, "score_error": error}


def _mean(values: list[float]) -> float:
    """Four digits are more than the sample allows for."""
    return round(fmean(values), 4) if values else 0.0
