"""One object alone on a plain ground: what a category, or a single factor value, looks like."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from wsislib.data.world.factors import FACTORS
from wsislib.data.world.layout import Backdrop, Layout, WorldObject
from wsislib.data.world.model import World
from wsislib.data.world.render import render
from wsislib.data.world.spec import check_size
from wsislib.data.world.textures import HUES, hue_position, wheel_colour

_GROUND = (236.0, 236.0, 232.0)


def portrait(
    world: World, category: int | None = None, size: int = 96, **values: int
) -> NDArray[np.uint8]:
    """Draw one upright object, without jitter, noise or light.

    Args:
        world: whose outlines, hues and patterns are used.
        category: its factor values, size and aspect are used; None for value 0 of every
            factor and a round aspect.
        size: side in pixels.
        **values: factor=value, in place of the category's; also for factors that vary freely.

    Returns:
        (size, size, 3) uint8 RGB.

    Raises:
        ValueError: no such category, factor or value.
    """
    check_size(size)
    row, scale, aspect = [0] * len(FACTORS), 1.0, 1.0
    if category is not None:
        if not 0 <= category < len(world.categories):
            last = len(world.categories) - 1
            raise ValueError(f"category {category} is not in this world; use 0..{last}")
        row = [max(0, v) for v in world.table.values[category].tolist()]
        scale, aspect = float(world.table.size[category]), float(world.table.aspect[category])
    thing = _sitter(world, _override(world, row, values), 0.29 * scale, aspect)
    back = Backdrop(-1, (_GROUND, _GROUND), 1.0, 0.0, (0.0, 0.0), (0.0, 0.0), 0.0, (0.0, 0.0))
    return render(Layout((thing,), back), world.brushes, size)[0]


def _override(world: World, row: list[int], values: Mapping[str, int]) -> list[int]:
    names = world.value_names()
    for factor, value in values.items():
        if factor not in FACTORS:
            raise ValueError(f"{factor!r} is no factor; choose from {', '.join(FACTORS)}")
        most = HUES if factor == "hue" else len(names[factor])
        if not 0 <= value < most:
            raise ValueError(f"{factor} {value} is not in this world; use 0..{most - 1}")
        row[FACTORS.index(factor)] = value
    return row


def _sitter(world: World, row: list[int], radius: float, aspect: float) -> WorldObject:
    outline, hue, pattern, part, hole = row
    spot = hue_position(hue, max(world.table.levels[1], 1), world.hue_origin)
    body = wheel_colour(spot, 0.85, 0.88)
    second, pale = wheel_colour(spot, 0.85, 0.46), wheel_colour(spot, 0.21, 1.0)
    return WorldObject(
        category=0,
        group=0,
        outline=outline,
        pattern=pattern,
        part=part,
        hole=hole,
        x=0.5,
        y=0.5,
        rx=radius * aspect**0.5,
        ry=radius * aspect**-0.5,
        tilt=0.0,
        colours=(body, second, pale),
        pitch=0.5,
        turn=0.6,
        shift=(0.0, 0.0),
        light=(-0.1, -0.12),
    )
