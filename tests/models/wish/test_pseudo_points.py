"""Peaks and their merging, on maps and masks made by hand."""

import pytest
import torch

from wsislib.data.sample import Candidates
from wsislib.models.mask2former.padding import Padding
from wsislib.models.wish.cam import CamHead, Cams
from wsislib.models.wish.pseudo_points import PeakRule, find_peaks, mask_nms


def maps_of(*cells, side=6, count=1):
    """(C, side, side): -1 everywhere but at (category, row, column, value)."""
    maps = torch.full((count, side, side), -1.0)
    for category, row, column, value in cells:
        maps[category, row, column] = value
    return maps


def found_in(maps, categories, **rule):
    found = find_peaks(maps, torch.tensor(categories), PeakRule(**rule))
    return list(zip(found.categories.tolist(), *found.cells.t().tolist(), strict=True))


def test_local_maxima_above_a_share_of_the_largest():
    maps = maps_of((0, 1, 1, 10.0), (0, 1, 2, 9.0), (0, 4, 4, 3.0), (0, 5, 0, 2.9))
    assert found_in(maps, [0]) == [(0, 1, 1), (0, 4, 4)]  # (1, 2) has a larger neighbour
    assert found_in(maps, [0], threshold=0.29) == [(0, 1, 1), (0, 4, 4), (0, 5, 0)]
    assert found_in(maps, [0], window=1) == [(0, 1, 1), (0, 1, 2), (0, 4, 4)]


def test_each_category_has_its_own_scale():
    maps = maps_of((0, 0, 0, 100.0), (2, 5, 5, 0.01), count=3)
    assert found_in(maps, [2, 0]) == [(2, 5, 5), (0, 0, 0)]
    strength = find_peaks(maps, torch.tensor([0, 2]), PeakRule()).strength
    assert strength.tolist() == [1, 1]


def test_nothing_above_zero_is_no_peak():
    maps = maps_of((0, 0, 0, 1.0), count=2)
    assert found_in(maps, [1]) == []
    assert len(find_peaks(maps, torch.zeros(0, dtype=torch.long), PeakRule())) == 0


def test_the_strongest_are_kept():
    maps = maps_of((0, 0, 0, 5.0), (0, 2, 2, 7.0), (0, 4, 4, 6.0))
    assert found_in(maps, [0], top_k=2) == [(0, 2, 2), (0, 4, 4)]


def test_a_cell_is_of_the_category_that_is_highest_there():
    cells = [(0, 1, 1, 10.0), (0, 4, 4, 6.0), (1, 4, 4, 2.0), (1, 1, 1, 1.0)]
    maps = maps_of(*cells, count=2)  # as shares: 1 and 0.6; 1 and 0.5
    assert found_in(maps, [0, 1]) == [(0, 1, 1), (1, 4, 4)]
    both = [(0, 1, 1), (0, 4, 4), (1, 4, 4), (1, 1, 1)]
    assert found_in(maps, [0, 1], exclusive=False) == both
    assert found_in(maps, [1]) == [(1, 4, 4), (1, 1, 1)]  # 0 is not in the image


def test_the_largest_peak_of_a_category_stays():
    cells = [(0, 0, 0, 1.0), (0, 5, 5, 0.9), (1, 0, 0, 2.0), (1, 5, 5, 2.0)]
    assert found_in(maps_of(*cells, count=2), [0, 1]) == [(0, 0, 0), (1, 0, 0), (1, 5, 5)]


def teacher_of(masks, quality):
    return lambda points: Candidates(masks, torch.tensor(quality).view(masks.shape[:2]))


def bars(*spans, candidates=1):
    """(P, M, 1, 20) bool, the same candidate M times: columns from..to."""
    masks = torch.zeros(len(spans), candidates, 1, 20, dtype=torch.bool)
    for index, (start, end) in enumerate(spans):
        masks[index, :, 0, start:end] = True
    return masks


