"""Pictures of the procedural world: its factors, its scenes, what is ambiguous about them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from wsisbook.part0.drawing import draw_point, show_picture
from wsisbook.part0.world_find import SIZE, around, closest_pair, nested
from wsislib.data.world import Scene, World
from wsislib.data.world.factors import FACTORS
from wsislib.data.world.layout import Backdrop, Layout, WorldObject
from wsislib.data.world.render import render
from wsislib.data.world.textures import hue_position, wheel_colour
from wsislib.viz.figure import PAGE_WIDTH, BookFigure, plain_axes
from wsislib.viz.overlay import tinted
from wsislib.viz.palette import INK, colour

TILE = 128  # pixels


def factor_figure(world: World) -> Figure:
    """Outlines x hues, the patterns taking turns; below, every pattern, part and hole."""
    names = world.value_names()
    outlines, hues, patterns = (len(names[name]) for name in ("outline", "hue", "pattern"))
    tiles = [
        [_object(world, outline=o, hue=h, pattern=(o + h) % patterns) for h in range(hues)]
        for o in range(outlines)
    ]
    figure = BookFigure(PAGE_WIDTH, PAGE_WIDTH * (outlines / hues + 0.2))
    top, bottom = figure.subplots(2, 1, height_ratios=[outlines / hues, 0.13])
    show_picture(top, np.concatenate([np.concatenate(row, axis=1) for row in tiles]))
    _ticks(top, "x", [name.replace(" ", "\n") for name in names["hue"]])
    _ticks(top, "y", names["outline"])
    strip: list[NDArray[np.uint8]] = []
    labels: list[str] = []
    for factor in ("pattern", "part", "hole"):
        for value, name in enumerate(names[factor]):
            if factor == "pattern" or value > 0:
                strip.append(_object(world, hue=len(labels) % hues, **{factor: value}))
                labels.append(f"{factor}\n{name}")
    show_picture(bottom, np.concatenate(strip, axis=1))
    _ticks(bottom, "x", labels)
    return figure


def _object(world: World, **values: int) -> NDArray[np.uint8]:
    """(128, 128, 3) of one upright object on a plain ground; factors not given have value 0."""
    outline, hue, pattern, part, hole = (values.get(factor, 0) for factor in FACTORS)
    spot = hue_position(hue, max(world.table.levels[1], 1), world.hue_origin)
    body = wheel_colour(spot, 0.85, 0.88)
    second, pale = wheel_colour(spot, 0.85, 0.46), wheel_colour(spot, 0.21, 1.0)
    thing = WorldObject(
        0, 0, outline, pattern, part, hole, x=0.5, y=0.5, rx=0.29, ry=0.29, tilt=0.0,
        colours=(body, second, pale), pitch=0.5, turn=0.6, shift=(0.0, 0.0), light=(-0.1, -0.12),
    )  # fmt: skip
    ground = (236.0, 236.0, 232.0)
    back = Backdrop(-1, (ground, ground), 1.0, 0.0, (0.0, 0.0), (0.0, 0.0), 0.0, (0.0, 0.0))
    return render(Layout((thing,), back), world.brushes, TILE)[0]


def scenes_figure(
    world: World, seed: int = 1, rows: int = 3, columns: int = 6, size: int = 192
) -> Figure:
    """The first scenes under a seed, without any label."""
    figure = BookFigure(PAGE_WIDTH, PAGE_WIDTH * rows / columns)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for index, ax in enumerate(axes):
        show_picture(ax, world.scene(seed, index, size).image)
    return figure


def labels_figure(world: World, seed: int = 1, columns: int = 4) -> Figure:
    """Scenes above, their visible masks below, with the categories' names."""
    scenes = [world.scene(seed, index, SIZE) for index in range(columns)]
    longest = max(len(scene.objects) for scene in scenes)
    side, lines = PAGE_WIDTH / columns, 0.15 * longest  # inches
    figure = BookFigure(PAGE_WIDTH, 2 * side + lines)
    axes = figure.subplots(3, columns, squeeze=False, height_ratios=[side, side, lines])
    for index, scene in enumerate(scenes):
        show_picture(axes[0, index], scene.image)
        show_picture(axes[1, index], tinted(scene.image, scene.masks))
        names = [world.categories[int(category)].name for category in scene.categories]
        _legend(axes[2, index], names, longest)
    return figure


def resolution_figure(world: World, seed: int = 1) -> Figure:
    """One scene as the models see it (96 px) and as the book shows it (384 px)."""
    figure = BookFigure(PAGE_WIDTH, 0.55 * PAGE_WIDTH)
    for ax, size in zip(figure.subplots(1, 2), (96, SIZE), strict=True):
        scene = world.scene(seed, 0, size)
        show_picture(ax, scene.image)
        ax.set_title(f"{size} px, {len(scene.objects)} instances", fontsize=8)
    return figure


