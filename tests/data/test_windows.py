"""Windows of photographs: image and masks are cut alike, past the border too."""

import pytest
import torch

from tests.numeric import OTHER_CODE, close
from wsislib.data.sample import Label, LabelKind, Sample
from wsislib.data.transforms import tight_boxes
from wsislib.data.windows import LEAST_PIXELS, SquareWindow, ViewRule, box_window, scaled

FILL = (0.5, 0.25, 0.75)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def painted(height: int, width: int, boxes: list[tuple[int, int, int, int]]) -> Sample:
    """An image that is white on its objects and black elsewhere."""
    masks = torch.zeros(len(boxes), height, width, dtype=torch.bool)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
        mask[y0:y1, x0:x1] = True
    label = Label(LabelKind.MASK, torch.arange(len(boxes)), boxes=tight_boxes(masks), masks=masks)
    image = masks.any(0).float().expand(3, height, width).clone()
    return Sample(image, 7, label).check()


def test_a_window_inside_the_image_is_a_crop():
    maps = torch.arange(2 * 6 * 8.0).view(2, 6, 8)
    assert torch.equal(SquareWindow(2, 1, 4).cut(maps, -1.0), maps[:, 1:5, 2:6])
    assert torch.equal(SquareWindow(0, 0, 6).cut(maps, -1.0), maps[:, :6, :6])


@pytest.mark.parametrize(
    ("left", "top", "size"),
    [(-3, -2, 5), (6, 4, 5), (-2, 3, 12), (3, -4, 12), (-1, -1, 10), (-9, 0, 4), (8, 6, 3)],
)
def test_past_the_image_a_window_is_filled(left, top, size):
    maps = torch.rand(3, 6, 8, generator=seeded(0))
    fill = torch.tensor(FILL)[:, None, None]
    found = SquareWindow(left, top, size).cut(maps, fill)
    assert found.shape == (3, size, size)
    for row in range(size):
        for column in range(size):
            y, x = top + row, left + column
            inside = 0 <= y < 6 and 0 <= x < 8
            wanted = maps[:, y, x] if inside else torch.tensor(FILL)
            assert torch.equal(found[:, row, column], wanted)


def test_masks_are_cut_to_masks():
    found = SquareWindow(-1, -1, 4).cut(torch.ones(2, 2, 2, dtype=torch.bool), False)
    assert found.dtype == torch.bool and found.sum((1, 2)).tolist() == [4, 4]
    assert SquareWindow(0, 0, 3).cut(torch.zeros(0, 5, 5, dtype=torch.bool), False).shape[0] == 0


def test_the_window_of_a_box():
    assert box_window(torch.tensor([10.0, 20.0, 30.0, 24.0]), 1.0) == SquareWindow(10, 12, 20)
    assert box_window(torch.tensor([10.0, 20.0, 30.0, 24.0]), 2.0) == SquareWindow(0, 2, 40)
    # A box of a pixel still gets a window that shows something, and it is centred.
    assert box_window(torch.tensor([3.0, 3.0, 4.0, 4.0]), 1.5) == SquareWindow(0, 0, 8)


@pytest.mark.parametrize("context", [1.0, 1.3, 2.5])
def test_a_box_lies_inside_its_window(context):
    generator = seeded(1)
    for _ in range(30):
        corner, side = torch.rand(2, 2, generator=generator) * 80
        box = torch.cat([corner, corner + side + 1])
        window = box_window(box, context)
        assert window.size >= context * float(side.max() + 1)
        # Rounding of the corner moves it by half a pixel.
        assert window.left - 0.5 <= box[0] and window.top - 0.5 <= box[1]
        assert window.left + window.size + 0.5 >= box[2]
        assert window.top + window.size + 0.5 >= box[3]


def test_scaling():
    image = torch.rand(3, 9, 9, generator=seeded(2))
    assert scaled(image, 9) is image
    flat = scaled(torch.full((3, 40, 40), 0.3), 16)
    close(flat, torch.full((3, 16, 16), 0.3), OTHER_CODE)
    sharp = scaled((torch.rand(3, 8, 8, generator=seeded(3)) > 0.5).float(), 31)
    assert sharp.min() >= 0 and sharp.max() <= 1


BOXES = [(4, 6, 30, 40), (36, 10, 58, 30), (20, 44, 50, 60)]


