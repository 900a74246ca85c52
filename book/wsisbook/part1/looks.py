"""How categories of the world are marked in a plot: outline by marker, hue by its own colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wsislib.data.world import World
from wsislib.data.world.textures import hue_position, wheel_colour

MARKS = {
    "square": "s", "triangle": "^", "disc": "o", "heart": r"$\heartsuit$", "flower": "h",
    "gear": "8", "star": "*", "plus": "P",
}  # fmt: skip
SATURATION, VALUE = 0.85, 0.8  # dark enough for a white page


@dataclass(frozen=True)
class Looks:
    """Marker and colour "#RRGGBB" of every category."""

    markers: Sequence[str]
    tones: Sequence[str]


def world_looks(world: World) -> Looks:
    """The looks of a world's categories, as near to the drawn objects as a mark can be.

    Raises:
        ValueError: an outline that has no mark.
    """
    outlines = world.value_names()["outline"]
    unknown = sorted(set(outlines) - set(MARKS))
    if unknown:
        raise ValueError(f"outlines {unknown} have no mark in a plot; add them to viz/looks.py")
    hues = max(world.table.levels[1], 1)
    tones = []
    for hue in world.table.values[:, 1].tolist():
        at = hue_position(hue, hues, world.hue_origin)
        red, green, blue = wheel_colour(at, SATURATION, VALUE)
        tones.append(f"#{round(red):02X}{round(green):02X}{round(blue):02X}")
    return Looks([MARKS[outlines[o]] for o in world.table.values[:, 0].tolist()], tones)
