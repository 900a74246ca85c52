"""What defines a procedural world: one frozen specification, checked when it is made."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

FactorSet = Literal["study", "teacher", "pretrain"]

# Any change of a pixel, a mask, a category or a frequency bumps this number: runs that saw
# the old drawing are then stale, and a golden test holds the number honest.
WORLD_VERSION = 1

# Scenes are judged at this size: an instance exists at every resolution or at none.
REFERENCE_SIZE = 96

MAX_CATEGORIES = 3000
MIN_SIZE = 64
MAX_SIZE = 2048


@dataclass(frozen=True)
class WorldSpec:
    """A world of categories and the statistics of its scenes.

    `factor_set` is "study" for the tables, "teacher" and "pretrain" for the models that must not
    have seen the study's factor values: outlines and patterns of two factor sets never coincide,
    and hue ranges do not overlap at equal `world_seed`.
    """

    # 1..3000. Up to 80 are outline x hue; above that pattern, part and hole become factors too.
    categories: int = 80
    size: int = REFERENCE_SIZE  # side of a square scene in pixels, 64..2048
    # Draws the world itself: outlines, hue bins, each category's size, aspect and frequency.
    world_seed: int = 0
    factor_set: FactorSet = "study"
    frequency_exponent: float = 0.5  # category frequency is rank ** -exponent
    rider_probability: float = 0.6  # chance that a host carries an object of similar extent
    hosts: tuple[int, int] = (1, 3)  # least and most in a scene
    clutter: tuple[int, int] = (3, 7)  # least and most grey shapes in a scene
    minimum_pixels: int = 30  # instances with fewer visible pixels at 96 px carry no label

    def __post_init__(self) -> None:
        """Raise ValueError, naming the field, its value and what it may be."""
        for name in ("hosts", "clutter"):  # JSON and YAML have lists only
            if isinstance(value := getattr(self, name), list):
                object.__setattr__(self, name, tuple(value))
        _whole("categories", self.categories, 1, MAX_CATEGORIES)
        check_size(self.size)
        _whole("world_seed", self.world_seed, 0, 2**63 - 1)
        if self.factor_set not in get_args(FactorSet):
            names = ", ".join(get_args(FactorSet))
            raise ValueError(f"WorldSpec.factor_set is {self.factor_set!r}; choose from {names}")
        _between("frequency_exponent", self.frequency_exponent, 0.0, 3.0)
        _between("rider_probability", self.rider_probability, 0.0, 1.0)
        _pair("hosts", self.hosts, 1, 12)
        _pair("clutter", self.clutter, 0, 40)
        _whole("minimum_pixels", self.minimum_pixels, 1, REFERENCE_SIZE**2)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, in the order of the fields, for JSON and for hashing."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


def check_size(size: int) -> int:
    """Return `size`, or raise ValueError if no scene can be drawn at it."""
    _whole("size", size, MIN_SIZE, MAX_SIZE)
    return size


def _whole(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"WorldSpec.{name} is {value!r}; it must be a whole number {low}..{high}")


def _between(name: str, value: object, low: float, high: float) -> None:
    good = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not good or not low <= float(value) <= high:  # type: ignore[arg-type]
        raise ValueError(f"WorldSpec.{name} is {value!r}; it must be a number {low}..{high}")


def _pair(name: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, tuple) or len(value) != 2:
        raise ValueError(f"WorldSpec.{name} is {value!r}; it must be a pair (least, most)")
    for item in value:
        _whole(name, item, low, high)
    if value[0] > value[1]:
        raise ValueError(f"WorldSpec.{name} is {value!r}; the least is above the most")
