"""The world itself: its categories, and a scene for every (seed, index)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wsislib.data.sample import Category
from wsislib.data.world.factors import FACTORS, HOLES, OUTLINES, PARTS, make_table
from wsislib.data.world.layout import CLUTTER, Palette, draw_layout
from wsislib.data.world.outlines import make_outlines
from wsislib.data.world.render import Brushes, keep_visible, paint_ids, render
from wsislib.data.world.scene import Scene
from wsislib.data.world.spec import REFERENCE_SIZE, WorldSpec, check_size
from wsislib.data.world.textures import PATTERNS, hue_name, hue_position

_WORLD_STREAM = 0x3041D
_EMBEDDING_STREAM = 0xE3BED
_SETS = ("study", "teacher", "pretrain")
# The study draws hues from the middle 56 % of a bin; the others, half a bin further, from 40 %.
_HUES = {"study": (0.0, 0.56), "teacher": (0.5, 0.40), "pretrain": (0.5, 0.40)}


class World:
    """A procedural world: its `categories` (C of them, ids 1..C) and how its scenes look.

    `table` has factor values, typical size and aspect, and frequency of each category.
    """

    def __init__(self, spec: WorldSpec | None = None) -> None:
        """Make the world of a specification (the default one where None)."""
        self.spec = spec or WorldSpec()
        tag = _SETS.index(self.spec.factor_set)
        key = np.random.SeedSequence([_WORLD_STREAM, self.spec.world_seed, tag])
        generator = np.random.Generator(np.random.Philox(key))
        patterns = PATTERNS[self.spec.factor_set]
        everything = [p for family in PATTERNS.values() for p in family.values()]
        self.outlines = make_outlines(self.spec.factor_set, OUTLINES, generator)
        self.table = make_table(self.spec, generator)
        noise = generator.standard_normal((512, 512)).astype(np.float32)
        self.brushes = Brushes(
            tuple(self.outlines), tuple(patterns.values()), tuple(everything), noise
        )
        shift, width = _HUES[self.spec.factor_set]
        # The golden ratio spreads the origins of successive world seeds over a bin.
        self.hue_origin = (self.spec.world_seed * 0.618034) % 1.0 + shift
        self._palette = Palette(
            spec=self.spec,
            table=self.table,
            cumulative=np.cumsum(self.table.frequency),
            outlines=len(self.outlines),
            patterns=len(patterns),
            textures=len(everything),
            world=(self.spec.world_seed, tag),
            hue_origin=self.hue_origin,
            hue_width=width,
        )
        self.categories = tuple(Category(c + 1, self._name(c)) for c in range(len(self.table.size)))

    @property
    def factors(self) -> dict[str, NDArray]:
        """Columns of length C: the five factors, size, aspect, frequency."""
        table = self.table
        named: dict[str, NDArray] = {f: table.values[:, i] for i, f in enumerate(FACTORS)}
        return {**named, "size": table.size, "aspect": table.aspect, "frequency": table.frequency}

    def _name(self, category: int) -> str:
        """For example "amber star" or "amber striped star, rim, slot"."""
        values = self.describe(category)
        first = [values[f] for f in ("hue", "pattern", "outline") if f in values]
        extras = [values[f] for f in ("part", "hole") if values.get(f, "none") != "none"]
        return ", ".join([" ".join(first), *extras])

    def describe(self, category: int) -> dict[str, str]:
        """Factor -> name of the category's value, for the factors of this world."""
        names, row = self.value_names(), self.table.values[category].tolist()
        return {f: names[f][v] for f, v in zip(FACTORS, row, strict=True) if v >= 0}

    def value_names(self) -> dict[str, list[str]]:
        """Factor -> names of its values; also for factors that vary freely in this world."""
        hues = max(self.table.levels[1], 1)
        return {
            "outline": [outline.name for outline in self.outlines],
            "hue": [hue_name(hue_position(h, hues, self.hue_origin)) for h in range(hues)],
            "pattern": list(PATTERNS[self.spec.factor_set]),
            "part": list(PARTS),
            "hole": list(HOLES),
        }

    def scene(self, seed: int, index: int, size: int | None = None) -> Scene:
        """The scene `index` (from 0) under `seed`, drawn `size` pixels wide (the spec's if None).

        The layout and the choice of labelled instances do not depend on the size.
        """
        size = self.spec.size if size is None else check_size(size)
        layout = draw_layout(self._palette, seed, index)
        image, ids = render(layout, self.brushes, size)
        reference = ids
        if size != REFERENCE_SIZE:
            reference = paint_ids(layout, self.brushes, REFERENCE_SIZE)
        things = [thing for thing in layout.objects if thing.category != CLUTTER]
        id_map, visible = keep_visible(ids, reference, len(things), self.spec.minimum_pixels)
        objects = tuple(things[i] for i in visible)
        categories = np.array([thing.category for thing in objects], dtype=np.int64)
        return Scene(image, categories, id_map, objects, layout)

    def having(self, factor: str, values: Sequence[int]) -> list[int]:
        """Categories whose value of a factor is one of `values`: to keep some out of a split.

        Raises ValueError where the factor is not one of this world's.
        """
        known = [f for f, level in zip(FACTORS, self.table.levels, strict=True) if level]
        if factor not in known:
            names = ", ".join(known)
            raise ValueError(f"{factor!r} is no factor of this world; choose from {names}")
        column = self.table.values[:, FACTORS.index(factor)]
        return np.flatnonzero(np.isin(column, list(values))).tolist()

    def distance(self, a: int, b: int) -> int:
        """In how many factors two categories differ, 0 (the same) to 5."""
        return int((self.table.values[a] != self.table.values[b]).sum())

    def nearest_distance(self, a_categories: Sequence[int]) -> NDArray[np.int64]:
        """(C,) distance of every category to the nearest of `a_categories`, 0 for themselves."""
        values = self.table.values
        best = np.full(len(values), len(FACTORS), dtype=np.int64)
        for row in self._values_of(a_categories):  # one by one: memory stays (C, F)
            np.minimum(best, (values != row).sum(axis=1), out=best)
        return best

    def unseen_factors(self, category: int, a_categories: Sequence[int]) -> int:
        """How many of a category's factor values no category of `a_categories` has."""
        return int(self.unseen_counts(a_categories)[category])

    def unseen_counts(self, a_categories: Sequence[int]) -> NDArray[np.int64]:
        """(C,) `unseen_factors` of every category."""
        columns = zip(self.table.values.T, self._values_of(a_categories).T, strict=True)
        missing = [~np.isin(values, known) for values, known in columns]
        return np.sum(missing, axis=0).astype(np.int64)

    def _values_of(self, categories: Sequence[int]) -> NDArray[np.int64]:
        """(A, F) factor values of some categories, at least one."""
        chosen, count = np.asarray(list(categories), dtype=np.int64), len(self.categories)
        if chosen.size == 0:
            raise ValueError("no category to compare with: give at least one category index")
        wrong = chosen[(chosen < 0) | (chosen >= count)]
        if wrong.size:
            raise ValueError(f"category index {wrong[0]} is not in this world; use 0..{count - 1}")
        return self.table.values[chosen]

    def embedding(self, dimensions: int = 64) -> NDArray[np.float32]:
        """(C, dimensions) float32: factor values, size and aspect through a fixed random map.

        Fixed for a world; categories that share factors are close.
        """
        key = np.random.SeedSequence([_EMBEDDING_STREAM, self.spec.world_seed, dimensions])
        generator, table = np.random.Generator(np.random.Philox(key)), self.table
        parts = [np.eye(level)[table.values[:, f]] for f, level in enumerate(table.levels) if level]
        angle = 2 * np.pi * table.values[:, 1] / max(table.levels[1], 1)  # hues lie on a circle
        extra = [np.cos(angle), np.sin(angle), 2 * np.log(table.size), np.log(table.aspect)]
        code = np.concatenate([*parts, np.stack(extra, axis=1)], axis=1)  # (C, D')
        mix = generator.standard_normal((code.shape[1], dimensions)) / np.sqrt(code.shape[1])
        return (code @ mix).astype(np.float32)
