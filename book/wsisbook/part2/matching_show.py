"""The matcher of WISH laid open: every cost of one image, which query is matched, and why.

Nothing is decided here: costs and outcome are those of `WISH.pair`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd
import torch
from torch import Tensor

from wsislib.data.sample import Candidates, Sample
from wsislib.data.world import WorldDataset, WorldSpec
from wsislib.losses.prompts import prompt_loss
from wsislib.losses.queries import instance_maps, mask_losses
from wsislib.losses.targets import Targets
from wsislib.matching import Matches, hungarian_match, nearest_candidate
from wsislib.models.mask2former.query_decoder import Predictions
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
