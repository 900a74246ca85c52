"""Which candidates the gate lets through, by hand and for whatever is drawn."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import box_iou

from tests.models.wish.gate_scenes_for_tests import EMPTY, SIDE, WHOLE, filled, two_points
from wsislib.data.sample import Candidates, Label, LabelKind
from wsislib.models.wish.candidate_choice import Gate


def point_label(point, *masks, quality):
    offered = Candidates(filled(*masks)[None], torch.tensor([quality]))
    points = torch.tensor([point])
    return Label(LabelKind.POINT, torch.tensor([0]), points=points, candidates=offered)


def gated(label, gate=None):
    return (gate or Gate())(label, label.candidates)[0].tolist()


def test_candidates_far_below_the_best_are_left_out():
    around = [(0, 0, 9, 9)] * 3
    label = point_label([4.5, 4.5], *around, quality=[0.8, 0.39, 0.4])
    assert gated(label) == [True, False, True]
    assert gated(label, Gate(min_iou_ratio=0)) == [True] * 3


def test_empty_candidates_and_those_beside_the_point_are_left_out():
    label = point_label([4.5, 8.5], EMPTY, (4, 8, 5, 9), (5, 8, 9, 9), quality=[0.9, 0.8, 0.9])
    assert gated(label) == [False, True, False]


def test_candidates_that_take_in_another_point_are_left_out():
    label = two_points((0, 0, 9, 9), (18, 18, 24, 24), WHOLE)
    allowed = Gate()(label, label.candidates)
    assert allowed.tolist() == [[True, False, False], [False, True, False]]
    allowed = Gate(max_overlap=1)(label, label.candidates)
    assert allowed.tolist() == [[True, False, True], [False, True, True]]


def test_where_all_take_in_another_point_they_stay():
    label = two_points(WHOLE, (9, 9, 30, 30), EMPTY)
    assert Gate()(label, label.candidates)[0].tolist() == [True, False, False]


def test_candidates_that_cover_most_of_another_box_are_left_out():
    kinds = torch.tensor([int(LabelKind.POINT), int(LabelKind.BOX)], dtype=torch.uint8)
    half, most = (0, 0, 21, 24), (0, 0, 22, 24)  # of the box from 18 to 24: 3 and 4 of 6 columns
    label = two_points(half, most, (18, 18, 24, 24), kinds=kinds)
    assert Gate()(label, label.candidates)[0].tolist() == [True, False, False]
    assert Gate(max_overlap=0.7)(label, label.candidates)[0].tolist() == [True, True, False]
    own = two_points((18, 18, 24, 24), (16, 16, 24, 24), WHOLE, kinds=kinds)
    assert Gate(min_inside=0)(own, own.candidates)[1].tolist() == [True, True, False]


def test_a_box_wants_most_of_a_candidate_inside():
    masks = filled((4, 4, 12, 12), (4, 4, 21, 12), WHOLE)  # inside: all, 8 of 17, 64 of 1024
    offered = Candidates(masks[None], torch.tensor([[0.5, 0.5, 0.5]]))
    box = torch.tensor([[4.0, 4, 12, 12]])
    label = Label(LabelKind.BOX, torch.tensor([0]), boxes=box, candidates=offered)
    assert gated(label) == [True, False, False]
    assert gated(label, Gate(min_inside=0.4)) == [True, True, False]


def test_where_none_passes_the_tests_are_dropped_in_order():
    # The best by far is empty, so no other reaches half of it: those that hit their point remain.
    label = point_label([4.5, 4.5], EMPTY, (0, 0, 9, 9), (9, 9, 12, 12), quality=[1, 0.1, 0.2])
    assert gated(label) == [False, True, False]
    label = point_label([30.5, 4.5], EMPTY, (0, 0, 9, 9), (9, 9, 12, 12), quality=[1, 0.1, 0.2])
    assert gated(label) == [False, True, True]
    assert gated(point_label([4.5, 4.5], EMPTY, EMPTY, EMPTY, quality=[1, 0.5, 0])) == [True] * 3


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_the_gate_never_leaves_none(seed, boxed):
    g = torch.Generator().manual_seed(seed)
    masks = torch.rand(4, 3, 6, 6, generator=g) < torch.rand(4, 3, 1, 1, generator=g) - 0.3
    quality = torch.rand(4, 3, generator=g) * (torch.rand(4, 3, generator=g) < 0.7)
    corner = torch.rand(4, 2, generator=g) * 4
    label = Label(
        LabelKind.BOX if boxed else LabelKind.POINT,
        torch.zeros(4, dtype=torch.long),
        points=None if boxed else corner,
        boxes=torch.cat([corner, corner + 1.5], 1) if boxed else None,
    )
    allowed = Gate()(label, Candidates(masks, quality))
    assert allowed.any(1).all()
    some = masks.flatten(2).any(2)
    assert not (allowed & ~some)[some.any(1)].any(), "an empty one beside one that is not"


@pytest.mark.parametrize(
    "wrong", [{"min_iou_ratio": 1.5}, {"min_inside": -0.1}, {"max_overlap": 2}]
)
def test_a_senseless_gate_is_refused(wrong):
    with pytest.raises(ValueError, match="shares in 0..1"):
        Gate(**wrong)


def boxed(box, *masks):
    """One entry with a box, and its candidates."""
    offered = Candidates(filled(*masks)[None], torch.full((1, len(masks)), 0.8))
    boxes = torch.tensor([box])
    return Label(LabelKind.BOX, torch.tensor([0]), boxes=boxes, candidates=offered)


def test_candidates_whose_tight_box_is_another_are_left_out():
    label = boxed([4.0, 4, 12, 12], (4, 4, 12, 12), (4, 4, 8, 12), (4, 4, 8, 11), EMPTY)
    assert gated(label, Gate(min_box_iou=0.5)) == [
        True,
        True,
        False,
        False,
    ]  # IoU 1, 32 / 64, 28 / 64, 0
    assert not Gate(min_box_iou=0.5).unanswered(label, label.candidates).any()


def test_a_box_that_no_candidate_fits_is_unanswered():
    label = boxed([4.0, 4, 12, 12], (4, 4, 8, 11), EMPTY)
    assert Gate(min_box_iou=0.5).unanswered(label, label.candidates).tolist() == [True]
    assert not Gate().unanswered(label, label.candidates).any()
    points = point_label([4.5, 4.5], EMPTY, quality=[0.8])
    assert not Gate(min_box_iou=1.0).unanswered(points, points.candidates).any()


@settings(deadline=None)
@given(st.lists(st.integers(0, SIDE), min_size=8, max_size=8))
def test_fit_is_the_iou_of_boxes(corners):
    x0, x1, x2, x3 = (*sorted(corners[:2]), *sorted(corners[2:4]))
    y0, y1, y2, y3 = (*sorted(corners[4:6]), *sorted(corners[6:]))
    if x0 == x1 or y0 == y1 or x2 == x3 or y2 == y3:
        return
    label = boxed([float(v) for v in (x2, y2, x3, y3)], (x0, y0, x1, y1))
    iou = float(box_iou(torch.tensor([[x0, y0, x1, y1]]).float(), label.boxes))
    for fit in (max(iou - 1e-4, 1e-9), min(iou + 1e-4, 1.0)):
        wanted = iou < fit
        assert bool(Gate(min_box_iou=fit).unanswered(label, label.candidates)) == wanted
