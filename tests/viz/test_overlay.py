from __future__ import annotations

import numpy as np
import pytest
import torch

from wsislib.data.rle import encode_mask
from wsislib.data.sample import Category, Detections, Label, LabelKind
from wsislib.viz.figure import BookFigure
from wsislib.viz.overlay import Style, draw_overlay, image_array, paint
from wsislib.viz.palette import OKABE_ITO, colour, rgb, text_colour
from wsislib.viz.pictures import Panel, pictures, read_detections

NAMES = ("horse", "rider", "bowl")
IMAGE = torch.full((3, 20, 30), 0.5)


def label(kind: LabelKind) -> Label:
    masks = torch.zeros(2, 20, 30, dtype=torch.bool)
    masks[0, 2:10, 3:12] = True
    masks[1, 5:18, 15:28] = True
    boxes = torch.tensor([[3.0, 2, 12, 10], [15, 5, 28, 18]])
    categories = torch.tensor([0, 1])
    points = torch.tensor([[5.5, 4.5], [20.5, 9.5]])
    return {
        LabelKind.TAG: Label(kind, categories),
        LabelKind.POINT: Label(kind, categories, points=points),
        LabelKind.BOX: Label(kind, categories, boxes=boxes),
        LabelKind.MASK: Label(kind, categories, boxes=boxes, masks=masks),
    }[kind]


def drawn(figure) -> np.ndarray:
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(int)


def bare_axes_picture(shown, style: Style | None = None) -> np.ndarray:
    """The image on the whole canvas, 10 screen pixels for each of its own."""
    figure = BookFigure(300 / 144, 200 / 144)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    draw_overlay(axes, IMAGE, shown, NAMES, style)
    return drawn(figure)


def close_to(picture: np.ndarray, code: str) -> np.ndarray:
    return np.abs(picture - np.round(rgb(code) * 255)).max(axis=-1) <= 2


def test_paint_changes_pixels_under_masks_and_no_others() -> None:
    pixels = image_array(torch.rand(3, 20, 30, generator=torch.Generator().manual_seed(0)))
    masks = label(LabelKind.MASK).masks.numpy()
    painted = paint(pixels, masks, [colour(0), colour(1)], 0.4)
    under = masks.any(axis=0)
    assert np.array_equal(painted[~under], pixels[~under])
    assert np.allclose(painted[masks[0]], 0.6 * pixels[masks[0]] + 0.4 * rgb(colour(0)))
    assert np.allclose(painted[masks[1]], 0.6 * pixels[masks[1]] + 0.4 * rgb(colour(1)))


def test_small_masks_are_painted_over_large_ones() -> None:
    masks = np.zeros((2, 6, 6), dtype=bool)
    masks[0, 2:4, 2:4] = True
    masks[1] = True
    painted = paint(np.zeros((6, 6, 3), dtype=np.float32), masks, ["#FF0000", "#00FF00"], 1.0)
    assert painted[2, 2].tolist() == [1, 0, 0]
    assert painted[0, 0].tolist() == [0, 1, 0]


def test_boxes_lie_on_their_pixels() -> None:
    picture = bare_axes_picture(label(LabelKind.BOX), Style(show_names=False))
    rows, columns = np.nonzero(close_to(picture, colour(0)))
    assert columns.min() == pytest.approx(30, abs=2)
    assert columns.max() == pytest.approx(120, abs=2)
    assert rows.min() == pytest.approx(20, abs=2)
    assert rows.max() == pytest.approx(100, abs=2)
    assert (picture[60, 75] == 128).all() or (picture[60, 75] == 127).all(), "boxes are not filled"


def test_the_image_lies_on_its_pixels() -> None:
    image = torch.zeros(3, 20, 30)
    image[:, 4, 7] = 1
    figure = BookFigure(300 / 144, 200 / 144)
    figure.set_layout_engine("none")
    draw_overlay(figure.add_axes((0, 0, 1, 1)), image, None, NAMES)
    rows, columns = np.nonzero(drawn(figure).min(axis=-1) > 128)
    assert (rows.min(), rows.max()) == pytest.approx((40, 49), abs=1)
    assert (columns.min(), columns.max()) == pytest.approx((70, 79), abs=1)


def test_points_lie_on_their_pixels() -> None:
    picture = bare_axes_picture(label(LabelKind.POINT), Style(show_names=False))
    rows, columns = np.nonzero(close_to(picture, colour(1)))
    assert columns.mean() == pytest.approx(205, abs=1)
    assert rows.mean() == pytest.approx(95, abs=1)


def test_masks_have_a_contour_around_them_also_at_the_border() -> None:
    full = Label(
        LabelKind.MASK,
        torch.tensor([2]),
        boxes=torch.tensor([[0.0, 0, 30, 20]]),
        masks=torch.ones(1, 20, 30, dtype=torch.bool),
    )
    picture = bare_axes_picture(full, Style(alpha=0.0, show_names=False))
    edge = close_to(picture, colour(2))
    assert edge[:, :3].any(axis=1).mean() > 0.9
    assert not edge[50:150, 50:250].any()


def test_tags_are_words_and_nothing_else_of_the_image_changes() -> None:
    picture = bare_axes_picture(label(LabelKind.TAG))
    bare = bare_axes_picture(None)
    changed = (picture != bare).any(axis=-1)
    assert changed[:60, :150].any()
    assert not changed[:, 200:].any()


def test_more_tags_than_fit_are_counted() -> None:
    names = [f"kind {index}" for index in range(11)]
    figure = pictures([[Panel(IMAGE, Label(LabelKind.TAG, torch.arange(11)))]], names)
    words = [text.get_text() for text in figure.axes[0].texts]
    assert words == [*names[:7], "and 4 more"]
    figure = pictures([[Panel(IMAGE, Label(LabelKind.TAG, torch.arange(8)))]], names)
    assert [text.get_text() for text in figure.axes[0].texts] == names[:8]


