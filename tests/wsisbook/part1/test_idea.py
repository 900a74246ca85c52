"""Pictures of weights: the right rows in the right place, full for A and hollow for B."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.numeric import close, close_masks
from wsisbook.part1.idea import (
    COLUMNS,
    Looks,
    category_bars,
    main_plane,
    parts_figure,
    parts_in_boxes,
    resample,
    weight_map,
    weight_planes,
    world_looks,
)
from wsislib.data.world import World, WorldSpec
from wsislib.models.maskrcnn.builders import maskx_rcnn_lab
from wsislib.models.maskrcnn.mask_rcnn import MaskRCNN
from wsislib.viz.figure import png_bytes
from wsislib.viz.palette import colour, rgb

NAMES = ("ring", "disc", "star", "plus")
DET = torch.arange(4.0)[:, None].expand(4, 6).clone()
SEG = -DET[:, :3]


def test_rows_of_a_stand_above_those_of_b() -> None:
    figure = weight_map(DET, SEG, NAMES, a=(1, 3), split_at=2)
    left, right = figure.axes
    assert [text.get_text() for text in left.get_yticklabels()] == ["disc", "plus", "ring", "star"]
    assert left.images[0].get_array()[:, 0].tolist() == [1, 3, 0, 2]
    assert right.images[0].get_array()[:, 0].tolist() == [-1, -3, 0, -2]
    line = left.lines[0].get_ydata()
    assert list(line) == [1.5, 1.5], "between the second and the third row"
    assert left.get_xlabel() == "2 class weights, 4 box weights"
    assert png_bytes(figure) == png_bytes(weight_map(DET, SEG, NAMES, a=(1, 3), split_at=2))


def test_the_main_plane_keeps_distances_of_rows_that_lie_in_one() -> None:
    generator = np.random.default_rng(0)
    flat = generator.standard_normal((7, 2))
    turn, _ = np.linalg.qr(generator.standard_normal((9, 9)))
    rows = flat @ turn[:2] + 5.0
    points = main_plane(rows)
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1)
    why = "directions of a decomposition"
    close(apart, np.linalg.norm(flat[:, None] - flat[None], axis=-1), why)
    assert points[:, 0].std() >= points[:, 1].std()
    close(main_plane(-rows), points, why)  # no picture hangs on the sign of a direction


def test_two_rows_have_a_plane_too() -> None:
    points = main_plane(np.array([[0.0, 0.0, 0.0], [0.0, 3.0, 4.0]]))
    close(np.abs(points), np.array([[2.5, 0], [2.5, 0]]), "directions of a decomposition")


def test_a_is_full_and_b_is_hollow() -> None:
    looks = Looks(["o", "o", "s", "s"], ["#E69F00", "#56B4E9", "#E69F00", "#56B4E9"])
    figure = weight_planes({"det": DET, "seg": SEG}, NAMES, (1, 3), looks)
    for axes in figure.axes:
        full = [len(dot.get_facecolor()) > 0 for dot in axes.collections[:4]]
        assert full == [False, True, False, True]
    edges = [tuple(dot.get_edgecolor()[0]) for dot in figure.axes[0].collections[:4]]
    assert edges[0] == edges[2] != edges[1] == edges[3]


def test_categories_look_as_they_are_called() -> None:
    world = World(WorldSpec(categories=80))
    looks = world_looks(world)
    for c, category in enumerate(world.categories):
        hue, outline = category.name.split()
        expected = {"square": "s", "disc": "o", "plus": "P"}.get(outline)
        assert expected is None or looks.markers[c] == expected, category.name
        red, green, blue = rgb(looks.tones[c])
        if hue in ("scarlet", "jade", "blue"):
            assert max(red, green, blue) == {"scarlet": red, "jade": green, "blue": blue}[hue]
    assert len(set(looks.tones)) == 10 and len(set(looks.markers)) == 8


def test_bars_stand_in_the_order_of_the_sides() -> None:
    figure = category_bars({"one": [1.0, 2.0, 3.0, 4.0]}, NAMES, (1, 3), "pull")
    (axes,) = figure.axes
    assert [bar.get_height() for bar in axes.patches] == [2, 4, 1, 3]
    assert [text.get_text() for text in axes.texts] == ["A", "B"]
    assert axes.get_ylabel() == "pull"


def test_weights_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match=r"shape \(3, 6\) for 4 categories; give one row"):
        weight_map(DET[:3], SEG, NAMES, (1,))
    with pytest.raises(ValueError, match="'one': 3 values for 4 categories"):
        category_bars({"one": [1.0, 2.0, 3.0]}, NAMES, (1, 3), "pull")


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


@pytest.fixture
def maskx() -> MaskRCNN:
    """The lab's Mask^X R-CNN with random weights, scores high enough for detections."""
    model = maskx_rcnn_lab(5).eval()
    model.roi.detections_per_img = 20
    draws = torch.Generator().manual_seed(0)
    torch.nn.init.normal_(model.roi.box_predictor.cls_score.weight, std=0.3, generator=draws)
    torch.nn.init.normal_(model.mask.mlp.layers[0].weight, std=0.05, generator=draws)
    return model


def test_in_the_boxes_of_a_prediction_the_same_masks_are_drawn(maskx: MaskRCNN) -> None:
    image = torch.rand(3, 80, 90, generator=torch.Generator().manual_seed(4))  # is resized
    (whole,) = maskx.predict([image])
    parts = parts_in_boxes(maskx, image, whole.boxes, whole.categories)
    assert len(whole) > 5
    why = "boxes that went to the image's size and back"
    close(parts.detections.boxes, whole.boxes, why, atol=1e-4)  # pixels
    close_masks(parts.detections.masks, whole.masks, why)
    assert torch.equal(parts.detections.categories, whole.categories)
    assert parts.fcn.shape == parts.mlp.shape == (len(whole), 28, 28) and parts.mlp.any()


def test_in_one_box_the_category_changes_the_convolutional_part_alone(maskx: MaskRCNN) -> None:
    image, boxes = torch.rand(3, 64, 64), torch.tensor([[10.0, 12, 40, 50]]).expand(2, 4)
    parts = parts_in_boxes(maskx, image, boxes, torch.tensor([0, 3]))
    close(parts.mlp[0], parts.mlp[1], "two rows of one product")
    assert (parts.fcn[0] - parts.fcn[1]).abs().max() > 1e-3
    none = parts_in_boxes(maskx, image, boxes[:0], torch.tensor([], dtype=torch.int64))
    assert len(none.detections) == 0 and none.fcn.shape == (0, 28, 28)
    with pytest.raises(ValueError, match="call model.eval"):
        parts_in_boxes(maskx.train(), image, boxes, torch.tensor([0, 3]))
    plain = parts_in_boxes(
        maskx_rcnn_lab(5, mlp_layers=0).eval(), image, boxes, torch.tensor([0, 3])
    )
    assert not plain.mlp.any() and plain.fcn.any()
