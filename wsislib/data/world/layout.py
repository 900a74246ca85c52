"""The layout of a scene: objects, clutter and what lies behind, in units of its side.

Nothing here knows of pixels, so one layout renders at any size. All numbers come from one
stream of uniform draws whose key is (world seed, factor set, seed, index).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, exp, log, pi, sin

import numpy as np

from wsislib.data.world.factors import HOLES, PARTS, CategoryTable
from wsislib.data.world.spec import WorldSpec
from wsislib.data.world.textures import HUES, hue_position, wheel_colour

_SCENE_STREAM = 0x5CE7E  # keeps scene draws apart from the draws that make the world

Colour = tuple[float, float, float]  # RGB in 0..255
CLUTTER = -1  # category and group of a grey shape


@dataclass(frozen=True, slots=True)
class WorldObject:
    """One object, or one grey shape of clutter.

    Lengths are in units of the scene's side; `x` runs right, `y` down.
    """

    category: int  # index, or -1 for clutter
    group: int  # objects of one group overlap on purpose: a host and what it carries
    outline: int  # index of the factor value, as of pattern, part and hole
    pattern: int
    part: int
    hole: int
    x: float  # centre
    y: float
    rx: float  # radii along the object's own axes
    ry: float
    tilt: float  # of the object's axes, radians
    colours: tuple[Colour, Colour, Colour]  # of the body, of its pattern and of its part
    pitch: float  # period of the pattern in radii
    turn: float  # angle of the pattern, radians
    shift: tuple[float, float]  # phase of the pattern
    light: tuple[float, float]  # how the shade changes along the object's axes


@dataclass(frozen=True, slots=True)
class Backdrop:
    """What lies behind: two muted colours, a texture, a light and its noise."""

    pattern: int
    colours: tuple[Colour, Colour]
    pitch: float
    turn: float
    shift: tuple[float, float]
    light: tuple[float, float]
    noise: float
    noise_at: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Layout:
    """A scene: objects in painting order, on a backdrop."""

    objects: tuple[WorldObject, ...]
    backdrop: Backdrop


class Draws:
    """Uniform draws from a counter-based generator, served one at a time."""

    def __init__(self, world: tuple[int, int], seed: int, index: int) -> None:
        """Start the stream of one scene of one world (world seed, number of factor set)."""
        key = np.random.SeedSequence([_SCENE_STREAM, *world, seed, index])
        self._generator = np.random.Generator(np.random.Philox(key))
        self._block: list[float] = []

    def unit(self) -> float:
        """One draw in 0..1."""
        if not self._block:
            self._block = self._generator.random(256).tolist()
        return self._block.pop()

    def between(self, low: float, high: float) -> float:
        """One draw in low..high."""
        return low + (high - low) * self.unit()

    def whole(self, low: int, high: int) -> int:
        """One of low, ..., high, both included."""
        return min(high, low + int(self.unit() * (high - low + 1)))

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.unit() < probability


@dataclass(frozen=True)
class Palette:
    """The parts of a world that a layout depends on."""

    spec: WorldSpec
    table: CategoryTable
    world: tuple[int, int]  # its seed and the number of its factor set; begins every scene's key
    cumulative: np.ndarray  # (C,) float64 running sum of the frequencies
    outlines: int  # how many there are to choose from, as of patterns and textures
    patterns: int
    textures: int
    hue_origin: float  # where the first hue bin starts, in bins
    hue_width: float  # share of a bin that hues are drawn from


def draw_layout(palette: Palette, seed: int, index: int) -> Layout:
    """The scene of this index under this seed."""
    draws = Draws(palette.world, seed, index)
    backdrop = _backdrop(palette, draws)
    shapes = draws.whole(*palette.spec.clutter)
    things = [_clutter(palette, draws, largest=0.11) for _ in range(shapes)]
    for group in range(draws.whole(*palette.spec.hosts)):
        things += _host_and_rider(palette, draws, group)
    if draws.chance(0.35) and palette.spec.clutter[1] > 0:
        things.append(_clutter(palette, draws, largest=0.07))  # in front of everything
    return Layout(tuple(things), backdrop)


def _host_and_rider(palette: Palette, draws: Draws, group: int) -> list[WorldObject]:
    category = _category(palette, draws)
    radius = draws.between(0.10, 0.23) * float(palette.table.size[category])
    x, y = draws.between(0.12, 0.88), draws.between(0.12, 0.88)
    host = _thing(palette, draws, category, group, x, y, radius)
    if not draws.chance(palette.spec.rider_probability):
        return [host]
    other = _category(palette, draws)
    if other == category:  # two alike on one spot would be ambiguous for everyone
        other = category + draws.whole(1, max(1, palette.spec.categories - 1))
        other %= palette.spec.categories
    if HOLES[host.hole] == "window" and draws.chance(0.6):
        return [host, _thing(palette, draws, other, group, x, y, 0.42 * radius)]
    reach, angle = 0.35 * radius * draws.unit() ** 0.5, draws.between(0, 2 * pi)
    size = radius * draws.between(0.6, 1.0) * float(palette.table.size[other]) ** 0.5
    there = (x + reach * cos(angle), y + reach * sin(angle))
    return [host, _thing(palette, draws, other, group, *there, size)]


def _category(palette: Palette, draws: Draws) -> int:
    category = int(np.searchsorted(palette.cumulative, draws.unit(), side="right"))
    return min(category, palette.spec.categories - 1)


def _thing(
    palette: Palette, draws: Draws, category: int, group: int, x: float, y: float, radius: float
) -> WorldObject:
    """An object of a category; factors that are not of this world vary freely."""
    outline, hue, pattern, part, hole = palette.table.values[category].tolist()
    # Draws are made whether used or not, so that worlds of other sizes stay comparable.
    free = (draws.whole(0, palette.patterns - 1), _sometimes(draws, 0.3, len(PARTS)))
    gap = _sometimes(draws, 0.12, len(HOLES))
    pattern = free[0] if pattern < 0 else pattern
    part = free[1] if part < 0 else part
    hole = gap if hole < 0 else hole
    aspect = float(palette.table.aspect[category]) * exp(draws.between(-0.12, 0.12))
    colours = _colours(palette, draws, hue)
    looks, tilt = (outline, pattern, part, hole), draws.between(-0.5, 0.5)
    return _place(draws, category, group, looks, (x, y), radius, aspect, tilt, colours)


def _sometimes(draws: Draws, probability: float, values: int) -> int:
    """Value 0 ("none") mostly, else one of the others."""
    value = draws.whole(1, values - 1)
    return value if draws.chance(probability) else 0


def _clutter(palette: Palette, draws: Draws, largest: float) -> WorldObject:
    outline = draws.whole(0, palette.outlines - 1)
    pattern = draws.whole(0, palette.patterns - 1)
    base, gap = draws.between(60, 200), draws.between(25, 70)
    dark = base - gap if base > 130 else base + gap
    grey = ((base, base, base), (dark, dark, dark), (base, base, base))
    radius = exp(draws.between(log(0.03), log(largest)))
    at, aspect = (draws.unit(), draws.unit()), exp(draws.between(-0.5, 0.5))
    looks, tilt = (outline, pattern, 0, 0), draws.between(-pi, pi)
    return _place(draws, CLUTTER, CLUTTER, looks, at, radius, aspect, tilt, grey)


def _place(
    draws: Draws,
    category: int,
    group: int,
    looks: tuple[int, int, int, int],
    at: tuple[float, float],
    radius: float,
    aspect: float,
    tilt: float,
    colours: tuple[Colour, Colour, Colour],
) -> WorldObject:
    outline, pattern, part, hole = looks
    steepness, towards = draws.between(0.05, 0.25), draws.between(0, 2 * pi)
    return WorldObject(
        category=category,
        group=group,
        outline=outline,
        pattern=pattern,
        part=part,
        hole=hole,
        x=at[0],
        y=at[1],
        rx=radius * aspect**0.5,
        ry=radius * aspect**-0.5,
        tilt=tilt,
        colours=colours,
        pitch=draws.between(0.42, 0.62),
        turn=draws.between(0, pi),
        shift=(draws.unit(), draws.unit()),
        light=(steepness * cos(towards), steepness * sin(towards)),
    )


def _colours(palette: Palette, draws: Draws, hue: int) -> tuple[Colour, Colour, Colour]:
    centre = hue_position(hue, palette.table.levels[1], palette.hue_origin)
    spot = centre + palette.hue_width / HUES * draws.between(-0.5, 0.5)
    saturation, value = draws.between(0.68, 1.0), draws.between(0.68, 1.0)
    body = wheel_colour(spot, saturation, value)
    second = wheel_colour(spot, saturation, value * draws.between(0.42, 0.6))
    pale = wheel_colour(spot, saturation * 0.25, 1.0)
    return body, second, pale


def _backdrop(palette: Palette, draws: Draws) -> Backdrop:
    # Half of the backdrops are plain, with light and noise only.
    pattern = draws.whole(0, palette.textures - 1) if draws.chance(0.5) else -1
    hue, saturation = draws.unit(), draws.between(0.04, 0.28)
    value = draws.between(0.25, 0.8)
    darker = value * draws.between(0.55, 0.85)
    steep, towards = draws.between(0.05, 0.4), draws.between(0, 2 * pi)
    return Backdrop(
        pattern=pattern,
        colours=(wheel_colour(hue, saturation, value), wheel_colour(hue, saturation, darker)),
        pitch=draws.between(0.05, 0.14),
        turn=draws.between(0, pi),
        shift=(draws.unit(), draws.unit()),
        light=(steep * cos(towards), steep * sin(towards)),
        noise=draws.between(2.0, 9.0),
        noise_at=(draws.unit(), draws.unit()),
    )
