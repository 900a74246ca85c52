"""The matcher of WISH laid open: every cost of one image, which query is matched, and why.

Nothing is decided here: costs and outcome are those of `WISH.pair`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsisbook.part2.matching_figures import Choice
from wsislib.data.sample import Candidates, LabelKind, Sample
from wsislib.data.world import WorldDataset, WorldSpec
from wsislib.labels.weaken import weaken
from wsislib.losses.prompts import prompt_loss
from wsislib.losses.queries import instance_maps, mask_losses
from wsislib.losses.targets import Targets
from wsislib.matching import Matches, hungarian_match, nearest_candidate
from wsislib.models.mask2former.query_decoder import Predictions
from wsislib.models.wish.candidate_choice import Gate
from wsislib.models.wish.targets import WishTargets
from wsislib.models.wish.wish import WISH

PARTS = {"class": ("class",), "prompt": ("prompt",), "mask": ("mask", "dice")}


@dataclass(frozen=True)
class MatchTrace:
    """The matching of one image with N instances, of K candidates each, by L layers of Q queries.

    Attributes:
        sample: the image with its label and the teacher's candidates.
        targets: what is to be found.
        said: what the queries say.
        prompts: (L, 1, Q, T, D), what they say about prompts.
        costs: term -> (L, Q, N), not weighted; "mask" and "dice" with the nearest candidate.
        weights: term -> factor.
        by_candidate: (L, Q, N, K), weighted mask costs of every candidate.
        points: (1, P, 2) xy in 0..1 of the canvas, where masks were compared.
        matches: the outcome.
    """

    sample: Sample
    targets: WishTargets
    said: Predictions
    prompts: Tensor
    costs: Mapping[str, Tensor]
    weights: Mapping[str, float]
    by_candidate: Tensor
    points: Tensor
    matches: Matches

    @property
    def offered(self) -> Candidates:
        """The teacher's candidates."""
        assert self.sample.label.candidates is not None
        return self.sample.label.candidates

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Query and instance of every pair of the last layer."""
        found = enumerate(self.matches.query[-1].tolist())
        return [(query, instance) for instance, query in found if query >= 0]

    def parts(self, layer: int = -1) -> dict[str, Tensor]:
        """The three weighted matrices (Q, N) of a layer: class, prompt and mask."""
        weighted = {name: self.weights[name] * cost[layer] for name, cost in self.costs.items()}
        return {
            part: torch.stack([weighted[name] for name in names]).sum(0)
            for part, names in PARTS.items()
        }

    def without(self, part: str | None) -> Matches:
        """Who would answer for whom if a part cost nothing; None leaves all in."""
        free = PARTS[part] if part is not None else ()
        weights = {name: 0.0 if name in free else w for name, w in self.weights.items()}
        nearest = nearest_candidate(self.by_candidate, self.targets.allowed)
        return hungarian_match(self.costs, weights, self.targets, nearest)

    def masks(self) -> Tensor:
        """(Q, H, W) bool: the queries' masks after the last layer, at the image's size."""
        size = self.sample.image.shape[-2:]
        height, width = self.said.padding.canvas
        logits = torch.nn.functional.interpolate(
            self.said.masks(), size=(height, width), mode="bilinear", align_corners=False
        )
        return logits[0, :, : size[0], : size[1]] > 0


@torch.no_grad()
def trace_match(student: WISH, sample: Sample, seed: int = 0) -> MatchTrace:
    """Match one image as a training step would.

    Args:
        student: is put into evaluation mode; it counts no step.
        sample: labelled with points, boxes or masks, one entry at least.
        seed: of the points where masks are compared.
    """
    student.eval()
    found = student.pair([sample], torch.Generator().manual_seed(seed), peaks=False)
    costs = found.matches.costs
    assert costs is not None
    return MatchTrace(
        found.completed[0].sample,
        found.targets,
        found.predictions,
        found.prompts,
        costs.terms,
        student.segmenter.cost_weights,
        costs.by_candidate,
        costs.points,
        found.matches,
    )


@torch.no_grad()
def pair_table(student: WISH, opened: MatchTrace, seed: int = 0) -> pd.DataFrame:
    """Costs of the pairs beside the losses on them, last layer, not weighted.

    Args:
        student: whose matching it is.
        opened: of `trace_match`.
        seed: of the points that the losses draw.

    Returns:
        A row for each term: mean `cost of the pairs`, `loss at the same points` and `loss` as
        training has it, at points where masks are undecided. The class cost is minus a
        probability and its loss minus a logarithm, over all queries: there is no like for it.
    """
    said, targets, matches = opened.said, opened.targets, opened.matches
    query, candidate = matches.query, matches.candidate
    rows = torch.arange(len(query))[:, None]
    pairs = torch.arange(len(targets))
    mean = {
        name: float(cost[rows, query.clamp(min=0), pairs][-1].mean())
        for name, cost in opened.costs.items()
    }
    parts = (opened.targets.prompts, targets, query, student.distance, opened.targets.token)
    far = prompt_loss(opened.prompts, *parts)
    maps = instance_maps(said.embeddings, said.features, query, targets)  # (N, L, h, w)
    shared = opened.points.unsqueeze(1).expand(len(maps), maps.shape[1], -1, -1)
    extent, _ = said.padding.extents(maps.device)
    bce, dice = mask_losses(maps, targets, query, candidate, shared, extent)
    last = _last_layer(opened)
    drawn = student.segmenter.matched_losses(*last, torch.Generator().manual_seed(seed))
    nothing = float("nan")
    table = {
        "class": (mean["class"], nothing, float(drawn["loss_class"])),
        "prompt": (mean["prompt"], float(far[-1]), float(far[-1])),
        "mask": (mean["mask"], float(bce[-1]), float(drawn["loss_mask"])),
        "dice": (mean["dice"], float(dice[-1]), float(drawn["loss_dice"])),
    }
    columns = ["cost of the pairs", "loss at the same points", "loss"]
    return pd.DataFrame.from_dict(table, orient="index", columns=columns).rename_axis("term")


def scenes_for(student: WISH, seed: int, count: int) -> WorldDataset:
    """Scenes of the world whose categories the student knows."""
    categories = student.segmenter.query_decoder.classify.out_features - 1
    return WorldDataset(WorldSpec(categories=categories), seed=seed, count=count)


def scene_with(scenes: WorldDataset, objects: int) -> Sample:
    """The first of the scenes whose number of objects is nearest to the one that is wanted.

    Raises:
        ValueError: no scene holds an object.
    """
    counts = [len(scenes[index].label) for index in range(len(scenes))]
    if not any(counts):
        raise ValueError(f"none of {len(counts)} scenes holds an object; draw more")
    return scenes[min(range(len(counts)), key=lambda index: abs(counts[index] - objects))]


def _last_layer(opened: MatchTrace) -> tuple[Predictions, Targets, Matches]:
    """Predictions, targets and matches of the last layer alone."""
    said, matches = opened.said, opened.matches
    one = replace(
        said,
        states=said.states[-1:],
        classes=said.classes[-1:],
        embeddings=said.embeddings[-1:],
    )
    only = replace(matches, query=matches.query[-1:], candidate=matches.candidate[-1:])
    return one, opened.targets, only


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
