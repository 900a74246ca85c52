from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from wsislib.data.sample import Label, LabelKind
from wsislib.labels.weaken import inscribed_centre, partial, weaken

CHEAP = (LabelKind.TAG, LabelKind.POINT, LabelKind.BOX)
masks_strategy = arrays(bool, array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=9)).filter(
    lambda masks: masks.any(axis=(1, 2)).all()
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tensors(label: Label) -> dict[str, torch.Tensor]:
    values = {field.name: getattr(label, field.name) for field in fields(label)}
    return {name: value for name, value in values.items() if isinstance(value, torch.Tensor)}


@settings(max_examples=60, deadline=None)
@given(masks=masks_strategy, seed=st.integers(0, 2**32 - 1))
def test_boxes_and_points_agree_with_the_mask_pixel_by_pixel(masks: np.ndarray, seed: int) -> None:
    label = Label(
        LabelKind.MASK,
        torch.arange(len(masks)),
        boxes=torch.zeros(len(masks), 4),  # wrong on purpose: boxes come from the masks
        masks=torch.from_numpy(masks),
    )
    boxes = weaken(label, LabelKind.BOX, generator(seed)).boxes
    points = weaken(label, LabelKind.POINT, generator(seed)).points
    centres = weaken(label, LabelKind.POINT, generator(seed), point="centre").points
    for mask, box, point, centre in zip(masks, boxes, points, centres, strict=True):
        rows, columns = np.nonzero(mask)
        assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        for x, y in (point.tolist(), centre.tolist()):
            assert (x % 1, y % 1) == (0.5, 0.5)
            assert mask[int(y), int(x)]


def brute_force_clearance(mask: np.ndarray, y: int, x: int) -> float:
    """Distance from a pixel to the nearest pixel outside, the frame around the image included."""
    padded = np.pad(mask, 1)
    outside = np.argwhere(~padded)
    return float(np.sqrt(((outside - (y + 1, x + 1)) ** 2).sum(axis=1)).min())


@settings(max_examples=40, deadline=None)
@given(mask=arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=8)).filter(np.any))
def test_no_other_pixel_has_more_room_than_the_inscribed_centre(mask: np.ndarray) -> None:
    x, y = inscribed_centre(mask)
    best = max(brute_force_clearance(mask, *pixel) for pixel in np.argwhere(mask))
    assert mask[int(y), int(x)]
    assert brute_force_clearance(mask, int(y), int(x)) == pytest.approx(best)


def test_the_centre_of_thin_and_hollow_masks_is_on_them() -> None:
    line = np.zeros((9, 9), dtype=bool)
    line[4, 1:8] = True
    assert inscribed_centre(line) == (4.5, 4.5)
    ring = np.ones((9, 9), dtype=bool)
    ring[1:8, 1:8] = False
    x, y = inscribed_centre(ring)
    assert ring[int(y), int(x)]
    full = np.ones((5, 7), dtype=bool)
    assert inscribed_centre(full) == (3.5, 2.5)


def test_random_points_reach_every_pixel_equally(make_label) -> None:
    mask = np.zeros((1, 6, 6), dtype=bool)
    mask[0, 1, 2] = mask[0, 4, 0] = mask[0, 5, 5] = True
    label = make_label(mask, [0])
    source = generator(1)
    drawn = [tuple(weaken(label, LabelKind.POINT, source).points[0].tolist()) for _ in range(600)]
    counts = {point: drawn.count(point) for point in set(drawn)}
    assert set(counts) == {(2.5, 1.5), (0.5, 4.5), (5.5, 5.5)}
    assert min(counts.values()) > 150  # 200 expected, 11.5 standard deviation


def test_tags_are_each_category_once_ascending(make_label) -> None:
    label = make_label(np.ones((4, 2, 2)), [3, 1, 3, 0])
    tags = weaken(label, LabelKind.TAG, generator())
    assert tags.kind == LabelKind.TAG
    assert tags.categories.tolist() == [0, 1, 3]
    assert tensors(tags).keys() == {"categories"}


@pytest.mark.parametrize("kind", CHEAP)
def test_only_the_fields_of_the_kind_are_left_and_nothing_is_shared(make_label, kind) -> None:
    label = make_label(np.ones((2, 3, 3)), [2, 1])
    cheap = weaken(label, kind, generator())
    own = {LabelKind.TAG: set(), LabelKind.POINT: {"points"}, LabelKind.BOX: {"boxes"}}[kind]
    assert tensors(cheap).keys() == {"categories"} | own
    before = {name: value.clone() for name, value in tensors(cheap).items()}
    for value in tensors(label).values():
        value.zero_()
    for name, value in tensors(cheap).items():
        assert torch.equal(value, before[name])
        assert value.untyped_storage().nbytes() == value.numel() * value.element_size()


def test_poisoned_masks_leave_no_trace_in_boxes_and_tags(make_label) -> None:
    clean = np.zeros((1, 8, 8), dtype=bool)
    clean[0, 2:6, 1:7] = True
    poisoned = clean.copy()
    poisoned[0, 3:5, 2:6] = False  # same extent, other mask
    for kind in (LabelKind.TAG, LabelKind.BOX):
        one = weaken(make_label(clean, [0]), kind, generator())
        other = weaken(make_label(poisoned, [0]), kind, generator())
        assert tensors(one).keys() == tensors(other).keys()
        assert all(torch.equal(tensors(one)[name], tensors(other)[name]) for name in tensors(one))


