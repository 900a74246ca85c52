"""Masks and labels that the tests of the gate are made of."""

import torch

from wsislib.data.sample import Candidates, Label, LabelKind

SIDE = 32
EMPTY, WHOLE = (0, 0, 0, 0), (0, 0, SIDE, SIDE)


def filled(*boxes):
    """(M, SIDE, SIDE) bool: filled boxes x0, y0, x1, y1."""
    masks = torch.zeros(len(boxes), SIDE, SIDE, dtype=torch.bool)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
        mask[y0:y1, x0:x1] = True
    return masks


def two_points(*masks, kinds=None):
    """Two entries, at (4, 4) and (20, 20), that are offered the same candidates."""
    points = torch.tensor([[4.5, 4.5], [20.5, 20.5]])
    offered = Candidates(filled(*masks).expand(2, -1, -1, -1), torch.full((2, len(masks)), 0.8))
    boxes = None if kinds is None else torch.tensor([[0.0, 0, 0, 0], [18, 18, 24, 24]])
    return Label(
        LabelKind.POINT, torch.tensor([0, 0]), points=points, boxes=boxes, kinds=kinds,
        candidates=offered,
    )  # fmt: skip
