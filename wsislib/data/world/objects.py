"""What a scene is made of, in units of its side: objects, clutter and what lies behind."""

from __future__ import annotations

from dataclasses import dataclass

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
