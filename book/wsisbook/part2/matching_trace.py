"""The matcher of WISH laid open: every cost of one image, which query is matched, and why.

Nothing is decided here: costs and outcome are those of `WISH.pair`. The survey asks many scenes
whose truth is known; training does not know it, and neither does the matcher.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsisbook.part2.matching_figures import Choice
from wsislib.data.geometry import pairwise_mask_iou
from wsislib.data.sample import Candidates, LabelKind, Sample
from wsislib.data.world import WorldDataset, WorldSpec
from wsislib.labels.weaken import weaken
from wsislib.losses.prompts import prompt_loss
from wsislib.losses.queries import instance_maps, mask_losses
from wsislib.matching import MatchCosts, Matches, hungarian_match, nearest_candidate
from wsislib.models.mask2former.query_decoder import Predictions
from wsislib.models.wish.candidate_choice import Gate
from wsislib.models.wish.targets import WishTargets
from wsislib.models.wish.wish import WISH, MatchedBatch

PARTS = {"class": ("class",), "prompt": ("prompt",), "mask": ("mask", "dice")}
TERMS = {
    "class": "class", "prompt": "prompt", "mask": "mask cross-entropy", "dice": "mask Dice"
}  # fmt: skip


@dataclass(frozen=True)
class MatchTrace:
    """The matching of one image: N instances of K candidates each, L layers of Q queries."""

    student: WISH
    batch: MatchedBatch  # the image alone, predicted, labelled and matched

    @property
    def sample(self) -> Sample:
        """The image with its label and the teacher's candidates."""
        return self.batch.completed[0].sample

    @property
    def candidates(self) -> Candidates:
        """The teacher's candidates."""
        assert self.sample.label.candidates is not None
        return self.sample.label.candidates

    @property
    def costs(self) -> MatchCosts:
        """What the matching was decided by."""
        assert self.batch.matches.costs is not None
        return self.batch.matches.costs

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Query and instance of every pair of the last layer."""
        matched = enumerate(self.batch.matches.query[-1].tolist())
        return [(query, instance) for instance, query in matched if query >= 0]

    def weighted(self) -> dict[str, Tensor]:
        """Term -> (Q, N) weighted cost in the last layer."""
        weights = self.student.segmenter.cost_weights
        return {name: weights[name] * cost[-1] for name, cost in self.costs.terms.items()}

    def parts(self) -> dict[str, Tensor]:
        """The three weighted matrices (Q, N) of the last layer: class, prompt and mask."""
        weighted = self.weighted()
        return {
            part: torch.stack([weighted[name] for name in names]).sum(0)
            for part, names in PARTS.items()
        }

    def without(self, part: str | None) -> Matches:
        """The matching if a part cost nothing; None leaves all in."""
        free = PARTS[part] if part is not None else ()
        weights = self.student.segmenter.cost_weights
        weights = {name: 0.0 if name in free else w for name, w in weights.items()}
        nearest = nearest_candidate(self.costs.by_candidate, self.batch.targets.allowed)
        return hungarian_match(self.costs.terms, weights, self.batch.targets, nearest)

    def masks(self) -> Tensor:
        """(Q, H, W) bool: the queries' masks after the last layer, at the image's size."""
        height, width = self.sample.image.shape[-2:]
        logits = torch.nn.functional.interpolate(
            self.batch.predictions.masks(), self.batch.predictions.padding.canvas, mode="bilinear"
        )
        return logits[0, :, :height, :width] > 0


@torch.no_grad()
def trace_match(student: WISH, sample: Sample, seed: int = 0) -> MatchTrace:
    """Match one image as a training step would; the student is evaluated and counts no step.

    The label is of points, boxes or masks, one entry at least; masks are compared at points that
    `seed` draws.
    """
    student.eval()
    draws = torch.Generator().manual_seed(seed)
    return MatchTrace(student, student.pair([sample], draws, peaks=False))


@torch.no_grad()
def pair_table(trace: MatchTrace, seed: int = 0) -> pd.DataFrame:
    """Costs of the pairs beside the losses on them, last layer, not weighted: a line a term.

    `cost of the pairs` is a mean, `loss` is that of training, at points where masks are undecided,
    drawn by `seed`. The class cost is minus a probability and its loss minus a logarithm, over all
    queries, so it has no `loss at the same points`.
    """
    student, batch = trace.student, trace.batch
    predictions, targets, matches = batch.predictions, batch.targets, batch.matches
    query, instances = matches.query, torch.arange(len(targets))
    cost = {
        name: float(matrix[-1][query[-1].clamp(min=0), instances].mean())
        for name, matrix in trace.costs.terms.items()
    }
    prompt = prompt_loss(
        batch.prompts, targets.prompts, targets, query, student.distance, targets.token
    )
    maps = instance_maps(predictions.embeddings, predictions.features, query, targets)
    points = trace.costs.points.unsqueeze(1).expand(len(maps), maps.shape[1], -1, -1)
    extent, _ = predictions.padding.extents(maps.device)
    bce, dice = mask_losses(maps, targets, query, matches.candidate, points, extent)
    draws = torch.Generator().manual_seed(seed)
    loss = student.segmenter.matched_losses(*_last_layer(batch), draws)
    table = {
        "class": (cost["class"], float("nan"), float(loss["loss_class"])),
        "prompt": (cost["prompt"], float(prompt[-1]), float(prompt[-1])),
        "mask": (cost["mask"], float(bce[-1]), float(loss["loss_mask"])),
        "dice": (cost["dice"], float(dice[-1]), float(loss["loss_dice"])),
    }
    columns = ["cost of the pairs", "loss at the same points", "loss"]
    return pd.DataFrame.from_dict(table, orient="index", columns=columns).rename_axis("term")


def _last_layer(batch: MatchedBatch) -> tuple[Predictions, WishTargets, Matches]:
    """Predictions, targets and matches of the last layer alone."""
    layers = ("states", "classes", "embeddings")
    last = {name: getattr(batch.predictions, name)[-1:] for name in layers}
    predictions = replace(batch.predictions, **last)
    query, candidate = batch.matches.query[-1:], batch.matches.candidate[-1:]
    return predictions, batch.targets, replace(batch.matches, query=query, candidate=candidate)


def scenes_for(student: WISH, seed: int, count: int) -> WorldDataset:
    """Scenes of the world whose categories the student knows."""
    categories = student.segmenter.query_decoder.classify.out_features - 1
    return WorldDataset(WorldSpec(categories=categories), seed=seed, count=count)


def scene_with(scenes: WorldDataset, objects: int) -> Sample:
    """The first of the scenes whose number of objects is nearest to `objects`."""
    return min(
        (scenes[index] for index in range(len(scenes))), key=lambda s: abs(len(s.label) - objects)
    )


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


def query_titles(trace: MatchTrace, names: Sequence[str]) -> list[str]:
    """Each query's most probable category after the last layer, and its probability."""
    probabilities = trace.batch.predictions.classes[-1, 0].softmax(-1)[:, :-1]  # (Q, C)
    best = zip(*(values.tolist() for values in probabilities.max(-1)), strict=True)
    return [f"{names[category]} {probability:.2f}" for probability, category in best]


