"""SAM's prompt tokens: the space they live in, distances in it, and what these are worth.

A token (Kirillov et al. 2023, section 3; Tancik et al. 2020) is a position in random Fourier
features, [sin 2 pi Bp, cos 2 pi Bp] with p in -1..1, plus a learnt vector that says what kind of
prompt it is. Positions are (N, 2) float32 xy in pixels, sizes (H, W). Costs are measured on
labelled scenes with a student that answers perfectly, weighted as in the matcher.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import box_iou

from wsislib.data.sample import Label, LabelKind, Sample
from wsislib.labels.weaken import weaken
from wsislib.losses.masks import pair_bce_and_dice
from wsislib.losses.prompts import PromptDistance
from wsislib.models.sam.prompts import Prompts, Size, prompts_of
from wsislib.models.sam.sam import Teacher
from wsislib.models.wish.prompt_head import PromptHead, Tokens

Floats = NDArray[np.float64]
FOREGROUND = 1  # row of the package's `point_embeddings`: a point on the object


def tokens_of(teacher: Teacher, prompts: Prompts, size: Size, tokens: Tokens = "mean") -> Tensor:
    """Z (N, T, D) of points or boxes, as `PromptHead.targets` gives it to matcher and loss."""
    categories = torch.zeros(len(prompts), dtype=torch.int64)
    kind = LabelKind.POINT if prompts.boxes is None else LabelKind.BOX
    label = Label(kind, categories, points=prompts.points, boxes=prompts.boxes)
    return PromptHead(1, 1, teacher.width, tokens).targets(label, size, teacher)


def grid_of_points(size: Size, step: int) -> Tensor:
    """(h * w, 2) xy: the middle of every `step`-th pixel, row by row."""
    rows, columns = (torch.arange(step // 2, side, step) + 0.5 for side in size)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], 1)


def position_part(teacher: Teacher, points: Tensor, size: Size) -> Tensor:
    """(N, D) what of a point's token says where it is: the token without its kind's vector."""
    token = teacher.prompt_embeddings(Prompts(points=points), size)[:, 0]
    return token - teacher.sam.prompt_encoder.point_embeddings[FOREGROUND].weight.detach()


@dataclass(frozen=True)
class Space:
    """Tokens of a grid of points, and of the same places as corners of boxes."""

    kinds: Floats  # (3 N, 2) main directions of points, then of first and of second corners
    points: Floats  # (N, 2) main directions of points alone
    places: Floats  # (N, 2) xy in pixels of those points
    shares: Floats  # (D,) of the variance of points' tokens by direction, largest first


def space_of(teacher: Teacher, size: Size, step: int = 4) -> Space:
    """The prompt space of images of `size`, seen from places `step` pixels apart."""
    places = grid_of_points(size, step)
    points = teacher.prompt_embeddings(Prompts(points=places), size)[:, 0]
    width, height = float(size[1]), float(size[0])
    corner = torch.tensor([[width, height]]).expand_as(places)
    first = teacher.prompt_embeddings(Prompts(boxes=torch.cat([places, corner], 1)), size)[:, 0]
    origin = torch.zeros_like(places)
    second = teacher.prompt_embeddings(Prompts(boxes=torch.cat([origin, places], 1)), size)[:, 1]
    all_kinds, _ = _principal(torch.cat([points, first, second]))
    alone, shares = _principal(points)
    return Space(all_kinds, alone, places.double().numpy(), shares)


def similarities(
    teacher: Teacher, size: Size, pairs: int, generator: torch.Generator
) -> tuple[Floats, Floats]:
    """Cosine of the position parts of random pairs of points, and their distance in pixels.

    Half of the pairs lie within an eighth of the sides, so that short distances are not rare.
    """
    scale = torch.tensor([size[1], size[0]])
    one = torch.rand(pairs, 2, generator=generator) * scale
    other = torch.rand(pairs, 2, generator=generator) * scale
    near = one + (other / scale - 0.5) * scale / 4
    other[::2] = torch.minimum(near.clamp(min=0), scale.float())[::2]
    first, second = (position_part(teacher, points, size) for points in (one, other))
    cosine = torch.nn.functional.cosine_similarity(first, second, dim=1)
    return (one - other).norm(dim=1).double().numpy(), cosine.double().numpy()


def expected_similarity(far: Floats, side: int) -> Floats:
    """Mean of that cosine over all frequencies that could have been drawn.

    It is exp(-2 (pi u)^2) for normal frequencies of variance 1, u = 2 `far` / `side` being the
    distance in the coordinates -1..1.
    """
    return np.exp(-2.0 * (math.pi * 2.0 * far / side) ** 2)


def distance_maps(
    teacher: Teacher,
    predicted: Tensor,
    size: Size,
    distances: Mapping[str, PromptDistance],
    step: int = 2,
) -> dict[str, Floats]:
    """By name (h, w): how far a prediction (1, D) is from point prompts, every `step` pixels."""
    targets = tokens_of(teacher, Prompts(points=grid_of_points(size, step)), size)  # (h w, 1, D)
    height = len(range(step // 2, size[0], step))
    return {
        name: distance.between(predicted[None, None], targets)[0, 0]
        .view(height, -1)
        .double()
        .numpy()
        for name, distance in distances.items()
    }


def corner_maps(teacher: Teacher, boxes: Tensor, size: Size, step: int = 2) -> list[Floats]:
    """Where the mean token of each of N boxes xyxy points to corners: N of (h, w).

    The product of the token, without what says that it is a box, with the position part of every
    place; 1 is the product of a place with itself.
    """
    places = position_part(teacher, grid_of_points(size, step), size)  # (h w, D)
    mean = tokens_of(teacher, Prompts(boxes=boxes), size)[:, 0]
    kinds = [teacher.sam.prompt_encoder.point_embeddings[row].weight for row in (2, 3)]
    position = mean - torch.cat(kinds).mean(0).detach()
    height = len(range(step // 2, size[0], step))
    products = position @ places.t() / (teacher.width / 2)  # (N, h w)
    return [row.view(height, -1).double().numpy() for row in products]


def shape_map(
    teacher: Teacher, box: Tensor, sides: Sequence[float], size: Size, tokens: Tokens
) -> Floats:
    """(S, S) distance (KL) of a box xyxy from boxes about its centre; rows are heights of `sides`.

    Boxes may be larger than the image.
    """
    lengths = torch.tensor(sides, dtype=torch.float32)
    height, width = torch.meshgrid(lengths, lengths, indexing="ij")
    half = torch.stack([width.flatten(), height.flatten()], 1) / 2
    centre = (box[:2] + box[2:]) / 2
    others = torch.cat([centre - half, centre + half], 1)
    predicted = tokens_of(teacher, Prompts(boxes=box[None]), size, tokens)
    targets = tokens_of(teacher, Prompts(boxes=others), size, tokens)
    distance = PromptDistance().between(predicted[None], targets)[0, 0]
    return distance.view(len(sides), -1).double().numpy()


def _principal(tokens: Tensor) -> tuple[Floats, Floats]:
    """(N, 2) coordinates in the two directions of most variance, and all shares of variance."""
    centred = (tokens - tokens.mean(0)).double()
    rotated, spread, _ = torch.linalg.svd(centred, full_matrices=False)
    variance = spread.square()
    return (rotated * spread)[:, :2].numpy(), (variance / variance.sum()).numpy()


LOGIT = 6.0  # logit of a perfect mask: a probability of 0.998


@dataclass(frozen=True)
class Option:
    """One way to compare prompts."""

    distance: PromptDistance
    tokens: Tokens = "mean"

    @property
    def name(self) -> str:
        """As tables call it."""
        kind, temperature = self.distance.kind, self.distance.temperature
        warm = "" if kind == "l2" else f", T = {temperature:g}"
        return f"{kind}{warm}, {'one token' if self.tokens == 'mean' else 'two tokens'}"


def all_options(temperatures: Sequence[float] = (1.0, 0.3, 0.1)) -> tuple[Option, ...]:
    """Every distance at every temperature, for one token and for two."""
    distances = [
        *(PromptDistance("kl", temperature) for temperature in temperatures),
        *(PromptDistance("reverse-kl", temperature) for temperature in temperatures),
        PromptDistance("l2"),
    ]
    shapes: tuple[Tokens, ...] = ("mean", "both")
    return tuple(Option(distance, shape) for shape in shapes for distance in distances)


def cost_table(
    teacher: Teacher,
    scenes: Iterable[Sample],
    options: Sequence[Option],
    weights: Mapping[str, float],
    seed: int = 0,
) -> pd.DataFrame:
    """What a wrong pair costs, by term, if the student was perfect.

    The scenes have masks; those with one object alone have no wrong pair. Prompts are compared in
    each way of `options`, weighted with `weights["prompt"]`; `seed` draws the points. Columns are
    (label, number) for the labels "points" and "boxes": `more`, what a wrong pair costs more than
    the right one on average; `least`, the 10 % quantile of the same; `spread`, the standard
    deviation over all pairs of a scene, on average.
    """
    generator = torch.Generator().manual_seed(seed)
    costs: dict[tuple[str, str], list[Tensor]] = {}
    for sample in scenes:
        if len(sample.label) < 2:
            continue
        for name, cost in _perfect_costs(sample.label, weights).items():
            for kind in ("points", "boxes"):
                costs.setdefault((name, kind), []).append(cost)
        for kind, given in (("points", LabelKind.POINT), ("boxes", LabelKind.BOX)):
            prompts = prompts_of(weaken(sample.label, given, generator))
            for option in options:
                z = tokens_of(teacher, prompts, _size(sample), option.tokens)
                cost = weights["prompt"] * option.distance.between(z[None], z)[0]
                costs.setdefault((option.name, kind), []).append(cost)
    rows: dict[str, dict[tuple[str, str], float]] = {}
    for (name, kind), scenes_costs in costs.items():
        for key, value in _numbers(scenes_costs).items():
            rows.setdefault(name, {})[kind, key] = value
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("term")


def sampling_noise(
    teacher: Teacher, scenes: Iterable[Sample], distance: PromptDistance, seed: int = 0
) -> pd.DataFrame:
    """Mean distance of prompts that should be near, and of those that should be far.

    A row each: two random pixels of one object; pixels of two objects; boxes of two objects; a
    pixel and the box of one object. One token each.
    """
    generator = torch.Generator().manual_seed(seed)
    found: dict[str, list[Tensor]] = {}
    for sample in scenes:
        if len(sample.label) < 2:
            continue
        one, other = (weaken(sample.label, LabelKind.POINT, generator) for _ in range(2))
        box = weaken(sample.label, LabelKind.BOX, generator)
        size = _size(sample)
        first, second, boxes = (
            tokens_of(teacher, prompts_of(label), size) for label in (one, other, box)
        )
        points = distance.between(first[None], second)[0]
        same = torch.eye(len(points), dtype=torch.bool)
        for name, values in (
            ("two pixels of one object", points[same]),
            ("pixels of two objects", points[~same]),
            ("boxes of two objects", distance.between(boxes[None], boxes)[0][~same]),
            ("a pixel and the box of one object", distance.between(first[None], boxes)[0][same]),
        ):
            found.setdefault(name, []).append(values)
    means = {name: float(torch.cat(values).mean()) for name, values in found.items()}
    return pd.DataFrame({"mean distance": means}).rename_axis("prompts")


@dataclass(frozen=True)
class ConfusablePair:
    """Two boxes xyxy that overlap little and whose prompts are near.

    `distance` of their prompts is a share of the mean over boxes that do not overlap.
    """

    one: Tensor
    other: Tensor
    iou: float
    distance: float


def confusable_pairs(
    teacher: Teacher, boxes: Tensor, size: Size, option: Option, count: int, max_iou: float = 0.4
) -> list[ConfusablePair]:
    """The `count` pairs of boxes (N, 4) with the nearest prompts that overlap less than `max_iou`.

    Each box is in one pair at most.

    Raises:
        ValueError: there are fewer such pairs.
    """
    z = tokens_of(teacher, Prompts(boxes=boxes), size, option.tokens)
    overlap, distance = box_iou(boxes, boxes), option.distance.between(z[None], z)[0]
    distance = distance / distance[overlap == 0].mean()
    rest = torch.where((overlap < max_iou).triu(1), distance, torch.inf)
    found: list[ConfusablePair] = []
    for _ in range(count):
        i, j = divmod(int(rest.argmin()), len(boxes))
        if not torch.isfinite(rest[i, j]):
            raise ValueError(f"{len(boxes)} boxes hold only {len(found)} pairs below {max_iou}")
        found.append(
            ConfusablePair(boxes[i], boxes[j], float(overlap[i, j]), float(distance[i, j]))
        )
        for taken in (i, j):
            rest[taken], rest[:, taken] = torch.inf, torch.inf
    return found


def _perfect_costs(label: Label, weights: Mapping[str, float]) -> dict[str, Tensor]:
    """(K, K) weighted class, mask and Dice costs of a student that knows the answer."""
    assert label.masks is not None
    truth = label.masks.flatten(1).float()  # (K, S)
    logits = (2 * LOGIT * truth - LOGIT).t().unsqueeze(0).contiguous()  # (1, S, K)
    bce, dice = pair_bce_and_dice(logits, truth[None])
    alike = (label.categories[:, None] == label.categories).float()
    return {
        "class": -weights["class"] * alike,
        "mask cross-entropy": weights["mask"] * bce[0].t(),
        "mask Dice": weights["dice"] * dice[0].t(),
    }


def _numbers(costs: Sequence[Tensor]) -> dict[str, float]:
    """`more`, `least` and `spread` of (K, K) costs whose diagonal is right."""
    more = []
    for cost in costs:
        wrong = ~torch.eye(len(cost), dtype=torch.bool)
        more.append((cost - cost.diagonal())[wrong])  # of every instance: other queries, own query
    return {
        "more": float(torch.cat(more).mean()),
        "least": float(torch.cat(more).quantile(0.1)),
        "spread": float(torch.stack([cost.std() for cost in costs]).mean()),
    }


def _size(sample: Sample) -> tuple[int, int]:
    return int(sample.image.shape[-2]), int(sample.image.shape[-1])
