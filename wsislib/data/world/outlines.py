"""Outlines: closed curves as tables of radius over angle.

Every outline is star-shaped about its centre, so a pixel is inside when its distance from
the centre is below the radius at its angle: one table look-up, whatever the outline. Angles
run from the x axis towards y; y points down, so "up" is the angle -pi/2.

The three factor sets hold different families. A world seed draws each family's parameters
from the family's own range, and ranges of families of one kind do not touch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import cos, pi, sin
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsislib.data.world.spec import FactorSet

TABLE_SIZE = 2048  # angles in a table; at 384 px one step is below half a pixel of arc
_AREA_RADIUS = 0.85  # outlines have the area of a disc of this radius

Floats = NDArray[np.floating[Any]]
ANGLES: Floats = (np.arange(TABLE_SIZE) + 0.5) * (2 * pi / TABLE_SIZE) - pi


@dataclass(frozen=True)
class Outline:
    """One outline, of the area of a disc of radius 0.85."""

    name: str  # of the family
    parameter: float  # the value that the world seed drew for it
    radius: NDArray[np.float32]  # (TABLE_SIZE,) radius at `ANGLES`
    reach: float  # the largest radius


def _from_points(corners: Floats | Sequence[tuple[float, float]]) -> Floats:
    """Radius over angle of a polygon (N, 2) that is star-shaped about the origin."""
    points = np.asarray(corners, dtype=np.float64)
    angles = np.arctan2(points[:, 1], points[:, 0])
    order = np.argsort(angles)
    points, angles = points[order], angles[order]
    start = np.searchsorted(angles, ANGLES, side="right") - 1  # edge start, -1 wraps
    a = points[start]  # (TABLE_SIZE, 2)
    edge = points[(start + 1) % len(points)] - a
    ray = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)
    cross = ray[:, 0] * edge[:, 1] - ray[:, 1] * edge[:, 0]
    return (a[:, 0] * edge[:, 1] - a[:, 1] * edge[:, 0]) / cross


def _from_polar(corners: Sequence[tuple[float, float]]) -> Floats:
    """Radius over angle of a polygon whose corners are radii and degrees."""
    return _from_points([(r * cos(d * pi / 180), r * sin(d * pi / 180)) for r, d in corners])


def _gon(corners: int, bulge: float) -> Floats:
    """Regular polygon, one corner up (one side down); `bulge` 0 is straight, 1 a disc."""
    step = 360 / corners
    first = -90 + (step / 2 if corners % 2 == 0 else 0)
    return _from_polar([(1.0, first + i * step) for i in range(corners)]) ** (1 - bulge)


def _star(points: int, inner: float) -> Floats:
    step = 180 / points
    return _from_polar([(inner if i % 2 else 1.0, -90 + i * step) for i in range(2 * points)])


def _petals(count: int, depth: float) -> Floats:
    wave = 0.5 + 0.5 * np.cos(count * (ANGLES + pi / 2))
    return 1 - depth + depth * wave**0.6


def _gear(teeth: int, depth: float) -> Floats:
    wave = np.cos(teeth * (ANGLES + pi / 2))
    return 1 - depth + depth / (1 + np.exp(-9 * wave))


def _curve(x: Callable[[Floats], Floats], y: Callable[[Floats], Floats]) -> Floats:
    t = np.linspace(0, 2 * pi, 720, endpoint=False)
    return _from_points(np.stack([x(t), y(t)], axis=1))


def _disc(bulge: float) -> Floats:
    return 1 + bulge * np.cos(2 * ANGLES)


def _plus(width: float) -> Floats:
    w = width
    arm = [(w, -w), (1, -w), (1, w), (w, w), (w, 1), (-w, 1), (-w, w), (-1, w)]
    arm += [(-1, -w), (-w, -w), (-w, -1), (w, -1)]
    return _from_points(arm)


def _drop(power: float) -> Floats:
    return _curve(lambda t: 0.95 * np.sin(t) * np.sin(t / 2) ** power, lambda t: 0.15 - np.cos(t))


def _heart(depth: float) -> Floats:
    return _curve(
        lambda t: np.sin(t) ** 3,
        lambda t: -(0.8 * np.cos(t) - depth * np.cos(2 * t) - 0.12 * np.cos(3 * t)) - 0.1,
    )


def _house(eave: float) -> Floats:
    points = [(0, -1.0), (0.85, eave), (0.6, eave), (0.6, 0.85), (-0.6, 0.85), (-0.6, eave)]
    return _from_points([*points, (-0.85, eave)])


def _half_disc(flat: float) -> Floats:
    return np.minimum(1.0, flat / np.maximum(np.sin(ANGLES), 1e-6))


def _trapezoid(top: float) -> Floats:
    return _from_points([(-top, -0.75), (top, -0.75), (1, 0.75), (-1, 0.75)])


def _arrowhead(notch: float) -> Floats:
    return _from_points([(0, -1), (0.9, 0.9), (0, notch), (-0.9, 0.9)])


def _waves(orders: tuple[int, int], depth: float) -> Floats:
    a, b = orders
    return 1 + depth * np.cos(a * ANGLES + 1.1) + 0.7 * depth * np.sin(b * ANGLES + 0.4)


def _stadium(half: float) -> Floats:
    return (np.abs(np.cos(ANGLES)) ** 5 + np.abs(np.sin(ANGLES) / half) ** 5) ** -0.2


def _slant(shift: float) -> Floats:
    far, near, y = 1 + shift, 1 - shift, 0.65
    return _from_points([(-near, -y), (far, -y), (near, y), (-far, y)])


def _bell(waist: float) -> Floats:
    points = [(0, -1), (0.35, -0.85), (waist, -0.1), (0.95, 0.8), (-0.95, 0.8)]
    return _from_points([*points, (-waist, -0.1), (-0.35, -0.85)])


Family = tuple[Callable[[float], Floats], float, float]

FAMILIES: dict[FactorSet, dict[str, Family]] = {
    "study": {
        "disc": (_disc, -0.03, 0.03),
        "square": (partial(_gon, 4), 0.0, 0.12),
        "triangle": (partial(_gon, 3), 0.0, 0.12),
        "plus": (_plus, 0.28, 0.36),
        "flower": (partial(_petals, 5), 0.50, 0.62),
        "star": (partial(_star, 5), 0.38, 0.48),
        "gear": (partial(_gear, 9), 0.26, 0.34),
        "drop": (_drop, 0.9, 1.4),
        "heart": (_heart, 0.28, 0.34),
        "house": (_house, -0.15, 0.0),
    },
    "teacher": {
        "pentagon": (partial(_gon, 5), 0.0, 0.12),
        "half disc": (_half_disc, 0.15, 0.25),
        "spark": (partial(_star, 4), 0.34, 0.44),
        "trefoil": (partial(_petals, 3), 0.48, 0.60),
        "cog": (partial(_gear, 6), 0.26, 0.36),
        "pebble": (partial(_waves, (2, 3)), 0.15, 0.22),
        "trapezoid": (_trapezoid, 0.35, 0.55),
        "arrowhead": (_arrowhead, 0.35, 0.55),
        "burst": (partial(_star, 7), 0.50, 0.60),
        "propeller": (partial(_gear, 3), 0.42, 0.52),
    },
    "pretrain": {
        "hexagon": (partial(_gon, 6), 0.0, 0.12),
        "stadium": (_stadium, 0.45, 0.60),
        "hexagram": (partial(_star, 6), 0.52, 0.60),
        "clover": (partial(_petals, 4), 0.50, 0.62),
        "saw": (partial(_gear, 13), 0.20, 0.28),
        "cloud": (partial(_waves, (3, 5)), 0.12, 0.18),
        "slant": (_slant, 0.25, 0.40),
        "caltrop": (partial(_star, 3), 0.26, 0.36),
        "bell": (_bell, 0.40, 0.55),
        "sun": (partial(_star, 11), 0.62, 0.72),
    },
}


def make_outlines(
    factor_set: FactorSet, count: int, generator: np.random.Generator
) -> list[Outline]:
    """Draw `count` outlines of a factor set, at most as many as it has families."""
    families = FAMILIES[factor_set]
    names = list(families)
    order = np.argsort(generator.random(len(names)))
    parameters = generator.random(len(names))
    outlines = []
    for i in order[:count]:
        build, low, high = families[names[i]]
        value = low + (high - low) * float(parameters[i])
        radius = build(value)
        radius = radius * (_AREA_RADIUS / np.sqrt(np.mean(radius**2)))
        outlines.append(Outline(names[i], value, radius.astype(np.float32), float(radius.max())))
    return outlines
