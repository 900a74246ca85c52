"""What the chapter on large vocabularies shows: its gallery, its curves and its costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
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
    for head, title in heads.items():
        values: dict[float, list[float]] = {}
        for name, x in places.items():
            path = f"{head}.groups.{name}.{measure}"
            numbers = [metric_value(run, path) for run in row.metrics_by_seed.values()]
            if known := [number for number in numbers if number is not None]:
                values[x] = known
        if values:
            means = [float(np.mean(v)) for v in values.values()]
            spread = [float(np.std(v, ddof=1)) if len(v) > 1 else 0.0 for v in values.values()]
            series.append(Series(title, list(values), means, spread))
    return series


NAME_HEIGHT = 0.13  # inches for a line of text above a row
_TRUTH = "#FFFFFF"


@dataclass(frozen=True)
class Tile:
    """One object, cut out of its image.

    Attributes:
        name: of its category.
        pixels: (h, w, 3) float in 0..1.
        truth: (h, w) bool.
        masks: one (h, w) bool a model, in the order of the titles.
        overlaps: IoU of each mask with the truth, 0..1.
    """

    name: str
    pixels: NDArray[np.float32]
    truth: NDArray[np.bool_]
    masks: tuple[NDArray[np.bool_], ...]
    overlaps: tuple[float, ...]


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
    """The tiles in rows: for each the bare object and its mask by every model.

    The truth is a white line; a mask is what is left in colour. Under it stands its IoU with the
    truth, in percent.

    Raises:
        ValueError: no tile, or one with another number of masks than there are titles.
    """
    if not tiles:
        raise ValueError("no tile to draw; give at least one")
    for tile in tiles:
        if not len(tile.masks) == len(tile.overlaps) == len(titles):
            raise ValueError(
                f"tile {tile.name!r}: {len(tile.masks)} masks and {len(tile.overlaps)} overlaps "
                f"for {len(titles)} titles; give one each"
            )
    panels = 1 + len(titles)
    rows = -(-len(tiles) // across)
    side = PAGE_WIDTH / (across * panels + 0.3 * (across - 1))
    figure = BookFigure(PAGE_WIDTH, rows * (side + 1.9 * NAME_HEIGHT) + NAME_HEIGHT)
    figure.set_layout_engine(ConstrainedLayoutEngine(w_pad=0.01, h_pad=0.01, wspace=0, hspace=0))
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
    axes[0].imshow(tile.pixels, interpolation="nearest")
    axes[0].set_title(_lines(tile.name), fontsize=4.5, color=INK, loc="left", pad=2)
    _outline(axes[0], tile.truth)
    for place, mask in enumerate(tile.masks):
        panel = axes[place + 1]
        panel.imshow(fade(tile.pixels, mask), interpolation="nearest")
        _outline(panel, tile.truth)
        panel.text(
            0.5, -0.02, f"{100 * tile.overlaps[place]:.0f}", transform=panel.transAxes,
            ha="center", va="top", fontsize=5, color=INK,
        )  # fmt: skip
        if titles:
            panel.set_title(titles[place], fontsize=5.5, color=INK, pad=2)


def fade(pixels: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """`pixels` (h, w, 3) in 0..1 with all that is outside `mask` (h, w) in dark grey."""
    grey = 0.4 * pixels.mean(axis=2, keepdims=True).repeat(3, axis=2)
    return np.where(mask[..., None], pixels, grey).astype(np.float32)


def _lines(name: str) -> str:
    """A name on two lines where it has a comma."""
    first, comma, rest = name.partition(", ")
    return f"{first}\n{rest}" if comma else first


def _outline(axes: Axes, mask: NDArray[np.bool_]) -> None:
    if mask.any():
        axes.contour(mask.astype(np.float32), levels=[0.5], colors=[_TRUTH], linewidths=0.7)


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


_PANELS = (("seconds_ratio", "time"), ("peak_ratio", "peak memory"))


def cost_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Time and memory against the number of categories, as multiples of the smallest size.

    `rows` have `subject`, `categories`, `seconds_ratio` and `peak_ratio`, as
    benchmarks/bench_categories.py records them.

    Raises:
        ValueError: nothing to draw, or a row that lacks something.
    """
    if not rows:
        raise ValueError("no row to draw; give a benchmark's rows")
    required = ("subject", "categories", *(name for name, _ in _PANELS))
    for row in rows:
        missing = [name for name in required if name not in row]
        if missing:
            raise ValueError(f"row {row.get('subject')!r} lacks {', '.join(missing)}")
    subjects = list(dict.fromkeys(row["subject"] for row in rows))
    sizes = sorted({row["categories"] for row in rows})
    figure = BookFigure(PAGE_WIDTH, 3.6)
    panels = figure.subplots(1, len(_PANELS), sharey=True)
    for axes, (column, title) in zip(panels, _PANELS, strict=True):
        for index, subject in enumerate(subjects):
            at = {row["categories"]: row[column] for row in rows if row["subject"] == subject}
            axes.plot(
                sorted(at), [at[size] for size in sorted(at)], line(index),
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
