"""GrabCut of one box."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsislib.data.world import WorldDataset, WorldSpec
from wsislib.labels.grabcut import grabcut_mask

IMAGE = np.random.default_rng(0).integers(60, 90, (48, 64, 3)).astype(np.uint8)
ROWS, COLUMNS = np.mgrid[:48, :64]
DISC = (COLUMNS - 30) ** 2 + (ROWS - 22) ** 2 < 14**2
IMAGE[DISC] = (200, 60, 160)


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return (one & other).sum() / (one | other).sum()


@pytest.mark.parametrize("box", [(17, 9, 44, 36), (15.3, 7.8, 46.1, 38.2), (5, 2, 60, 46)])
@pytest.mark.parametrize("margin", [0.3, 1000])
def test_a_clear_object_is_cut_out(box, margin) -> None:
    mask = grabcut_mask(IMAGE, np.array(box), margin=margin)
    assert mask.shape == (48, 64) and mask.dtype == bool
    assert iou(mask, DISC) > 0.9
    # The box itself would not have done.
    whole = np.zeros_like(DISC)
    whole[round(box[1]) : round(box[3]), round(box[0]) : round(box[2])] = True
    assert iou(whole, DISC) < 0.85


def test_the_same_call_gives_the_same_mask() -> None:
    world = WorldDataset(WorldSpec(80), seed=3, count=4)
    threads = cv2.getNumThreads()
    found = []
    for seed in (1, 2):  # without a fresh start in each call every other mask would differ
        cv2.setRNGSeed(seed)
        masks = [
            grabcut_mask(world.image(index), box)
            for index in range(4)
            for box in world[index].label.boxes.numpy()
        ]
        found.append(np.stack(masks))
    assert len(found[0]) > 8 and (found[0] == found[1]).all()
    assert cv2.getNumThreads() == threads


def test_the_image_and_its_layout_are_left_alone() -> None:
    before = IMAGE.copy()
    view = np.asfortranarray(IMAGE)
    assert (grabcut_mask(view, (17, 9, 44, 36)) == grabcut_mask(IMAGE, (17, 9, 44, 36))).all()
    assert np.array_equal(before, IMAGE)


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [
        ((0, 0, 64, 48), (0, 48), (0, 64)),  # nothing around it
        ((-9, -9, 99, 99), (0, 48), (0, 64)),
        ((3, 4, 4, 5), (4, 5), (3, 4)),  # a pixel
        ((3.1, 4.2, 3.2, 4.3), (4, 5), (3, 4)),  # within a pixel
        ((63.9, 47.9, 64, 48), (47, 48), (63, 64)),
        ((70, 50, 80, 60), (47, 48), (63, 64)),  # beside the image
    ],
)
def test_where_nothing_can_be_cut_the_box_is_the_mask(box, rows, columns) -> None:
    wanted = np.zeros((48, 64), dtype=bool)
    wanted[slice(*rows), slice(*columns)] = True
    assert (grabcut_mask(IMAGE, box) == wanted).all()


coordinate = st.floats(-4, 20, width=32)


@settings(max_examples=25, deadline=None)
@given(box=st.tuples(coordinate, coordinate, coordinate, coordinate), plain=st.booleans())
def test_any_box_gives_a_mask_within_it(box, plain) -> None:
    image = np.full((12, 16, 3), 90, dtype=np.uint8) if plain else IMAGE[:12, 20:36]
    mask = grabcut_mask(image, box, iterations=1)
    rows, columns = mask.nonzero()
    assert len(rows) > 0
    for found, low, high, size in ((columns, box[0], box[2], 16), (rows, box[1], box[3], 12)):
        low, high = np.clip([min(low, high), max(low, high)], 0, size)
        assert found.min() >= low - 1 and found.max() + 1 <= high + 1


def test_errors_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match=r"box \(nan, 0, 4, 4\) is not finite"):
        grabcut_mask(IMAGE, (float("nan"), 0, 4, 4))
    with pytest.raises(ValueError, match=r"must be \(H, W, 3\) uint8, is \(48, 64, 3\) float32"):
        grabcut_mask(IMAGE.astype(np.float32), (0, 0, 4, 4))
    with pytest.raises(ValueError, match="iterations >= 1 and margin > 0, got 0 and 1"):
        grabcut_mask(IMAGE, (0, 0, 4, 4), iterations=0)
    with pytest.raises(ValueError, match="got 5 and 0"):
        grabcut_mask(IMAGE, (0, 0, 4, 4), margin=0)
