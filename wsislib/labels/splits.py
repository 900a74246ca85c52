"""Splits of the categories into A (boxes and masks) and B (boxes only).

Hu et al., Learning to Segment Every Thing (CVPR 2018): the 20 VOC categories of COCO against the
60 others, both ways, and the 25 random splits of its figure 3. Categories are indices 0..C-1
(COCO's 80 in the order of their ids).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

COCO_CATEGORY_COUNT = 80
# The authors' code lists them from 1; here from 0, and by their place among COCO's 80.
VOC_IN_COCO = (*range(7), 8, *range(14, 20), 39, 56, 57, 58, 60, 62)
RANDOM_SPLIT_SEED = 3
RANDOM_SPLIT_TRIALS = 5
RANDOM_SPLIT_SIZES = (20, 30, 40, 50, 60)


@dataclass(frozen=True)
class Split:
    """A split of the categories 0..C-1.

    Raises:
        ValueError: A is empty, a category stands twice or in both, or one is in neither.
    """

    name: str  # in tables and runs
    a: tuple[int, ...]  # categories with masks, ascending
    b: tuple[int, ...]  # with boxes only, ascending; empty where every category has masks

    def __post_init__(self) -> None:
        where = f"split {self.name!r}"
        object.__setattr__(self, "a", tuple(sorted(self.a)))
        object.__setattr__(self, "b", tuple(sorted(self.b)))
        if not self.a:
            raise ValueError(f"{where}: A is empty; some category must have masks")
        for side, members in (("A", self.a), ("B", self.b)):
            twice = sorted({member for member in members if members.count(member) > 1})
            if twice:
                raise ValueError(f"{where}: {side} holds categories twice: {twice}")
        both = sorted(set(self.a) & set(self.b))
        if both:
            raise ValueError(f"{where}: categories {both} are in A and in B; choose one side")
        present = {*self.a, *self.b}
        if min(present) < 0:
            raise ValueError(f"{where}: category {min(present)} is negative; indices start at 0")
        neither = sorted(set(range(max(present))) - present)
        if neither:
            raise ValueError(f"{where}: categories {neither} are in neither A nor B; add them")

    def __len__(self) -> int:
        return len(self.a) + len(self.b)

    def check(self, category_count: int) -> Split:
        """Self, if the split is one of `category_count` categories; else a ValueError."""
        if len(self) != category_count:
            raise ValueError(
                f"split {self.name!r}: it has {len(self)} categories, the data set "
                f"{category_count}; make the split for this data set"
            )
        return self

    def mask_categories(self) -> Tensor:
        """(C,) bool, True for the categories in A."""
        held = torch.zeros(len(self), dtype=torch.bool)
        held[list(self.a)] = True
        return held


def make_split(name: str, a: Iterable[int], category_count: int) -> Split:
    """The split with `a` in A and all others in B; a ValueError where `a` is not a part of them."""
    a = tuple(a)
    outside = sorted(c for c in a if not 0 <= c < category_count)
    if outside:
        raise ValueError(
            f"split {name!r}: categories {outside} lie outside 0..{category_count - 1}"
        )
    return Split(name, a, tuple(set(range(category_count)) - set(a)))


def coco_voc_split(a: Literal["voc", "nonvoc"]) -> Split:
    """One of the paper's two main splits of COCO's 80: `a` has masks, 20 "voc" or 60 "nonvoc"."""
    if a not in ("voc", "nonvoc"):
        raise ValueError(f"a is {a!r}; it must be 'voc' or 'nonvoc'")
    split = make_split("voc-to-nonvoc", VOC_IN_COCO, COCO_CATEGORY_COUNT)
    return split if a == "voc" else Split("nonvoc-to-voc", split.b, split.a)


def random_splits() -> tuple[Split, ...]:
    """The 25 random splits of figure 3, named "random-<|A|>-trial-<1..5>".

    The authors' code seeds numpy's legacy generator with 3 and loops over |A| within trials. The
    figure agrees: a split whose A holds "person", by far COCO's most frequent category, lies far
    to the right, and a test compares the counts of such points.
    """
    legacy = np.random.RandomState(RANDOM_SPLIT_SEED)
    splits = []
    for trial in range(1, RANDOM_SPLIT_TRIALS + 1):
        for size in RANDOM_SPLIT_SIZES:
            a = legacy.choice(COCO_CATEGORY_COUNT, size, replace=False).tolist()
            splits.append(make_split(f"random-{size}-trial-{trial}", a, COCO_CATEGORY_COUNT))
    return tuple(splits)


def world_split(categories: int, a_count: int, seed: int) -> Split:
    """A random split of a procedural world's categories, `a_count` (1 to all) of them with masks.

    The same seed (0 or more) gives nested A for growing `a_count`.
    """
    if not 1 <= a_count <= categories:
        raise ValueError(f"a_count is {a_count}; it must lie in 1..{categories}")
    if seed < 0:
        raise ValueError(f"seed is {seed}; it must be 0 or more")
    order = np.random.default_rng(seed).permutation(categories)
    name = f"world-{a_count}-of-{categories}-seed-{seed}"
    return make_split(name, order[:a_count].tolist(), categories)


def balanced_split(instances: Sequence[int]) -> Split:
    """Two halves of the categories whose training instances are about as many.

    Ranked by number of instances, the category with fewest last and an equal one by its place,
    the categories are dealt to A, B, B, A, A, B, B, ...: each side has one of every two
    neighbours, and neither is always given the more frequent one. Of an odd number the last goes
    to whichever side is next.

    Args:
        instances: of each category, in the order of categories; two categories at least.
    """
    if len(instances) < 2:
        raise ValueError(
            f"a split of {len(instances)} categories into halves is none; it takes 2 or more"
        )
    ranked = sorted(range(len(instances)), key=lambda category: -instances[category])
    a = [category for place, category in enumerate(ranked) if place % 4 in (0, 3)]
    return make_split(f"by-frequency-of-{len(instances)}", a, len(instances))


def reversed_split(split: Split) -> Split:
    """The other direction: masks for B (at least one category) instead of A."""
    return make_split(f"{split.name}-reversed", split.b, len(split))
