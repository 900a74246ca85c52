"""The matcher of WISH laid open, as the figures of `wsisbook.part2.matching_figures` take it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from wsisbook.part2.matching_figures import Choice
from wsisbook.part2.matching_show import MatchTrace, trace_match
from wsislib.data.sample import LabelKind, Sample
from wsislib.labels.weaken import weaken
from wsislib.matching import nearest_candidate
from wsislib.models.wish.candidate_choice import Gate
from wsislib.models.wish.wish import WISH


def pixels(sample: Sample) -> NDArray[np.uint8]:
    """(H, W, 3) of an image."""
    return (sample.image * 255).round().byte().permute(1, 2, 0).numpy()


def labelled_by(sample: Sample, kind: LabelKind, generator: torch.Generator) -> Sample:
    """The image with a label of that kind only, made from its masks."""
    return replace(sample, label=weaken(sample.label, kind, generator))


def prompts_given(sample: Sample) -> list[list[float]]:
    """Points xy or boxes xyxy of the label."""
    label = sample.label
    given = label.points if label.kind == LabelKind.POINT else label.boxes
    assert given is not None
    return given.tolist()


def query_titles(opened: MatchTrace, names: Sequence[str]) -> list[str]:
    """What each query says after the last layer: its likeliest category and how likely."""
    chances = opened.said.classes[-1, 0].softmax(-1)  # (Q, C + 1)
    best, which = chances[:, :-1].max(-1)
    return [
        f"{names[category]} {chance:.2f}"
        for chance, category in zip(best.tolist(), which.tolist(), strict=True)
    ]


def parts_and_sum(opened: MatchTrace) -> dict[str, NDArray[np.float64]]:
    """The weighted matrices (Q, N) of the last layer, with their weights, and their sum."""
    w, parts = opened.weights, opened.parts()
    titles = {
        "class": f"class, {w['class']:g} x",
        "prompt": f"prompt, {w['prompt']:g} x",
        "mask": f"mask, {w['mask']:g} x BCE + {w['dice']:g} x Dice",
    }
    shown = {titles[name]: cost.double().numpy() for name, cost in parts.items()}
    return {**shown, "sum": torch.stack(list(parts.values())).sum(0).double().numpy()}


def instance_names(opened: MatchTrace, names: Sequence[str]) -> list[str]:
    """Number and category of every instance."""
    categories = opened.targets.categories.tolist()
    return [f"{number} {names[category]}" for number, category in enumerate(categories)]


def gate_reasons(gate: Gate | None, sample: Sample) -> list[list[str]]:
    """Why each candidate (N lists of K) is left out; empty where it is let through."""
    offered = sample.label.candidates
    assert offered is not None
    if gate is None:
        return [[""] * offered.quality.shape[1] for _ in range(len(offered))]
    allowed = gate(sample.label, offered)
    fitting = replace(gate, min_iou_ratio=0.0)(sample.label, offered)
    hitting = replace(gate, min_iou_ratio=0.0, max_overlap=1.0)(sample.label, offered)
    filled = offered.masks.flatten(2).any(2)
    reasons = []
    tests = (allowed, fitting, hitting, filled)
    for row in zip(*(test.tolist() for test in tests), strict=True):
        reasons.append(
            [
                ""
                if through
                else "empty"
                if not full
                else "low score"
                if fits
                else "takes in another"
                if hits
                else "off its prompt"
                for through, fits, hits, full in zip(*row, strict=True)
            ]
        )
    return reasons


def choices_of(student: WISH, opened: MatchTrace) -> list[Choice]:
    """Every pair's choice among the candidates."""
    image, masks = pixels(opened.sample), opened.masks().numpy()
    prompts, reasons = prompts_given(opened.sample), gate_reasons(student.gate, opened.sample)
    offered = opened.offered.masks.numpy()
    return [
        Choice(
            image,
            instance,
            prompts[instance],
            masks[query],
            offered[instance],
            opened.by_candidate[-1, query, instance].tolist(),
            reasons[instance],
            int(opened.matches.candidate[-1, instance]),
        )
        for query, instance in opened.pairs
    ]


def choices_by_gate(
    student: WISH, scenes: Iterable[Sample], kind: LabelKind, most: int, seed: int = 0
) -> list[Choice]:
    """The first pairs, one a scene, whose nearest candidate the gate left out.

    Args:
        student: whose matcher.
        scenes: with masks.
        kind: of label that the matcher gets.
        most: pairs to find.
        seed: of points, in labels and in masks.
    """
    generator = torch.Generator().manual_seed(seed)
    found: list[Choice] = []
    for sample in scenes:
        if len(found) == most:
            break
        if len(sample.label) == 0:
            continue
        opened = trace_match(student, labelled_by(sample, kind, generator), seed)
        free = nearest_candidate(opened.by_candidate, None)[-1]  # (Q, N)
        chosen = opened.matches.candidate[-1]
        changed = [i for q, i in opened.pairs if int(free[q, i]) != int(chosen[i])]
        found += [c for c in choices_of(student, opened) if c.instance in changed][:1]
    return found
