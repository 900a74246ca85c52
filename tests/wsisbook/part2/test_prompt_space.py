"""Prompt tokens as the book shows them: against the package's formula and against the library."""

import math

import numpy as np
import pytest
import torch

from tests.numeric import close
from wsisbook.part2.prompt_space import (
    corner_maps,
    distance_maps,
    expected_similarity,
    grid_of_points,
    position_part,
    shape_map,
    similarities,
    space_of,
    tokens_of,
)
from wsislib.losses.prompts import PromptDistance
from wsislib.models.sam.prompts import Prompts
from wsislib.models.sam.sam import Teacher
from wsislib.models.sam.tiny_sam import tiny_sam

SIZE = (96, 96)


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    return Teacher(tiny_sam(1, 64, 96, (4, 4, 4, 4)), "random", "0")


def test_tokens_have_the_shape_that_the_prompt_head_learns(teacher: Teacher) -> None:
    boxes = torch.tensor([[10.0, 20, 40, 60], [1, 2, 30, 9]])
    both = teacher.prompt_embeddings(Prompts(boxes=boxes), SIZE)
    assert torch.equal(tokens_of(teacher, Prompts(boxes=boxes), SIZE, "both"), both)
    mean = tokens_of(teacher, Prompts(boxes=boxes), SIZE)
    close(mean, both.mean(1, keepdim=True), "a mean of two tokens, taken elsewhere in the tensor")
    points = Prompts(points=boxes[:, :2])
    one = teacher.prompt_embeddings(points, SIZE)
    assert torch.equal(tokens_of(teacher, points, SIZE), one[:, :1])


def test_the_position_part_is_the_formula(teacher: Teacher) -> None:
    points = torch.tensor([[3.5, 80.0], [48.0, 48.0]])
    frequencies = teacher.sam.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix
    phase = 2 * math.pi * (2 * points / 96 - 1) @ frequencies
    wanted = torch.cat([phase.sin(), phase.cos()], 1)
    # A phase of some turns holds its last digits coarser than its sine does.
    why = "the phase comes from a matrix product of another shape"
    close(position_part(teacher, points, SIZE), wanted, why, atol=1e-5)
    middle = torch.cat([torch.zeros(32), torch.ones(32)])
    close(position_part(teacher, points, SIZE)[1], middle, "as above", atol=1e-5)


def test_a_grid_lists_the_middles_of_pixels_row_by_row() -> None:
    assert grid_of_points((4, 6), 2).tolist() == [
        [1.5, 1.5], [3.5, 1.5], [5.5, 1.5], [1.5, 3.5], [3.5, 3.5], [5.5, 3.5]
    ]  # fmt: skip


def test_directions_hold_all_of_the_variance_and_kinds_lie_apart(teacher: Teacher) -> None:
    space = space_of(teacher, SIZE, 8)
    assert space.points.shape == (144, 2) and space.kinds.shape == (432, 2)
    assert space.shares.sum() == pytest.approx(1)
    assert (np.diff(space.shares) <= 1e-12).all()
    middles = [part.mean(0) for part in np.split(space.kinds, 3)]
    inside = max(part.std() for part in np.split(space.kinds, 3))
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert np.linalg.norm(middles[i] - middles[j]) > inside


def test_likeness_follows_the_mean_over_frequencies() -> None:
    many = Teacher(tiny_sam(2, 512, 96, (4, 4, 4, 4)), "wide", "0")  # the wider, the less luck
    far, cosine = similarities(many, SIZE, 400, torch.Generator().manual_seed(0))
    assert np.abs(cosine - expected_similarity(far, 96)).max() < 0.2
    assert (far < 17).mean() > 0.4 and far.max() > 60
    assert expected_similarity(np.array([0.0]), 96) == 1


def test_a_map_is_nothing_at_the_prompt_itself(teacher: Teacher) -> None:
    point = torch.tensor([[21.5, 41.5]])
    said = tokens_of(teacher, Prompts(points=point), SIZE)[:, 0]
    kinds = {"kl": PromptDistance(), "l2": PromptDistance("l2")}
    maps = distance_maps(teacher, said, (96, 64), kinds, step=4)
    assert maps["kl"].shape == maps["l2"].shape == (24, 16)
    said = tokens_of(teacher, Prompts(points=torch.tensor([[22.5, 42.5]])), SIZE)[:, 0]
    found = distance_maps(teacher, said, SIZE, kinds, step=4)
    for values in found.values():
        y, x = np.unravel_index(values.argmin(), values.shape)
        assert (4 * x + 2.5, 4 * y + 2.5) == (22.5, 42.5) and values.min() < 1e-5


def test_a_mean_token_points_to_two_corners_or_to_their_middle() -> None:
    wide = Teacher(tiny_sam(3, 512, 96, (4, 4, 4, 4)), "wide", "0")
    boxes = torch.tensor([[14.5, 14.5, 70.5, 62.5], [40.5, 40.5, 44.5, 44.5]])
    large, small = corner_maps(wide, boxes, SIZE, step=4)  # cells at 2.5, 6.5, ...
    for x, y in ((14.5, 14.5), (70.5, 62.5)):
        assert large[int((y - 2.5) / 4), int((x - 2.5) / 4)] == pytest.approx(0.5, abs=0.1)
    assert large[10, 10] < 0.2, "nothing in the middle"
    y, x = np.unravel_index(small.argmax(), small.shape)
    assert (y, x) in {(9, 9), (10, 10), (9, 10), (10, 9)} and small.max() > 0.9


def test_a_shape_map_is_nothing_at_the_box_itself(teacher: Teacher) -> None:
    sides = [8.0, 16, 24]
    values = shape_map(teacher, torch.tensor([30.0, 40, 54, 48]), sides, SIZE, "both")
    assert values[0, 2] == pytest.approx(0, abs=1e-5), "8 high and 24 wide"
    assert (values.flatten()[[0, 1, 3, 4, 5, 6, 7, 8]] > 0.01).all()
