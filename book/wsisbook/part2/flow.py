"""A picture of boxes and arrows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from wsislib.viz.figure import PAGE_WIDTH, BookFigure
from wsislib.viz.palette import INK, PALE, colour


@dataclass(frozen=True)
class Node:
    """A box.

    Attributes:
        text: in it; lines are cut by hand.
        x, y: its middle, in units of the picture; y grows downwards.
        width, height: in the same units.
        group: its colour; 0 is white.
    """

    text: str
    x: float
    y: float
    width: float = 1.7
    height: float = 0.62
    group: int = 0


@dataclass(frozen=True)
class Arrow:
    """From one node to another, by their names.

    Attributes:
        start, end: names of nodes.
        text: beside its middle.
        bend: 0 is straight; positive bends to the left of its way.
        dashed: information without gradient.
    """

    start: str
    end: str
    text: str = ""
    bend: float = 0.0
    dashed: bool = False


def flow(
    nodes: Mapping[str, Node], arrows: Sequence[Arrow], legend: Mapping[int, str] | None = None
) -> Figure:
    """Return the picture.

    Args:
        nodes: name -> box.
        arrows: between them.
        legend: group -> what its colour means.

    Raises:
        ValueError: an arrow names no node.
    """
    unknown = sorted({end for a in arrows for end in (a.start, a.end)} - set(nodes))
    if unknown:
        raise ValueError(f"arrows name {unknown}, which are no nodes")
    left = min(n.x - n.width / 2 for n in nodes.values()) - 0.1
    right = max(n.x + n.width / 2 for n in nodes.values()) + 0.1
    top = min(n.y - n.height / 2 for n in nodes.values()) - 0.1
    bottom = max(n.y + n.height / 2 for n in nodes.values()) + 0.1
    bottom += 0.8 if legend else 0.0
    figure = BookFigure(PAGE_WIDTH, PAGE_WIDTH * (bottom - top) / (right - left))
    axes = figure.subplots()
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.set_axis_off()
    for arrow in arrows:
        _draw_arrow(axes, arrow, nodes[arrow.start], nodes[arrow.end])
    for node in nodes.values():
        _draw_node(axes, node)
    for place, (group, words) in enumerate((legend or {}).items()):
        _draw_key(axes, left + 0.3 + place * (right - left) / len(legend or {}), bottom, group)
        axes.text(
            left + 0.5 + place * (right - left) / len(legend or {}), bottom - 0.2, words,
            fontsize=7, va="center",
        )  # fmt: skip
    return figure


def _draw_node(axes: Axes, node: Node) -> None:
    corner = (node.x - node.width / 2, node.y - node.height / 2)
    axes.add_patch(
        FancyBboxPatch(
            corner, node.width, node.height, boxstyle="round,pad=0,rounding_size=0.1",
            facecolor=_fill(node.group), edgecolor=INK, linewidth=0.8, zorder=2,
        )
    )  # fmt: skip
    axes.text(node.x, node.y, node.text, ha="center", va="center", fontsize=7, zorder=3)


def _draw_arrow(axes: Axes, arrow: Arrow, start: Node, end: Node) -> None:
    tail, head = _edge(start, end), _edge(end, start)
    axes.add_patch(
        FancyArrowPatch(
            tail, head, arrowstyle="-|>", mutation_scale=8, linewidth=0.9,
            linestyle="--" if arrow.dashed else "-", color=INK, shrinkA=0, shrinkB=1,
            connectionstyle=f"arc3,rad={arrow.bend}", zorder=1,
        )
    )  # fmt: skip
    if arrow.text:
        # The middle of arc3 lies half its bend beside the straight line.
        x = (tail[0] + head[0]) / 2 - arrow.bend / 2 * (head[1] - tail[1])
        y = (tail[1] + head[1]) / 2 + arrow.bend / 2 * (head[0] - tail[0])
        ground = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
        axes.text(x, y, arrow.text, fontsize=6, ha="center", va="center", bbox=ground, zorder=2)


def _edge(node: Node, other: Node) -> tuple[float, float]:
    """Where the straight line from a node's middle to another's leaves its box."""
    dx, dy = other.x - node.x, other.y - node.y
    far = max(abs(dx) / (node.width / 2), abs(dy) / (node.height / 2))
    return (node.x + dx / far, node.y + dy / far) if far else (node.x, node.y)


def _draw_key(axes: Axes, x: float, bottom: float, group: int) -> None:
    axes.add_patch(
        FancyBboxPatch(
            (x - 0.1, bottom - 0.28), 0.2, 0.16, boxstyle="round,pad=0,rounding_size=0.04",
            facecolor=_fill(group), edgecolor=PALE, linewidth=0.8,
        )
    )  # fmt: skip


def _fill(group: int) -> str:
    """A pale tone of the palette, which black text reads well on; white for 0."""
    if group == 0:
        return "#FFFFFF"
    code = colour(group - 1)
    parts = [int(code[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{int(255 - 0.4 * (255 - part)):02X}" for part in parts)