def merge(masks, quality, categories=None, overlap=0.5):
    count = len(masks)
    points = torch.arange(2.0 * count).view(count, 2)
    categories = torch.tensor(categories or [0] * count)
    found = mask_nms(points, categories, teacher_of(masks, quality), overlap)
    assert len(found) == len(found.points) == len(found.categories)
    return (found.points[:, 0] / 2).int().tolist(), found


def test_of_points_on_one_object_the_teachers_favourite_stays():
    masks = bars((0, 10), (1, 10), (14, 20))
    kept, found = merge(masks, [[0.6], [0.9], [0.2]])
    assert kept == [1, 2]
    assert torch.equal(found.candidates.masks, masks[[1, 2]])
    assert torch.equal(found.candidates.quality, torch.tensor([[0.9], [0.2]]))


def test_the_overlap_must_be_larger():
    masks = bars((0, 10), (0, 5))  # IoU is one half
    assert merge(masks, [[0.5], [0.9]])[0] == [0, 1]
    assert merge(masks, [[0.5], [0.9]], overlap=0.49)[0] == [1]


def test_a_dropped_point_drops_no_other():
    masks = bars((0, 10), (3, 13), (6, 16))  # neighbours overlap by 7 of 13, ends by 4 of 16
    assert merge(masks, [[0.9], [0.8], [0.7]])[0] == [0, 2]
    assert merge(masks, [[0.7], [0.9], [0.8]])[0] == [1]


def test_other_categories_are_other_objects():
    assert merge(bars((0, 9), (0, 9)), [[0.5], [0.9]], categories=[0, 1])[0] == [0, 1]


def test_the_mask_of_a_point_is_its_best_candidate():
    masks = torch.cat([bars((0, 10), (0, 10)), bars((0, 4), (10, 14))], 1)
    assert merge(masks, [[0.2, 0.9], [0.3, 0.8]])[0] == [0, 1]
    assert merge(masks, [[0.9, 0.2], [0.8, 0.3]])[0] == [0]


def test_a_point_on_which_the_teacher_sees_nothing_is_dropped():
    assert merge(bars((0, 0), (2, 9)), [[0.9], [0.1]])[0] == [1]
    none, found = merge(bars(), torch.zeros(0, 1).tolist())
    assert none == [] and len(found) == 0


def test_cells_become_pixels_of_the_image_as_given():
    padding = Padding([(32, 64), (64, 40)], (64, 64))
    cams = Cams(torch.zeros(2, 3, 4, 4), padding)  # stride 16
    assert [cams.of_image(i).shape for i in range(2)] == [(3, 2, 4), (3, 4, 3)]
    cells = torch.tensor([[0, 0], [1, 3]])
    assert cams.places(0, cells, (32, 64)).tolist() == [[8, 8], [56, 24]]
    assert cams.places(0, cells, (64, 128)).tolist() == [[16, 16], [112, 48]]
    cut = cams.places(1, torch.tensor([[3, 2]]), (64, 40))  # its centre is at x = 40
    assert cut.tolist() == [[39.5, 56]]


def test_the_head_reads_the_level_it_is_told():
    maps = {"0": torch.ones(1, 2, 8, 8), "1": torch.ones(1, 5, 4, 4)}
    padding = Padding([(8, 8)], (8, 8))
    assert CamHead(5, 3)(maps, padding).size == (4, 4)
    assert CamHead(2, 3, level=-2)(maps, padding).size == (8, 8)
    assert [name for name, _ in CamHead(2, 3).named_parameters()] == ["classify.weight"]


@pytest.mark.parametrize(
    "wrong", [{"threshold": 0.0}, {"overlap": 1.5}, {"window": 2}, {"top_k": 0}]
)
def test_a_senseless_rule_is_refused(wrong):
    with pytest.raises(ValueError, match="peaks: "):
        PeakRule(**wrong)
