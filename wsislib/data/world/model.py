"""The world itself: its categories, and a scene for every (seed, index)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wsislib.data.sample import Category
from wsislib.data.world.factors import (
    FACTORS,
    HOLES,
    OUTLINES,
    PARTS,
    CategoryTable,
    distance,
    embed,
    make_table,
    nearest,
    unseen,
)
from wsislib.data.world.layout import Palette, draw_layout
from wsislib.data.world.objects import CLUTTER
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
    """A procedural world: what its categories are and how its scenes look.

    Attributes:
        spec: what defines it.
        categories: C categories, ids 1..C.
        table: factor values, typical size and aspect, and frequency of each category.
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
        self.table: CategoryTable = make_table(self.spec, generator)
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
        return self.table.columns()

    def _name(self, category: int) -> str:
        """For example "amber star" or "amber striped star, rim, slot"."""
        values = self.describe(category)
        first = [values[f] for f in ("hue", "pattern", "outline") if f in values]
        extras = [values[f] for f in ("part", "hole") if values.get(f, "none") != "none"]
        return ", ".join([" ".join(first), *extras])

    def describe(self, category: int) -> dict[str, str]:
        """Factor -> name of the category's value, for the factors of this world."""
        row = self.table.values[category].tolist()
        names = self.value_names()
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

        Raises:
            ValueError: the factor is not one of this world's.
        """
        known = [f for f, level in zip(FACTORS, self.table.levels, strict=True) if level]
        if factor not in known:
            names = ", ".join(known)
            raise ValueError(f"{factor!r} is no factor of this world; choose from {names}")
        column = self.table.values[:, FACTORS.index(factor)]
        return np.flatnonzero(np.isin(column, list(values))).tolist()

    def distance(self, a: int, b: int) -> int:
        """In how many factors two categories differ."""
        return distance(self.table, a, b)

    def nearest_distance(self, a_categories: Sequence[int]) -> NDArray[np.int64]:
        """(C,) distance of every category to the nearest of `a_categories`."""
        return nearest(self.table, a_categories)

    def unseen_factors(self, category: int, a_categories: Sequence[int]) -> int:
        """How many of a category's factor values no category of `a_categories` has."""
        return int(unseen(self.table, a_categories)[category])

    def unseen_counts(self, a_categories: Sequence[int]) -> NDArray[np.int64]:
        """(C,) `unseen_factors` of every category."""
        return unseen(self.table, a_categories)

    def embedding(self, dimensions: int = 64) -> NDArray[np.float32]:
        """(C, dimensions) float32, fixed for a world: close where factors are shared."""
        key = np.random.SeedSequence([_EMBEDDING_STREAM, self.spec.world_seed, dimensions])
        return embed(self.table, dimensions, np.random.Generator(np.random.Philox(key)))
