"""What the chapter on large vocabularies shows: its gallery and its curves, from committed runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wsisbook.experiments.large import QUARTERS, groups_without_masks
from wsisbook.experiments.partial_data import chosen_split, data_sets
from wsisbook.experiments.settings import PartialDataConfig
from wsisbook.part1.gallery_figure import Tile, cut
from wsisbook.reading import RowResults
from wsisbook.tables.cells import metric_value
from wsislib.data.rle import decode_segmentation
from wsislib.viz.curves import Series
from wsislib.viz.overlay import image_array

if TYPE_CHECKING:
    from wsislib.data.sample import Dataset
    from wsislib.data.world import World


@dataclass(frozen=True)
class LargeWorld:
    """The world of the runs and what training and test scenes hold of its categories.

    Attributes:
        world: its categories and their factors.
        val: test scenes.
        a: categories with masks.
        distance: (C,) in how many factors each differs from the nearest of A.
        expected: (C,) boxes of each that training saw, expected from its frequency.
    """

    world: World
    val: Dataset
    a: tuple[int, ...]
    distance: np.ndarray
    expected: np.ndarray


def large_world(config: PartialDataConfig, steps: int | None = None) -> LargeWorld:
    """The world that `config` names.

    Args:
        config: settings of a run of `large_heads`.
        steps: how many steps the boxes were learnt for; as many as `config` has if None.
    """
    from wsislib.data.world import World, WorldSpec

    split = chosen_split(config, config.categories)
    world = World(WorldSpec(config.categories, config.image_size, config.world_seed))
    val = data_sets(config)[1]
    in_scene = np.mean([len(val[i].label) for i in range(len(val))])
    scenes = (config.steps if steps is None else steps) * config.batch_size
    return LargeWorld(
        world=world,
        val=val,
        a=split.a,
        distance=world.nearest_distance(split.a),
        expected=world.table.frequency * in_scene * scenes,
    )


def gallery_tiles(
    examples: Sequence[Mapping[str, Any]], large: LargeWorld, heads: Sequence[str]
) -> dict[int, list[Tile]]:
    """Objects of categories without masks, with what heads make of them in their true boxes.

    Args:
        examples: of a run; those with "given": "box" are taken.
        large: the run's world.
        heads: whose masks; in this order.

    Returns:
        Distance to the nearest category of A -> tiles, in the order of the categories' names.
    """
    found: dict[tuple[int, int], dict[str, Mapping[str, Any]]] = {}
    for example in examples:
        if example.get("given") == "box" and example["head"] in heads:
            key = (example["image_id"], example["category_id"])
            found.setdefault(key, {})[example["head"]] = example
    index = {category.id: place for place, category in enumerate(large.val.categories)}
    tiles: dict[int, list[Tile]] = {}
    for (image_id, category_id), own in found.items():
        category = index[category_id]
        tile = _tile(large.val, image_id, category, [own[head] for head in heads])
        tiles.setdefault(int(large.distance[category]), []).append(tile)
    return {d: sorted(tiles[d], key=lambda tile: tile.name) for d in sorted(tiles)}


def _tile(val: Dataset, image_id: int, category: int, own: Sequence[Mapping[str, Any]]) -> Tile:
    sample = val[val.image_ids.index(image_id)]
    label = sample.label
    assert label.masks is not None and label.boxes is not None
    pixels, box = image_array(sample.image), own[0]["bbox"]
    corner = np.array([box[0], box[1], box[0] + box[2], box[1] + box[3]])
    apart = np.abs(label.boxes.numpy() - corner).max(axis=1)  # (K,)
    place = int(np.where(label.categories.numpy() == category, apart, np.inf).argmin())
    rows, columns = cut(pixels, box)
    masks = [decode_segmentation(e["segmentation"], *pixels.shape[:2]) for e in own]
    return Tile(
        name=val.categories[category].name,
        pixels=pixels[rows, columns],
        truth=label.masks[place].numpy()[rows, columns],
        masks=tuple(mask[rows, columns] for mask in masks),
        overlaps=tuple(float(e["iou"]) for e in own),
    )


def by_distance(row: RowResults, heads: Mapping[str, str], measure: str) -> list[Series]:
    """`measure` ("IoU", "AR" or "AP") on B against the distance to A; `heads` is head -> title.

    One series a head that has runs: mean and sample standard deviation over the seeds.
    """
    groups = groups_without_masks(row.config, row.split())
    names = [name for name in groups if name.startswith("distance-")]
    places = {name: float(name.removeprefix("distance-")) for name in names}
    return _series(row, heads, measure, places)


def by_frequency(
    row: RowResults, heads: Mapping[str, str], measure: str, expected: np.ndarray
) -> list[Series]:
    """As `by_distance`, against the boxes that training saw of a category.

    A quarter of the categories stands at the mean of its `expected`, (C,) of `LargeWorld`.
    """
    groups = groups_without_masks(row.config, row.split())
    places = {name: float(expected[groups[name]].mean()) for name in QUARTERS}
    return _series(row, heads, measure, places)


def _series(
    row: RowResults, heads: Mapping[str, str], measure: str, places: Mapping[str, float]
) -> list[Series]:
    series = []
    for head, title in heads.items():
        cells = {
            name: [
                value
                for run in row.metrics_by_seed.values()
                if (value := metric_value(run, f"{head}.groups.{name}.{measure}")) is not None
            ]
            for name in places
        }
        kept = [name for name, values in cells.items() if values]
        if kept:
            spread = [float(np.std(cells[n], ddof=1)) if len(cells[n]) > 1 else 0.0 for n in kept]
            means = [float(np.mean(cells[n])) for n in kept]
            series.append(Series(title, [places[n] for n in kept], means, spread))
    return series