def ambiguity_figure(world: World, seed: int = 1, regions: int = 4) -> Figure:
    """Regions that hold two objects of similar extent, and the mask of each.

    The first `regions` of the scenes under a seed whose two objects' boxes have IoU above 0.45.

    Raises:
        ValueError: the first 1,000 scenes do not hold so many.
    """
    found: list[tuple[Scene, int, int]] = []
    for index in range(1000):
        pair = closest_pair(world.scene(seed, index), 0.45)
        if pair is not None:
            found.append((world.scene(seed, index, SIZE), *pair))
        if len(found) == regions:
            break
    if len(found) < regions:
        raise ValueError(f"1,000 scenes hold only {len(found)} regions with such an overlap")
    figure = BookFigure(PAGE_WIDTH, PAGE_WIDTH * 3.35 / max(regions, 3))
    axes = figure.subplots(3, regions, squeeze=False)
    for column, (scene, first, second) in zip(axes.T, found, strict=True):
        crop = around(scene, first, second)
        show_picture(column[0], scene.image[crop])
        for k, (ax, chosen) in enumerate(zip(column[1:], (first, second), strict=True)):
            show_picture(ax, tinted(scene.image, scene.masks[[chosen]], k)[crop])
            name = world.categories[int(scene.categories[chosen])].name
            ax.set_title(name, fontsize=7, pad=2)
    return figure


def part_figure(world: World, seed: int = 1) -> Figure:
    """One point, three answers: a part, the object, the group that the object belongs to."""
    scene, masks, point = nested(world, seed)
    figure = BookFigure(PAGE_WIDTH, 0.3 * PAGE_WIDTH)
    axes = figure.subplots(1, 4)
    titles = ("a point", "a part", "the object", "with what overlaps it")
    pictures = [scene.image, *(tinted(scene.image, mask[None], 2) for mask in masks)]
    for ax, title, picture in zip(axes, titles, pictures, strict=True):
        show_picture(ax, picture)
        ax.set_title(title, fontsize=8)
        draw_point(ax, point[0] + 0.5, point[1] + 0.5)
    return figure


def frequency_figure(world: World) -> Figure:
    """How often each category occurs, from the most to the least frequent."""
    figure = BookFigure(PAGE_WIDTH, 2.4)
    ax = plain_axes(figure.subplots())
    share = 100 * np.sort(world.table.frequency)[::-1]
    ax.plot(np.arange(1, len(share) + 1), share, color=colour(5), linewidth=2)
    ax.set_xlabel("category, by rank", fontsize=8)
    ax.set_ylabel("share of objects (%)", fontsize=8)
    ax.set_ylim(0, None)
    return figure


def distance_figure(world: World, a_categories: Sequence[int]) -> Figure:
    """How far the categories without masks lie from the nearest of `a_categories`, with masks."""
    others = np.setdiff1d(np.arange(len(world.categories)), np.asarray(list(a_categories)))
    figure = BookFigure(PAGE_WIDTH, 2.4)
    left, right = (plain_axes(ax) for ax in figure.subplots(1, 2, sharey=True))
    for ax, values, label in (
        (left, world.nearest_distance(a_categories), "factors that differ from the nearest in A"),
        (right, world.unseen_counts(a_categories), "factor values that occur nowhere in A"),
    ):
        count = np.bincount(values[others], minlength=3)
        ax.bar(np.arange(len(count)), count, color=colour(1), edgecolor=INK, linewidth=0.6)
        ax.set_xlabel(label, fontsize=8)
        ax.set_xticks(np.arange(len(count)))
    left.set_ylabel("categories in B", fontsize=8)
    return figure


def _ticks(ax: Axes, axis: str, labels: Sequence[str]) -> None:
    """A label at the middle of each tile along "x" or "y"."""
    places = [TILE * (i + 0.5) for i in range(len(labels))]
    (ax.set_xticks if axis == "x" else ax.set_yticks)(places, labels, fontsize=6.5)
    ax.tick_params(length=0, labelcolor=INK)


def _legend(ax: Axes, names: Sequence[str], lines: int) -> None:
    """The instances' names, one a line, each after a square of its mask's colour."""
    ax.axis("off")
    for k, name in enumerate(names):
        y = 1 - (k + 0.5) / lines
        ax.text(0.0, y, "\u25a0", color=colour(k), fontsize=9, va="center", transform=ax.transAxes)
        ax.text(0.08, y, name, color=INK, fontsize=7, va="center", transform=ax.transAxes)
