"""The parts of a mask apart: cut at the right place, added up, each with its scale."""

import numpy as np
import pytest
import torch

from wsisbook.part1.mask_parts_figure import COLUMNS, parts_figure, resample
from wsislib.viz.palette import colour, rgb

IMAGE = torch.rand(3, 12, 16, generator=torch.Generator().manual_seed(0))
BOXES = torch.tensor([[2.0, 3, 10, 11]])
TRUTH = torch.zeros(1, 12, 16, dtype=torch.bool)
TRUTH[0, 3:7, 2:10] = True


def test_a_box_is_read_at_the_centres_of_its_cells() -> None:
    picture = np.arange(12 * 16).reshape(12, 16)
    assert np.array_equal(resample(picture, (0, 0, 16, 16), 16)[:12], picture)
    assert np.array_equal(resample(picture, (2, 3, 10, 11), 8), picture[3:11, 2:10])
    assert np.array_equal(resample(picture, (2, 3, 10, 11), 4), picture[4:11:2, 3:10:2])
    assert np.array_equal(
        resample(picture, (0, 0, 2, 2), 4), picture[:2, :2].repeat(2, 0).repeat(2, 1)
    )


def test_cells_beyond_the_edge_take_the_nearest_pixel() -> None:
    picture = np.arange(16).reshape(4, 4)
    assert resample(picture, (-4, -4, 4, 4), 2).tolist() == [[0, 2], [8, 10]]
    assert resample(picture, (2, 2, 10, 10), 2).tolist() == [[15, 15], [15, 15]]


def test_the_last_column_is_the_sum_above_zero() -> None:
    fcn = torch.full((1, 8, 8), -1.0)
    mlp = torch.zeros(1, 8, 8)
    fcn[0, 0], mlp[0, :, 0] = 3.0, 2.0
    figure = parts_figure(IMAGE, BOXES, fcn, mlp, TRUTH, ["a ring"])
    assert [axes.get_title() for axes in figure.axes] == list(COLUMNS)
    region, truth, detail, gist, total = (axes.images[0] for axes in figure.axes)
    inside = np.all(total.get_array() == rgb(colour(5)), axis=-1)
    assert np.array_equal(inside, (fcn + mlp > 0)[0].numpy())
    true = np.all(truth.get_array() == rgb(colour(5)), axis=-1)
    assert true[:4].all() and not true[4:].any()
    assert detail.get_clim() == (-3, 3) and gist.get_clim() == (-2, 2)
    assert [axes.get_xlabel() for axes in figure.axes[2:4]] == ["±3", "±2"]
    assert np.allclose(
        region.get_array()[::4, ::4], IMAGE[:, 3:11, 2:10].permute(1, 2, 0).numpy(), atol=1e-6
    )


def test_a_part_that_is_zero_everywhere_can_be_shown() -> None:
    zero = torch.zeros(1, 8, 8)
    figure = parts_figure(IMAGE, BOXES, zero, zero, TRUTH)
    assert not np.all(figure.axes[4].images[0].get_array() == rgb(colour(5)), axis=-1).any()


def test_parts_of_other_boxes_are_refused() -> None:
    zero = torch.zeros(2, 8, 8)
    with pytest.raises(ValueError, match="1 boxes, 2 and 2 parts, 1 true masks"):
        parts_figure(IMAGE, BOXES, zero, zero, TRUTH)
    with pytest.raises(ValueError, match="0 boxes"):
        parts_figure(IMAGE, BOXES[:0], zero[:0], zero[:0], TRUTH[:0])
