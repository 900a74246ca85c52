"""Masks, boxes and points: by hand, and empty input."""

import torch

from wsislib.data.geometry import (
    filled_boxes,
    mask_boxes,
    masks_at_own_point,
    masks_at_points,
    pairwise_mask_iou,
)

MASKS = torch.zeros(2, 4, 6, dtype=torch.bool)
MASKS[0, 1:3, 2:5] = True  # 6 pixels
MASKS[1, 2:4, 2:4] = True  # 4 pixels, 2 of them in the first


def test_boxes_end_at_the_far_edge_of_the_last_pixel() -> None:
    boxes = mask_boxes(MASKS)
    assert boxes.tolist() == [[2, 1, 5, 3], [2, 2, 4, 4]]
    assert torch.equal(filled_boxes(boxes, 4, 6), MASKS)


def test_iou_of_all_pairs_counts_exactly_under_autocast() -> None:
    flat = MASKS.flatten(1)
    with torch.autocast("cpu", torch.bfloat16):
        found = pairwise_mask_iou(flat, torch.cat([flat, torch.zeros_like(flat[:1])]))
    assert torch.equal(found, torch.tensor([[1, 2 / 8, 0], [2 / 8, 1, 0]]))
    assert pairwise_mask_iou(flat[None, :, :0], flat[None, :, :0]).tolist() == [[[0, 0], [0, 0]]]


def test_points_read_the_pixel_that_they_lie_in_and_the_nearest_beyond_the_edge() -> None:
    points = torch.tensor([[2.0, 1.0], [4.99, 2.99], [5.0, 1.0], [-3.0, 9.0]])
    assert masks_at_points(MASKS, points).tolist() == [
        [True, True, False, False],
        [False, False, False, False],
    ]
    assert masks_at_own_point(MASKS, torch.tensor([[2.5, 1.5], [2.5, 1.5]])).tolist() == [
        True,
        False,
    ]


def test_nothing_gives_nothing() -> None:
    none, nowhere = MASKS[:0], torch.zeros(0, 2)
    assert mask_boxes(none).shape == (0, 4)
    assert filled_boxes(torch.zeros(0, 4), 4, 6).shape == (0, 4, 6)
    assert pairwise_mask_iou(none.flatten(1), MASKS.flatten(1)).shape == (0, 2)
    assert masks_at_points(MASKS, nowhere).shape == (2, 0)
    assert masks_at_own_point(none[:, None], nowhere).shape == (0, 1)