def test_it_goes_downwards_only(make_label) -> None:
    label = make_label(np.ones((1, 3, 3)), [0])
    box = weaken(label, LabelKind.BOX, generator())
    point = weaken(label, LabelKind.POINT, generator())
    tag = weaken(label, LabelKind.TAG, generator())
    with pytest.raises(ValueError, match="TAG label cannot become a POINT label.*downwards"):
        weaken(tag, LabelKind.POINT, generator())
    with pytest.raises(ValueError, match="POINT label cannot become a BOX label.*downwards"):
        weaken(point, LabelKind.BOX, generator())
    with pytest.raises(ValueError, match="BOX label cannot become a POINT label: where the object"):
        weaken(box, LabelKind.POINT, generator())
    with pytest.raises(ValueError, match="BOX label cannot become a MASK label"):
        weaken(box, LabelKind.MASK, generator())
    for cheap in (box, point, tag):
        assert weaken(cheap, LabelKind.TAG, generator()).categories.tolist() == [0]
        same = weaken(cheap, cheap.kind, generator(9))
        assert all(torch.equal(tensors(same)[n], tensors(cheap)[n]) for n in tensors(cheap))
        shared = {
            n for n in tensors(cheap) if tensors(same)[n].data_ptr() == tensors(cheap)[n].data_ptr()
        }
        assert not shared, "a label must not change when the one it was made from does"


def test_the_same_generator_state_gives_the_same_points(make_label) -> None:
    label = make_label(np.ones((3, 9, 9)), [0, 1, 2])
    one, same, other = (
        weaken(label, LabelKind.POINT, generator(seed)).points for seed in (4, 4, 5)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_an_unknown_point_choice_and_an_empty_mask_are_refused(make_label) -> None:
    label = make_label(np.ones((2, 3, 3)), [0, 1])
    with pytest.raises(ValueError, match="'random' or 'centre'"):
        weaken(label, LabelKind.POINT, generator(), point="middle")
    hollow = replace(label, masks=label.masks & torch.tensor([True, False])[:, None, None])
    for kind in (LabelKind.POINT, LabelKind.BOX):
        with pytest.raises(ValueError, match="entry 1: its mask is empty"):
            weaken(hollow, kind, generator())


def test_images_without_instances_stay_without() -> None:
    nothing = Label(
        LabelKind.MASK,
        torch.zeros(0, dtype=torch.int64),
        boxes=torch.zeros(0, 4),
        masks=torch.zeros(0, 5, 6, dtype=torch.bool),
    )
    shapes = {LabelKind.BOX: ("boxes", (0, 4)), LabelKind.POINT: ("points", (0, 2))}
    for kind, (name, shape) in shapes.items():
        assert getattr(weaken(nothing, kind, generator()), name).shape == shape
    assert len(weaken(nothing, LabelKind.TAG, generator())) == 0
    assert partial(nothing, torch.tensor([True])).masks.shape == (0, 5, 6)


def test_partial_keeps_masks_of_a_and_only_of_a(make_label) -> None:
    label = make_label(np.ones((3, 4, 4)), [2, 0, 2])
    held = partial(label, torch.tensor([True, True, False]))
    assert held.kind == LabelKind.BOX
    assert held.kinds.tolist() == [LabelKind.BOX, LabelKind.MASK, LabelKind.BOX]
    assert held.kinds.dtype == torch.uint8
    assert held.has_mask.tolist() == [False, True, False]
    assert held.masks.flatten(1).any(dim=1).tolist() == [False, True, False]
    assert torch.equal(held.boxes, label.boxes)
    assert bool(label.masks.all()), "the label it was made from must stay as it was"
    everything = partial(label, torch.ones(3, dtype=torch.bool))
    assert bool(everything.has_mask.all())
    assert torch.equal(everything.masks, label.masks)


def test_partial_labels_weaken_by_their_poorest_entry(make_label) -> None:
    held = partial(make_label(np.ones((2, 4, 4)), [0, 1]), torch.tensor([True, False]))
    boxes = weaken(held, LabelKind.BOX, generator())
    assert boxes.masks is None
    assert boxes.kinds is None
    assert boxes.boxes.tolist() == [[0, 0, 4, 4]] * 2
    with pytest.raises(ValueError, match="BOX label cannot become a POINT"):
        weaken(held, LabelKind.POINT, generator())


def test_partial_refuses_what_it_cannot_do(make_label) -> None:
    label = make_label(np.ones((2, 4, 4)), [0, 3])
    with pytest.raises(ValueError, match=r"entry 1: category 3 lies outside 0\.\.1"):
        partial(label, torch.tensor([True, False]))
    with pytest.raises(ValueError, match="BOX label has no masks"):
        partial(weaken(label, LabelKind.BOX, generator()), torch.ones(4, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"\(C,\) bool"):
        partial(label, torch.tensor([0, 1, 2, 3]))
    poor = partial(label, torch.tensor([True, False, False, False]))
    with pytest.raises(ValueError, match="entry 1: its category is in A but it has no mask"):
        partial(poor, torch.ones(4, dtype=torch.bool))
