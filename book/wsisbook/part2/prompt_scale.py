"""How much a prompt says beside class and mask, and how much of it is luck.

Everything is measured on labelled scenes with a student that answers perfectly, so that it is the
most that each term of the matcher can say. Costs are weighted as in the matcher.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor
from torchvision.ops import box_iou

from wsisbook.part2.prompt_show import tokens_of
from wsislib.data.sample import Label, LabelKind, Sample
from wsislib.labels.weaken import weaken
from wsislib.losses.masks import pair_bce_and_dice
from wsislib.losses.prompts import PromptDistance
from wsislib.models.sam.prompts import Prompts, prompts_of
from wsislib.models.sam.sam import Teacher
from wsislib.models.wish.prompt_head import Tokens

SURE = 6.0  # logit of a perfect mask: a probability of 0.998


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

    Args:
        teacher: whose tokens.
        scenes: with masks; those with one object alone have no wrong pair.
        options: ways to compare prompts, weighted with `weights["prompt"]`.
        weights: of "class", "mask", "dice" and "prompt".
        seed: of the points.

    Returns:
        A row for each term and option, columns (label, number) for the labels "points" and
        "boxes": `more`, what a wrong pair costs more than the right one on average; `least`, the
        tenth part of all wrong pairs costs less than that; `spread`, the standard deviation over
        all pairs of a scene, on average.
    """
    generator = torch.Generator().manual_seed(seed)
    seen: dict[tuple[str, str], list[Tensor]] = {}
    for sample in scenes:
        if len(sample.label) < 2:
            continue
        for name, cost in _sure_costs(sample.label, weights).items():
            for kind in ("points", "boxes"):
                seen.setdefault((name, kind), []).append(cost)
        for kind, given in (("points", LabelKind.POINT), ("boxes", LabelKind.BOX)):
            prompts = prompts_of(weaken(sample.label, given, generator))
            for option in options:
                z = tokens_of(teacher, prompts, _size(sample), option.tokens)
                cost = weights["prompt"] * option.distance.between(z[None], z)[0]
                seen.setdefault((option.name, kind), []).append(cost)
    rows: dict[str, dict[tuple[str, str], float]] = {}
    for (name, kind), costs in seen.items():
        found = _numbers(costs)
        rows.setdefault(name, {}).update({(kind, key): value for key, value in found.items()})
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("term")


def sampling_noise(
    teacher: Teacher, scenes: Iterable[Sample], distance: PromptDistance, seed: int = 0
) -> pd.DataFrame:
    """How far prompts are that should be near, beside those that should be far (one token each).

    Returns:
        A row for each pair of prompts with its mean distance: two random pixels of one object;
        pixels of two objects; boxes of two objects; a pixel and the box of one object.
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
        points, between = distance.between(first[None], second)[0], _apart(distance, boxes)
        same = torch.eye(len(points), dtype=torch.bool)
        for name, values in (
            ("two pixels of one object", points[same]),
            ("pixels of two objects", points[~same]),
            ("boxes of two objects", between[~same]),
            ("a pixel and the box of one object", distance.between(first[None], boxes)[0][same]),
        ):
            found.setdefault(name, []).append(values)
    means = {name: float(torch.cat(values).mean()) for name, values in found.items()}
    return pd.DataFrame({"mean distance": means}).rename_axis("prompts")


@dataclass(frozen=True)
class ConfusablePair:
    """Two boxes that overlap little and whose prompts are near.

    Attributes:
        one, other: (4,) xyxy.
        iou: of the boxes.
        apart: distance of their prompts, as a share of the mean over boxes that do not overlap.
    """

    one: Tensor
    other: Tensor
    iou: float
    apart: float


def nearest_strangers(
    teacher: Teacher,
    boxes: Tensor,
    size: tuple[int, int],
    option: Option,
    count: int,
    most_iou: float = 0.4,
) -> list[ConfusablePair]:
    """The pairs of boxes with the nearest prompts, of those that overlap less than `most_iou`.

    Args:
        teacher: whose tokens.
        boxes: (N, 4) xyxy.
        size: (H, W) of their images.
        option: how prompts are compared.
        count: of pairs; each box is in one at most.
        most_iou: of two boxes.

    Raises:
        ValueError: there are fewer such pairs.
    """
    z = tokens_of(teacher, Prompts(boxes=boxes), size, option.tokens)
    overlap, apart = box_iou(boxes, boxes), option.distance.between(z[None], z)[0]
    apart = apart / apart[overlap == 0].mean()
    far = (overlap < most_iou).triu(1)
    rest = torch.where(far, apart, torch.inf)
    found: list[ConfusablePair] = []
    for _ in range(count):
        i, j = divmod(int(rest.argmin()), len(boxes))
        if not torch.isfinite(rest[i, j]):
            raise ValueError(f"{len(boxes)} boxes hold only {len(found)} pairs below {most_iou}")
        found.append(ConfusablePair(boxes[i], boxes[j], float(overlap[i, j]), float(apart[i, j])))
        for taken in (i, j):
            rest[taken], rest[:, taken] = torch.inf, torch.inf
    return found


def _sure_costs(label: Label, weights: Mapping[str, float]) -> dict[str, Tensor]:
    """(K, K) weighted class, mask and Dice costs of a student that knows the answer."""
    assert label.masks is not None
    truth = label.masks.flatten(1).float()  # (K, S)
    logits = (2 * SURE * truth - SURE).t().unsqueeze(0).contiguous()  # (1, S, K)
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
    all_more = torch.cat(more)
    return {
        "more": float(all_more.mean()),
        "least": float(all_more.quantile(0.1)),
        "spread": float(torch.stack([cost.std() for cost in costs]).mean()),
    }


def _apart(distance: PromptDistance, tokens: Tensor) -> Tensor:
    return distance.between(tokens[None], tokens)[0]


def _size(sample: Sample) -> tuple[int, int]:
    return int(sample.image.shape[-2]), int(sample.image.shape[-1])