def parts_and_sum(trace: MatchTrace) -> dict[str, NDArray[np.float64]]:
    """The weighted matrices (Q, N) of the last layer, with their weights, and their sum."""
    w, parts = trace.student.segmenter.cost_weights, trace.parts()
    titles = {
        "class": f"class, {w['class']:g} x",
        "prompt": f"prompt, {w['prompt']:g} x",
        "mask": f"mask, {w['mask']:g} x BCE + {w['dice']:g} x Dice",
    }
    shown = {titles[name]: cost.double().numpy() for name, cost in parts.items()}
    return {**shown, "sum": torch.stack(list(parts.values())).sum(0).double().numpy()}


def instance_names(trace: MatchTrace, names: Sequence[str]) -> list[str]:
    """Number and category of every instance."""
    categories = trace.batch.targets.categories.tolist()
    return [f"{number} {names[category]}" for number, category in enumerate(categories)]


def gate_reasons(gate: Gate | None, sample: Sample) -> list[list[str]]:
    """Why each candidate (N lists of K) is left out; empty where it is let through."""
    label, candidates = sample.label, sample.label.candidates
    assert candidates is not None
    reasons = np.full(candidates.quality.shape, "", dtype=object)  # (N, K)
    if gate is None:
        return reasons.tolist()
    any_score = replace(gate, min_iou_ratio=0.0)
    any_overlap = replace(any_score, max_overlap=1.0)
    # From the last reason to the first: an earlier one replaces a later one.
    for reason, passes in (
        ("low score", gate(label, candidates)),
        ("covers another", any_score(label, candidates)),
        ("off its prompt", any_overlap(label, candidates)),
        ("empty", candidates.masks.flatten(2).any(2)),
    ):
        reasons[~passes.numpy()] = reason
    reasons[gate(label, candidates).numpy()] = ""  # the gate lets one of each entry through
    return reasons.tolist()


def choices_of(trace: MatchTrace) -> list[Choice]:
    """Every pair's choice among the candidates."""
    image, masks = pixels(trace.sample), trace.masks().numpy()
    prompts = prompts_given(trace.sample)
    reasons = gate_reasons(trace.student.gate, trace.sample)
    candidates, chosen = trace.candidates.masks.numpy(), trace.batch.matches.candidate[-1].tolist()
    costs = trace.costs.by_candidate[-1].tolist()
    return [
        Choice(image, i, prompts[i], masks[q], candidates[i], costs[q][i], reasons[i], chosen[i])
        for q, i in trace.pairs
    ]