@pytest.mark.parametrize("close_share", [0.0, 0.5, 1.0])
def test_views_have_the_wanted_side_and_sound_labels(close_share):
    rule = ViewRule(32, FILL, close=close_share)
    sample = painted(64, 80, BOXES)
    for seed in range(20):
        view = rule(sample, seeded(seed)).check()
        assert view.image.shape == (3, 32, 32) and view.image_id == sample.image_id
        assert view.image.min() >= 0 and view.image.max() <= 1
        assert view.label.masks.shape == (len(view.label), 32, 32)
        assert torch.equal(view.label.boxes, tight_boxes(view.label.masks))
        assert (view.label.masks.flatten(1).sum(1) >= LEAST_PIXELS).all()


def test_masks_follow_the_image():
    """White is where an object is, whatever the window, its scale and its flip."""
    rule = ViewRule(64, (0.0, 0.0, 0.0), colour=0.0)
    sample = painted(64, 80, BOXES)
    for seed in range(30):
        view = rule(sample, seeded(seed))
        covered = view.label.masks.any(0)
        white = view.image.mean(0) > 0.5
        # Entries that are gone were white as well, of fewer pixels than an object keeps; borders
        # are where bilinear and nearest pixels differ.
        lost = LEAST_PIXELS * (len(sample.label) - len(view.label))
        border = sum(float((b[2:] - b[:2]).sum()) for b in view.label.boxes)  # half a pixel wide
        assert int((covered ^ white).sum()) <= lost + border + 4
        assert int((covered & white).sum()) > 0.8 * int(covered.sum())


def test_close_windows_show_the_object_whole():
    """Its margin is what the shift may use up, so no part of the object is cut off."""
    rule = ViewRule(48, FILL, close=1.0, shift=0.8)
    sample = painted(64, 80, BOXES[:1])
    for seed in range(20):
        view = rule(sample, seeded(seed))
        assert len(view.label) == 1
        box = view.label.boxes[0]
        longer = float((box[2:] - box[:2]).max())
        assert 48 / 2.5 - 2 <= longer <= 48 / 1.1 + 2  # the context, to rounding
        ratio = float((box[2:] - box[:2]).min()) / longer
        assert abs(ratio - 26 / 34) < 0.1


def test_entries_that_vanish_are_left_out():
    sample = painted(64, 64, [(2, 2, 40, 40), (60, 60, 63, 63)])
    rule = ViewRule(32, FILL, close=1.0, context=(1.1, 1.2), shift=0.0)
    kept = {tuple(rule(sample, seeded(seed)).label.categories.tolist()) for seed in range(12)}
    assert (0,) in kept  # the small one is outside, or below LEAST_PIXELS
    far = ViewRule(16, FILL, close=0.0, scale=(0.2, 0.25))
    tiny = painted(64, 64, [(0, 0, 8, 8)])
    assert all(len(far(tiny, seeded(seed)).label) == 0 for seed in range(5))


def test_an_image_without_entries_is_looked_at_as_a_whole():
    empty = painted(40, 60, [])
    view = ViewRule(32, FILL, close=1.0)(empty, seeded(0)).check()
    assert view.image.shape == (3, 32, 32) and len(view.label) == 0
    assert view.label.masks.shape == (0, 32, 32)


def test_the_generator_decides_alone():
    rule, sample = ViewRule(32, FILL), painted(64, 80, BOXES)
    one, other = (rule(sample, seeded(5)) for _ in range(2))
    assert torch.equal(one.image, other.image)
    assert torch.equal(one.label.masks, other.label.masks)
    views = [rule(sample, seeded(seed)).image for seed in range(6)]
    assert len({tuple(view.flatten().tolist()) for view in views}) == 6


def test_past_the_photograph_there_is_the_fill():
    """In an image of one colour, whatever is not that colour is the fill."""
    rule = ViewRule(32, FILL, close=0.0, scale=(0.5, 0.5), colour=0.0)
    sample = painted(32, 32, [])
    view = rule(sample, seeded(0))  # the photograph takes the upper left quarter, or is flipped
    filled = view.image[:, 20:, :]
    close(filled, torch.tensor(FILL)[:, None, None].expand_as(filled), OTHER_CODE)
