"""Boxes and arrows: everything is drawn, nothing points nowhere."""

import pytest
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from wsisbook.part2.flow import Arrow, Node, _edge, flow
from wsisbook.part2.wish_flow import ARROWS, NODES, wish_flow


def test_an_arrow_begins_and_ends_at_the_edges() -> None:
    left, right = Node("a", 0, 0, 2, 1), Node("b", 5, 0, 2, 1)
    assert _edge(left, right) == (1, 0) and _edge(right, left) == (4, 0)
    below = Node("c", 0, 4, 2, 1)
    assert _edge(left, below) == (0, 0.5) and _edge(below, left) == (0, 3.5)
    assert _edge(left, left) == (0, 0)


def test_every_box_and_arrow_is_there() -> None:
    axes = wish_flow().axes[0]
    boxes = [patch for patch in axes.patches if isinstance(patch, FancyBboxPatch)]
    arrows = [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
    assert len(boxes) == len(NODES) + 4 and len(arrows) == len(ARROWS)
    words = {text.get_text() for text in axes.texts}
    assert {node.text for node in NODES.values()} <= words
    taken = {end for arrow in ARROWS for end in (arrow.start, arrow.end)}
    assert taken == set(NODES), "no box stands alone"


def test_boxes_of_the_picture_do_not_overlap() -> None:
    nodes = list(NODES.values())
    for place, one in enumerate(nodes):
        for two in nodes[:place]:
            apart = abs(one.x - two.x) >= (one.width + two.width) / 2
            assert apart or abs(one.y - two.y) >= (one.height + two.height) / 2, (one, two)


def test_an_arrow_to_nowhere_is_named() -> None:
    with pytest.raises(ValueError, match=r"arrows name \['b'\], which are no nodes"):
        flow({"a": Node("a", 0, 0)}, [Arrow("a", "b")])
