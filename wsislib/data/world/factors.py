"""Categories: combinations of factor values, each with a size, an aspect and a frequency."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsislib.data.world.spec import WorldSpec
from wsislib.data.world.textures import HUES, PATTERNS

Ints = NDArray[np.int64]

FACTORS = ("outline", "hue", "pattern", "part", "hole")
PARTS = ("none", "rim", "cap")
HOLES = ("none", "window", "slot")
OUTLINES = 8


@dataclass(frozen=True)
class CategoryTable:
    """One row a category, C in all."""

    # (C, 5) the value of each of `FACTORS`; -1 where the factor is not one of this world's (it
    # then varies from object to object).
    values: Ints
    levels: tuple[int, ...]  # how many values each factor has in this world (0 where it is none)
    size: NDArray[np.float64]  # (C,) typical size relative to the world's mean, 0.78..1.28
    aspect: NDArray[np.float64]  # (C,) typical width over height, 0.6..1.67
    frequency: NDArray[np.float64]  # (C,) chance that an object is of the category; sums to 1


def factor_levels(spec: WorldSpec) -> tuple[int, ...]:
    """How many values each factor takes: outline x hue first, then pattern, part, hole."""
    count = spec.categories
    if count <= OUTLINES * HUES:
        outlines, hues = _grid(count)
        return outlines, hues, 0, 0, 0
    levels = [OUTLINES, HUES]
    for limit in (len(PATTERNS[spec.factor_set]), len(PARTS), len(HOLES)):
        need = -(-count // int(np.prod(levels)))
        if need == 1:
            break
        levels.append(min(limit, need))
    return tuple(levels + [0] * (len(FACTORS) - len(levels)))


def _grid(count: int) -> tuple[int, int]:
    """The smallest grid of at most 8 outlines x 10 hues with `count` cells, nearly square."""
    sizes = [(o, h) for o in range(1, OUTLINES + 1) for h in range(1, HUES + 1) if o * h >= count]
    return min(sizes, key=lambda s: (s[0] * s[1] - count + 2 * abs(s[1] - 1.25 * s[0]), s))


def make_table(spec: WorldSpec, generator: np.random.Generator) -> CategoryTable:
    """Draw the categories of a world."""
    levels = factor_levels(spec)
    used = [max(level, 1) for level in levels]
    cells = np.stack(np.unravel_index(np.arange(int(np.prod(used))), used), axis=1)
    values = _pick(cells, spec.categories, generator).astype(np.int64)
    values[:, [level == 0 for level in levels]] = -1
    count = spec.categories
    rank = np.argsort(generator.random(count)) + 1
    weight = rank.astype(np.float64) ** -spec.frequency_exponent
    return CategoryTable(
        values=values,
        levels=levels,
        size=np.exp(0.25 * (2 * generator.random(count) - 1)),
        aspect=np.exp(0.51 * (2 * generator.random(count) - 1)),
        frequency=weight / weight.sum(),
    )


def _pick(cells: Ints, count: int, generator: np.random.Generator) -> Ints:
    """`count` cells, in random order, spread so that the rarest value is as common as can be."""
    best, score = cells[:count], -1
    for _ in range(20):
        chosen = cells[np.argsort(generator.random(len(cells)))[:count]]
        columns = [
            np.bincount(column, minlength=top + 1)
            for column, top in zip(chosen.T, cells.max(axis=0), strict=True)
        ]
        rarest = int(min(column.min() for column in columns))
        if rarest > score:
            best, score = chosen, rarest
    return best
