"""Categories: combinations of factor values, each with a size, an aspect and a frequency."""

from __future__ import annotations

from collections.abc import Sequence
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
    """One row a category.

    Attributes:
        values: (C, 5) int64, the value of each of `FACTORS`; -1 where the factor is not one
            of this world's (it then varies from object to object).
        levels: how many values each factor has in this world (0 where it is none).
        size: (C,) float64, typical size relative to the world's mean, 0.78..1.28.
        aspect: (C,) float64, typical width over height, 0.6..1.67.
        frequency: (C,) float64, chance that an object is of the category; sums to 1.
    """

    values: Ints
    levels: tuple[int, ...]
    size: NDArray[np.float64]
    aspect: NDArray[np.float64]
    frequency: NDArray[np.float64]

    def columns(self) -> dict[str, NDArray]:
        """The table as named columns."""
        named: dict[str, NDArray] = {f: self.values[:, i] for i, f in enumerate(FACTORS)}
        return {**named, "size": self.size, "aspect": self.aspect, "frequency": self.frequency}


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
    best = _pick(cells, spec.categories, generator)
    values = best.astype(np.int64)
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


def distance(table: CategoryTable, a: int, b: int) -> int:
    """In how many factors two categories differ, 0 (the same) to 5."""
    return int((table.values[a] != table.values[b]).sum())


def nearest(table: CategoryTable, others: Sequence[int]) -> Ints:
    """(C,) distance of every category to the nearest of `others` (0 for those themselves)."""
    chosen = table.values[_members(table, others)]  # (A, F)
    best = np.full(len(table.values), len(FACTORS), dtype=np.int64)
    for row in chosen:  # memory stays (C, F), whatever A
        np.minimum(best, (table.values != row).sum(axis=1), out=best)
    return best


def unseen(table: CategoryTable, others: Sequence[int]) -> Ints:
    """(C,) how many factor values of each category occur in none of `others`."""
    chosen = table.values[_members(table, others)]
    missing = [~np.isin(table.values[:, f], chosen[:, f]) for f in range(len(FACTORS))]
    return np.sum(missing, axis=0).astype(np.int64)


def _members(table: CategoryTable, others: Sequence[int]) -> Ints:
    chosen = np.asarray(list(others), dtype=np.int64)
    count = len(table.values)
    if chosen.size == 0:
        raise ValueError("no category to compare with: give at least one category index")
    wrong = chosen[(chosen < 0) | (chosen >= count)]
    if wrong.size:
        raise ValueError(f"category index {wrong[0]} is not in this world; use 0..{count - 1}")
    return chosen


def embed(table: CategoryTable, dimensions: int, generator: np.random.Generator) -> NDArray:
    """(C, dimensions) float32: factor values, size and aspect through a fixed random map."""
    parts = [np.eye(level)[table.values[:, f]] for f, level in enumerate(table.levels) if level]
    angle = 2 * np.pi * table.values[:, 1] / max(table.levels[1], 1)  # hues lie on a circle
    extra = [np.cos(angle), np.sin(angle), 2 * np.log(table.size), np.log(table.aspect)]
    code = np.concatenate([*parts, np.stack(extra, axis=1)], axis=1)  # (C, D')
    mix = generator.standard_normal((code.shape[1], dimensions)) / np.sqrt(code.shape[1])
    return (code @ mix).astype(np.float32)
