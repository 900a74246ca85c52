"""How much of each label kind one budget buys, and which images get which.

The budget constraint is WISH's (Kweon and Yoon, CVPR 2025): the prices of all labelled images sum
to at most the budget; `prices.py` says where the prices come from.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from itertools import combinations

import numpy as np

from wsislib.data.sample import LabelKind
from wsislib.labels.prices import Prices

_NAMES = dict(zip(LabelKind, ("tags", "points", "boxes", "masks"), strict=True))
_WORDS = {word: name for kind, name in _NAMES.items() for word in (name, kind.name.lower())}


@dataclass(frozen=True)
class Mix:
    """How many images are labelled in each kind: whole numbers from 0, not all of them 0."""

    tags: int = 0
    points: int = 0
    boxes: int = 0
    masks: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            count = getattr(self, field.name)
            if isinstance(count, bool) or not isinstance(count, int) or count < 0:
                raise ValueError(f"{count!r} {field.name}: a count is a whole number, 0 or more")
        if not self.total:
            raise ValueError("a mix of no images; give at least one kind a count above 0")

    def __str__(self) -> str:
        counts = ((self.count(kind), name) for kind, name in _NAMES.items())
        return " + ".join(f"{count} {name}" for count, name in counts if count)

    @property
    def total(self) -> int:
        """How many images are labelled."""
        return sum(map(self.count, LabelKind))

    def count(self, kind: LabelKind) -> int:
        """How many images are labelled in `kind`."""
        return int(getattr(self, _NAMES[LabelKind(kind)]))


def parse_mix(text: str) -> Mix:
    """Read a mix as "5290 tags + 441 boxes"; a comma may group thousands.

    Raises:
        ValueError: an unknown kind (with near names), one named twice, a negative or bad count.
    """
    counts: dict[str, int] = {}
    for part in text.split("+"):
        found = re.fullmatch(r"(-?(?:\d{1,3}(?:,\d{3})+|\d+))\s+([A-Za-z]+)", part.strip())
        if not found:
            raise ValueError(
                f"mix {text!r}: cannot read {part.strip()!r}; write it as '5290 tags + 441 boxes'"
            )
        count, word = int(found[1].replace(",", "")), found[2].lower()
        if word not in _WORDS:
            near = difflib.get_close_matches(word, _NAMES.values(), n=1, cutoff=0.4)
            hint = f"did you mean {near[0]!r}?" if near else "use tags, points, boxes, masks"
            raise ValueError(f"mix {text!r}: unknown kind {found[2]!r}; {hint}")
        name = _WORDS[word]
        if name in counts:
            raise ValueError(f"mix {text!r}: {name} are named twice; give one count")
        if count < 0:
            raise ValueError(f"mix {text!r}: {count} {name}; a count is 0 or more")
        counts[name] = count
    return Mix(**counts)


def cost(mix: Mix, prices: Prices | None = None) -> float:
    """The cost of a mix: the sum of count times price."""
    prices = prices or Prices()
    return sum(mix.count(kind) * prices.of(kind) for kind in LabelKind)


def mix_for_budget(
    budget: float, shares: Mapping[LabelKind, float], prices: Prices | None = None
) -> Mix:
    """The mix that spends a budget in given proportions.

    Every kind but the cheapest gets the nearest whole number of images, the cheapest what is then
    left, again to the nearest. So the cost misses the budget by at most half the cheapest price:
    half of 10,582 on tags and boxes each gives WISH's 5,290 tags + 441 boxes (10,582), all of it
    on boxes its 882 (10,584). The budget is in the unit of `prices`; `shares` are of the budget,
    not of the images, and sum to 1.

    Raises:
        ValueError: unknown kind, negative share, shares that do not sum to 1, or a kind of which
            the budget buys no image.
    """
    prices = prices or Prices()
    if not (math.isfinite(budget) and budget > 0):
        raise ValueError(f"budget is {budget}; it must be above 0")
    shares = _check_shares(shares)
    kinds = sorted(shares, key=prices.of)
    counts: dict[LabelKind, int] = {}
    left = budget
    for kind in kinds[1:]:
        counts[kind] = _nearest(budget * shares[kind] / prices.of(kind))
        left -= counts[kind] * prices.of(kind)
    counts[kinds[0]] = _nearest(left / prices.of(kinds[0]))
    for kind, count in counts.items():
        if count < 1:
            what = f"{shares[kind]:.0%} of it buys no image of kind {kind.name}"
            raise ValueError(
                f"budget {budget:g}: {what} at {prices.of(kind):g}; raise the budget or leave the "
                "kind out"
            )
    return Mix(**{_NAMES[kind]: count for kind, count in counts.items()})


def equal_cost_mixes(
    budget: float,
    kinds: Iterable[LabelKind] = (LabelKind.TAG, LabelKind.POINT, LabelKind.BOX),
    prices: Prices | None = None,
) -> dict[str, Mix]:
    """Every combination of kinds that one budget buys, spent in equal parts.

    The default kinds give the seven rows of WISH's Table 3, from "tags" to "tags-points-boxes". A
    ValueError where the budget buys no image of some kind.
    """
    chosen = sorted({LabelKind(kind) for kind in kinds})
    mixes = {}
    for size in range(1, len(chosen) + 1):
        for group in combinations(chosen, size):
            name = "-".join(_NAMES[kind] for kind in group)
            mixes[name] = mix_for_budget(budget, dict.fromkeys(group, 1 / size), prices)
    return mixes


def draw_kinds(mix: Mix, image_count: int, seed: int) -> list[LabelKind | None]:
    """Choose at random which image is labelled in which kind; None where an image has no label.

    The seed puts the images in one random order, and they are labelled from its front, the most
    expensive kind first. So under one seed the boxes of a small mix are among those of a larger.

    A ValueError where the mix has more images than there are, or the seed is negative.
    """
    if mix.total > image_count:
        raise ValueError(
            f"{mix} are {mix.total} images, the data set has {image_count}; every image is "
            "labelled once, so lower the counts"
        )
    if seed < 0:
        raise ValueError(f"seed is {seed}; it must be 0 or more")
    order = iter(np.random.default_rng(seed).permutation(image_count).tolist())
    kinds: list[LabelKind | None] = [None] * image_count
    for kind in sorted(LabelKind, reverse=True):
        for _ in range(mix.count(kind)):
            kinds[next(order)] = kind
    return kinds


def _check_shares(shares: Mapping[LabelKind, float]) -> dict[LabelKind, float]:
    checked: dict[LabelKind, float] = {}
    for kind, share in shares.items():
        try:
            known = LabelKind(kind)
        except ValueError as error:
            raise ValueError(f"unknown kind {kind!r}; kinds are {[*LabelKind]}") from error
        if not (math.isfinite(share) and share >= 0):
            raise ValueError(f"share of {known.name} is {share}; it must be 0 or more")
        if share > 0:
            checked[known] = float(share)
    total = sum(checked.values())
    if abs(total - 1) > 1e-6:
        raise ValueError(f"shares sum to {total:g}; they must sum to 1")
    return checked


def _nearest(count: float) -> int:
    return math.floor(count + 0.5)