def test_weak_detections_are_left_out() -> None:
    strong = label(LabelKind.MASK)
    found = Detections(strong.boxes, torch.tensor([0.9, 0.3]), strong.categories, strong.masks)
    picture = bare_axes_picture(found, Style(alpha=1.0, min_score=0.5, show_names=False))
    assert close_to(picture, colour(0)).any()
    assert not close_to(picture, colour(1)).any()


def test_bytes_and_floats_are_the_same_image() -> None:
    steps = torch.arange(0, 256, 16, dtype=torch.uint8).repeat(3, 1, 1)  # (3, 1, 16)
    assert np.allclose(image_array(steps), image_array(steps / 255))
    with pytest.raises(ValueError, match=r"\(3, H, W\) RGB; this one is \(1, 4, 4\)"):
        image_array(torch.zeros(1, 4, 4))


def test_a_category_without_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="category 1 has no name: 1 names"):
        pictures([[Panel(IMAGE, label(LabelKind.BOX))]], NAMES[:1])


def test_a_name_that_the_font_lacks_gives_way_to_its_number() -> None:
    names = [Category(4, "正方形"), Category(9, "Ångström")]
    tags = Label(LabelKind.TAG, torch.arange(2))
    figure = pictures([[Panel(IMAGE, tags)]], names)
    assert [text.get_text() for text in figure.axes[0].texts] == ["#4", "Ångström"]


def test_a_grid_has_one_panel_for_each_given() -> None:
    rows = [[Panel(IMAGE), Panel(IMAGE, label(LabelKind.MASK))] for _ in range(3)]
    categories = [Category(i + 1, name) for i, name in enumerate(NAMES)]
    figure = pictures(rows, categories, titles=["image", "truth"], row_titles=["a", "b", "c"])
    assert len(figure.axes) == 6
    assert drawn(figure).std() > 0
    for wrong, message in (
        ({"rows": [rows[0], rows[1][:1]]}, r"rows of \[2, 1\] panels"),
        ({"rows": []}, "at least one"),
        ({"rows": rows, "titles": ["image"]}, "1 titles for 2"),
        ({"rows": rows, "row_titles": ["a"]}, "1 row titles for 3"),
    ):
        with pytest.raises(ValueError, match=message):
            pictures(names=NAMES, **wrong)


def test_results_become_detections_of_their_image() -> None:
    categories = (Category(7, "horse"), Category(90, "rider"))
    masks = label(LabelKind.MASK).masks.numpy()
    results = [
        {"image_id": 4, "category_id": 7, "bbox": [3, 2, 9, 8], "score": 0.2},
        {"image_id": 4, "category_id": 90, "bbox": [15, 5, 13, 13], "score": 0.8},
        {"image_id": 5, "category_id": 90, "bbox": [0, 0, 1, 1], "score": 0.9},
    ]
    for result, mask in zip(results, [masks[0], masks[1], masks[0]], strict=True):
        result["segmentation"] = encode_mask(mask)
    found = read_detections(results, 4, categories, 20, 30)
    assert found.scores.tolist() == pytest.approx([0.8, 0.2])
    assert found.categories.tolist() == [1, 0]
    assert found.boxes.tolist() == [[15, 5, 28, 18], [3, 2, 12, 10]]
    assert np.array_equal(found.masks.numpy(), masks[::-1])
    nothing = read_detections(results, 6, categories, 20, 30)
    assert nothing.masks.shape == (0, 20, 30)
    assert nothing.boxes.shape == (0, 4)
    with pytest.raises(ValueError, match=r"image 4: results name categories \[90\]"):
        read_detections(results, 4, categories[:1], 20, 30)


def lightness_under(matrix: np.ndarray) -> np.ndarray:
    return np.array([matrix @ rgb(code) for code in OKABE_ITO])


def test_the_first_colours_stay_apart_without_red_or_green_cones() -> None:
    """Linear simulations of protanopia and deuteranopia (Vienot, Brettel, Mollon 1999)."""
    protan = np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]])
    deutan = np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])
    for matrix in (np.eye(3), protan, deutan):
        seen = lightness_under(matrix)
        gaps = np.linalg.norm(seen[:, None] - seen[None], axis=-1)
        gaps[np.diag_indices(len(seen))] = 1
        assert gaps.min() > 0.12


def test_text_reads_on_its_ground() -> None:
    assert text_colour("#000000") == "#FFFFFF"
    assert text_colour("#F0E442") == "#000000"
    assert colour(len(OKABE_ITO)) == colour(0)


def test_names_stay_inside_small_pictures() -> None:
    """At the upper and the right border, in a grid as narrow as five panels of a page."""
    masks = torch.zeros(2, 60, 80, dtype=torch.bool)
    masks[0, 3:20, 30:50], masks[1, 30:50, 70:80] = True, True
    boxes = torch.tensor([[30.0, 3, 50, 20], [70, 30, 80, 50]])
    label = Label(LabelKind.MASK, torch.tensor([0, 0]), boxes=boxes, masks=masks)
    panel = Panel(torch.ones(3, 60, 80), label)
    figure = pictures([[panel] * 5], ["diningtable"], style=Style(show_names=True))
    figure.canvas.draw()
    for axes in figure.axes:
        inside = axes.get_window_extent().padded(1)
        for text in axes.texts:
            extent = text.get_window_extent()
            assert inside.x1 >= extent.x1 and inside.y1 >= extent.y1, text.get_text()