def choices_by_gate(
    student: WISH, scenes: Iterable[Sample], kind: LabelKind, count: int, seed: int = 0
) -> list[Choice]:
    """The first `count` pairs, one a scene, whose nearest candidate the gate left out.

    The scenes have masks, the matcher gets labels of `kind`; `seed` draws points.
    """
    generator = torch.Generator().manual_seed(seed)
    changed: list[Choice] = []
    for sample in scenes:
        if len(changed) == count:
            break
        if len(sample.label):
            trace = trace_match(student, labelled_by(sample, kind, generator), seed)
            by_gate = (c for c in choices_of(trace) if c.chosen != int(np.argmin(c.costs)))
            changed += list(by_gate)[:1]
    return changed


@dataclass(frozen=True)
class Survey:
    """Of all instances of some scenes, after the last layer."""

    # A line a term: mean standard deviation of its weighted cost over an instance's queries.
    spread: pd.DataFrame
    # A line for the whole cost and for each part taken out: the share of instances with `another
    # query`, the mean `IoU of the query's mask` with the true one, and how often its most probable
    # `category is right`.
    left_out: pd.DataFrame
    choice: pd.DataFrame  # mean IoU with the true mask: nearest to the query's mask, scored, best
    gate: pd.DataFrame  # shares of candidates let through, and of pairs whose nearest was not
    instances: int


@torch.no_grad()
def survey(student: WISH, scenes: Iterable[Sample], kind: LabelKind, seed: int = 0) -> Survey:
    """Match scenes with masks, labelled by points or boxes; `seed` draws points."""
    generator = torch.Generator().manual_seed(seed)
    spreads: list[Tensor] = []
    matched: dict[str, list[Tensor]] = {}
    chosen: list[Tensor] = []
    for sample in scenes:
        masks = sample.label.masks
        if masks is None or len(masks) == 0:
            continue
        trace = trace_match(student, labelled_by(sample, kind, generator), seed)
        weighted = trace.weighted()
        spreads.append(torch.stack([weighted[name].std(0) for name in TERMS], 1))  # (N, 4)
        iou = pairwise_mask_iou(trace.masks().flatten(1), masks.flatten(1))  # (Q, N)
        for part in (None, *PARTS):
            line = _matched(trace, trace.without(part).query[-1], iou)
            matched.setdefault(f"without {part}" if part else "all three", []).append(line)
        chosen.append(_chosen(trace, masks))
    spread = torch.cat(spreads).mean(0).tolist()
    rows = {title: torch.cat(lines).mean(0).tolist() for title, lines in matched.items()}
    near, scored, best, through, missed = torch.cat(chosen).mean(0).tolist()
    columns = ["another query", "IoU of the query's mask", "category is right"]
    choice = {"nearest to the query": near, "highest score": scored, "best of all": best}
    gate = {"let through": through, "nearest was left out": missed}
    return Survey(
        pd.DataFrame({"spread": dict(zip(TERMS.values(), spread, strict=True))}),
        pd.DataFrame.from_dict(rows, orient="index", columns=columns),
        pd.DataFrame({"IoU": choice}),
        pd.DataFrame({"share": gate}),
        sum(len(lines) for lines in chosen),
    )


def _matched(trace: MatchTrace, query: Tensor, iou: Tensor) -> Tensor:
    """(M, 3) of instances with a `query`: not the matcher's own, its IoU, its category right."""
    instances = (query >= 0).nonzero().flatten()
    rows = query[instances]
    predicted = trace.batch.predictions.classes[-1, 0, :, :-1].argmax(-1)  # (Q,)
    right = predicted[rows] == trace.batch.targets.categories[instances]
    other = rows != trace.batch.matches.query[-1][instances]
    return torch.stack([other.float(), iou[rows, instances], right.float()], 1)


def _chosen(trace: MatchTrace, masks: Tensor) -> Tensor:
    """(M, 5) of matched instances: IoU nearest, scored, best; share let through; nearest not."""
    query = trace.batch.matches.query[-1]
    instances = torch.arange(len(query))
    candidates, allowed = trace.candidates, trace.batch.targets.allowed
    assert allowed is not None
    iou = pairwise_mask_iou(candidates.masks.flatten(2), masks.flatten(1).unsqueeze(1))[..., 0]
    nearest = nearest_candidate(trace.costs.by_candidate, None)[-1]  # gate or not, (Q, N)
    columns = [
        iou[instances, trace.batch.matches.candidate[-1]],
        iou[instances, candidates.quality.argmax(1)],
        iou.amax(1),
        allowed.float().mean(1),
        (~allowed[instances, nearest[query.clamp(min=0), instances]]).float(),
    ]
    return torch.stack(columns, 1)[query >= 0]
