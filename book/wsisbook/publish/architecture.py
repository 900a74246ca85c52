"""A picture of the house drawn from its imports: rooms as boxes in layers, imports as arrows."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import fmean

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

Arrows = Mapping[str, set[str]]  # room -> rooms that it imports

_WIDTH, _HEIGHT = 1.72, 0.56  # of a box, where neighbours stand 2 apart and layers 1.15


def room_arrows(packages: Mapping[str, Path]) -> dict[str, set[str]]:
    """Which room imports which, also inside functions.

    A room is a sub-package, or a module that lies directly in a package.

    Args:
        packages: import name -> folder.
    """
    rooms = {
        room for name, folder in packages.items() for room, _ in _modules(name, folder) if room
    }
    arrows: dict[str, set[str]] = {room: set() for room in rooms}
    for name, folder in packages.items():
        for room, file in _modules(name, folder):
            if room:
                arrows[room] |= {
                    other
                    for imported in _imports(file)
                    if (other := _room_of(imported, rooms)) and other != room
                }
    return arrows


def _modules(package: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """(room, file) of every module; the room is '' for the package's own `__init__`."""
    for file in sorted(folder.rglob("*.py")):
        parts = file.relative_to(folder).with_suffix("").parts
        inner = parts[:-1] or (() if parts[0] == "__init__" else parts)
        yield (".".join((package, *inner)) if inner else ""), file


def _imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _room_of(imported: str, rooms: set[str]) -> str | None:
    """The innermost room that `imported` lies in."""
    parts = imported.split(".")
    names = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
    return next((name for name in names if name in rooms), None)


def reduced(arrows: Arrows) -> dict[str, set[str]]:
    """`arrows` without those that a longer way implies, so that a picture of them can be read."""
    below = {room: _reached(arrows, room) for room in arrows}
    return {
        room: {
            other
            for other in others
            if not any(other in below[third] for third in others - {other})
        }
        for room, others in arrows.items()
    }


def _reached(arrows: Arrows, room: str) -> set[str]:
    seen: set[str] = set()
    waiting = [room]
    while waiting:
        new = arrows[waiting.pop()] - seen
        seen |= new
        waiting += new
    return seen


def layers(arrows: Arrows) -> list[list[str]]:
    """Rooms by the length of the longest way down from them; the first layer imports nothing.

    Raises:
        ValueError: rooms import each other in a circle.
    """
    level: dict[str, int] = {}
    waiting = dict(arrows)
    while waiting:
        ready = [room for room, others in waiting.items() if others <= level.keys()]
        if not ready:
            raise ValueError("rooms import each other: " + ", ".join(sorted(waiting)))
        for room in ready:
            level[room] = 1 + max((level[other] for other in waiting.pop(room)), default=-1)
    return [
        sorted(room for room, here in level.items() if here == n)
        for n in range(max(level.values(), default=-1) + 1)
    ]


def draw_architecture(arrows: Arrows) -> Figure:
    """The rooms of `arrows` in layers, each arrow pointing down to what is imported."""
    stacked = layers(arrows)
    widest = max(map(len, stacked))
    shown = reduced(arrows)
    place: dict[str, tuple[float, float]] = {}
    for level, row in enumerate(stacked):
        # A room stands above what it imports, so that fewer arrows cross.
        over = {room: fmean([place[other][0] for other in shown[room]] or [0]) for room in row}
        for nth, room in enumerate(sorted(row, key=lambda room: over[room])):
            place[room] = (2 * (nth - (len(row) - 1) / 2), 1.15 * level)
    figure = Figure(figsize=(1.35 * widest + 0.6, 0.95 * len(stacked) + 0.3), layout="constrained")
    axes = figure.add_subplot()
    for room, others in shown.items():
        for other in others:
            (x0, y0), (x1, y1) = place[room], place[other]
            axes.annotate(
                "",
                (x1, y1 + _HEIGHT / 2),
                (x0, y0 - _HEIGHT / 2),
                arrowprops={"arrowstyle": "-|>", "color": "0.55", "linewidth": 0.9},
                zorder=0,
            )
    for room, (x, y) in place.items():
        package, _, name = room.partition(".")
        colour = "#dbe9f6" if package == "wsislib" else "#fdebd0"
        box = FancyBboxPatch(
            (x - _WIDTH / 2, y - _HEIGHT / 2),
            _WIDTH,
            _HEIGHT,
            boxstyle="round,pad=0,rounding_size=0.08",
            facecolor=colour,
            edgecolor="0.35",
        )
        axes.add_patch(box)
        axes.text(x, y, name.replace(".", "\n"), ha="center", va="center", fontsize=9)
    axes.set_xlim(-widest - 0.1, widest + 0.1)
    axes.set_ylim(-0.5, 1.15 * len(stacked) - 0.5)
    axes.set_axis_off()
    return figure
