"""What a scene is made of, in units of its side: objects, clutter and what lies behind."""

from __future__ import annotations

from dataclasses import dataclass

Colour = tuple[float, float, float]  # RGB in 0..255
CLUTTER = -1  # category and group of a grey shape


@dataclass(frozen=True, slots=True)
class WorldObject:
    """One object, or one grey shape of clutter.

    Lengths are in units of the scene's side; `x` runs right, `y` down.

    Attributes:
        category: index, or -1 for clutter.
        group: objects of one group overlap on purpose: a host and what it carries.
        outline, pattern, part, hole: indices of factor values.
        x, y, rx, ry: centre and radii along the object's own axes.
        tilt: of the object's axes, radians.
        colours: of the body, of its pattern and of its part; RGB in 0..255.
        pitch: period of the pattern in radii; `turn` its angle, `shift` its phase.
        light: (2,) how the shade changes along the object's axes.
    """

    category: int
    group: int
    outline: int
    pattern: int
    part: int
    hole: int
    x: float
    y: float
    rx: float
    ry: float
    tilt: float
    colours: tuple[Colour, Colour, Colour]
    pitch: float
    turn: float
    shift: tuple[float, float]
    light: tuple[float, float]


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
