"""What the chapter on large vocabularies shows: its gallery, its curves and its costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, StrMethodFormatter
from numpy.typing import NDArray

from wsisbook.experiments.large import QUARTERS, groups_without_masks
from wsisbook.experiments.partial_data import chosen_split, data_sets
from wsisbook.experiments.settings import PartialDataConfig
from wsisbook.reading import RowResults
from wsisbook.runs.paths import repository_root
from wsisbook.tables.cells import metric_value
from wsislib.atomic import read_json
from wsislib.data.rle import decode_segmentation
from wsislib.data.sample import Dataset
from wsislib.data.world import World, WorldSpec
from wsislib.viz.curves import Series
from wsislib.viz.figure import PAGE_WIDTH, BookFigure, plain_axes
from wsislib.viz.overlay import image_array
from wsislib.viz.palette import INK, colour, line, marker


@dataclass(frozen=True)
class LargeWorld:
    """The world of the runs and what training and test scenes hold of its C categories."""

    world: World
    val: Dataset  # test scenes
    a: tuple[int, ...]  # categories with masks
    distance: np.ndarray  # (C,) in how many factors each differs from the nearest of A
    expected: np.ndarray  # (C,) boxes of each that training saw, expected from its frequency


def large_world(config: PartialDataConfig, steps: int | None = None) -> LargeWorld:
    """The world of a run of `large_heads`; its boxes were learnt for `steps`, None its own."""
    split = chosen_split(config, config.categories)
    world = World(WorldSpec(config.categories, config.image_size, config.world_seed))
    val = data_sets(config)[1]
    in_scene = np.mean([len(val[i].label) for i in range(len(val))])
    scenes = (config.steps if steps is None else steps) * config.batch_size
    return LargeWorld(
        world, val, split.a, world.nearest_distance(split.a),
        expected=world.table.frequency * in_scene * scenes,
    )  # fmt: skip


def gallery_tiles(
    examples: Sequence[Mapping[str, Any]], large: LargeWorld, heads: Sequence[str]
) -> dict[int, list[Tile]]:
    """Objects of categories without masks, with what `heads` predict in their true boxes.

    Of the `examples` of a run those with "given": "box" are taken. Distance to the nearest
    category of A -> tiles, in the order of the categories' names.
    """
    by_object: dict[tuple[int, int], dict[str, Mapping[str, Any]]] = {}
    for example in examples:
        if example.get("given") == "box" and example["head"] in heads:
            key = (example["image_id"], example["category_id"])
            by_object.setdefault(key, {})[example["head"]] = example
    index = {category.id: place for place, category in enumerate(large.val.categories)}
    tiles: dict[int, list[Tile]] = {}
    for (image_id, category_id), by_head in by_object.items():
        category = index[category_id]
        tile = _tile(large.val, image_id, category, [by_head[head] for head in heads])
        tiles.setdefault(int(large.distance[category]), []).append(tile)
    return {d: sorted(tiles[d], key=lambda tile: tile.name) for d in sorted(tiles)}


def _tile(val: Dataset, image_id: int, category: int, masks: Sequence[Mapping[str, Any]]) -> Tile:
    sample = val[val.image_ids.index(image_id)]
    label = sample.label
    assert label.masks is not None and label.boxes is not None
    pixels, box = image_array(sample.image), masks[0]["bbox"]
    corners = np.array([box[0], box[1], box[0] + box[2], box[1] + box[3]])
    difference = np.abs(label.boxes.numpy() - corners).max(axis=1)  # (K,)
    place = int(np.where(label.categories.numpy() == category, difference, np.inf).argmin())
    rows, columns = cut(pixels, box)
    decoded = [decode_segmentation(m["segmentation"], *pixels.shape[:2]) for m in masks]
    return Tile(
        name=val.categories[category].name,
        pixels=pixels[rows, columns],
        truth=label.masks[place].numpy()[rows, columns],
        masks=tuple(mask[rows, columns] for mask in decoded),
        overlaps=tuple(float(mask["iou"]) for mask in masks),
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
    runs = list(row.metrics_by_seed.values())
    for head, title in heads.items():
        by_place = {
            x: [metric_value(run, f"{head}.groups.{name}.{measure}") for run in runs]
            for name, x in places.items()
        }
        values = pd.DataFrame(by_place, dtype=float).dropna(axis="columns", how="all")  # (runs, x)
        if values.size:
            spread = values.std().fillna(0.0).tolist()  # one seed has no spread
            series.append(
                Series(title, [x for x in by_place if x in values], values.mean().tolist(), spread)
            )
    return series


NAME_HEIGHT = 0.16  # inches for a line of text above a row


@dataclass(frozen=True)
class Tile:
    """One object, cut out of its image."""

    name: str  # of its category
    pixels: NDArray[np.float32]  # (h, w, 3) in 0..1
    truth: NDArray[np.bool_]  # (h, w)
    masks: tuple[NDArray[np.bool_], ...]  # (h, w) a model, in the order of the titles
    overlaps: tuple[float, ...]  # IoU of each mask with the truth, 0..1


def cut(
    pixels: NDArray[np.float32], box: Sequence[float], margin: float = 0.25
) -> tuple[slice, slice]:
    """Slices of rows and columns of the square in the image around a box x, y, width, height.

    It is `margin` of the longer side larger on each side.
    """
    x, y, w, h = box
    side = min(round(max(w, h) * (1 + 2 * margin)), *pixels.shape[:2])
    left = min(max(round(x + w / 2 - side / 2), 0), pixels.shape[1] - side)
    top = min(max(round(y + h / 2 - side / 2), 0), pixels.shape[0] - side)
    return slice(top, top + side), slice(left, left + side)


def gallery_figure(tiles: Sequence[Tile], titles: Sequence[str], across: int = 3) -> Figure:
    """The tiles in rows: for each the bare object and its mask by the model of each title.

    The ground truth is a white line; a mask is what is left in colour. Under it stands its IoU with
    the ground truth, in percent.
    """
    panels = 1 + len(titles)
    rows = -(-len(tiles) // across)
    side = PAGE_WIDTH / (across * panels + 0.3 * (across - 1))
    figure = BookFigure(PAGE_WIDTH, rows * (side + 1.9 * NAME_HEIGHT) + NAME_HEIGHT)
    figure.set_layout_engine("constrained", w_pad=0.01, h_pad=0.01, wspace=0, hspace=0)
    ratios = ([1.0] * panels + [0.3]) * across
    grid = figure.subplots(rows, len(ratios) - 1, squeeze=False, width_ratios=ratios[:-1])
    for axes in grid.flat:
        axes.set_axis_off()
    for number, tile in enumerate(tiles):
        row, column = divmod(number, across)
        first = column * (panels + 1)
        _draw(list(grid[row, first : first + panels]), tile, titles if row == 0 else ())
    return figure


def _draw(axes: Sequence[Axes], tile: Tile, titles: Sequence[str]) -> None:
    """One tile into its panels; `titles` above those of the first row."""
    name = tile.name.replace(", ", "\n", 1)
    axes[0].set_title(name, fontsize=7, color=INK, loc="left", pad=2)
    pictures = [tile.pixels, *(fade(tile.pixels, mask) for mask in tile.masks)]
    for axis, picture in zip(axes, pictures, strict=True):
        axis.imshow(picture, interpolation="nearest")
        if tile.truth.any():
            truth = tile.truth.astype(np.float32)
            axis.contour(truth, levels=[0.5], colors=["#FFFFFF"], linewidths=0.7)
    for axis, overlap in zip(axes[1:], tile.overlaps, strict=True):
        axis.text(0.5, -0.02, f"{100 * overlap:.0f}", transform=axis.transAxes,
                  ha="center", va="top", fontsize=7, color=INK)  # fmt: skip
    for axis, title in zip(axes[1:], titles, strict=False):  # titles of the first row alone
        axis.set_title(title, fontsize=7.5, color=INK, pad=2)


def fade(pixels: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """`pixels` (h, w, 3) in 0..1 with all that is outside `mask` (h, w) in dark grey."""
    grey = 0.4 * pixels.mean(axis=2, keepdims=True).repeat(3, axis=2)
    return np.where(mask[..., None], pixels, grey).astype(np.float32)


def benchmark_rows(name: str) -> tuple[list[dict[str, Any]], str]:
    """The rows of benchmarks/results/<name>.json and, in one line, where they were measured.

    Without such a file the rows are empty.
    """
    file = repository_root() / "benchmarks" / "results" / f"{name}.json"
    if not file.is_file():
        return [], f"benchmark {name} was not run"
    content = read_json(file)
    machine = content["machine"]
    place = machine["gpu"] or f"{machine['processor']}, {machine['torch_threads']} thread(s)"
    return content["rows"], f"{place}, torch {machine['libraries']['torch']}, {content['date']}"


def cost_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Time and memory against the number of categories, as multiples of the smallest size.

    `rows` have `subject`, `categories`, `seconds_ratio` and `peak_ratio`, as
    benchmarks/bench_categories.py records them; one at least.
    """
    frame = pd.DataFrame(rows).sort_values("categories")
    sizes = frame["categories"].unique().tolist()
    figure = BookFigure(PAGE_WIDTH, 3.6)
    panels = figure.subplots(1, 2, sharey=True)
    names = {"seconds_ratio": "time", "peak_ratio": "peak memory"}
    for axes, (column, title) in zip(panels, names.items(), strict=True):
        for index, subject in enumerate(dict.fromkeys(row["subject"] for row in rows)):
            own = frame[frame["subject"] == subject]
            axes.plot(
                own["categories"], own[column], line(index),
                color=colour(index), marker=marker(index), markersize=4, label=subject,
            )  # fmt: skip
        plain_axes(axes).set(xscale="log", yscale="log")
        axes.xaxis.set_major_locator(FixedLocator(sizes))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.set_title(title, fontsize=9, color=INK)
        axes.set_xlabel("categories", fontsize=8, color=INK)
    panels[0].set_ylabel(f"multiple of {sizes[0]} categories", fontsize=8, color=INK)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=7, frameon=False)
    return figure
