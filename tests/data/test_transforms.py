"""Image and label move together; flips are exact, resizes agree within a pixel."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsislib.data.sample import Label, LabelKind, Sample
from wsislib.data.transforms import (
    crop,
    horizontal_flip,
    large_scale_jitter,
    random_flip,
    resize_to,
    tight_boxes,
)

QUICK = settings(max_examples=40, deadline=None, derandomize=True)


@st.composite
def samples(draw: st.DrawFn, kind: LabelKind | None = None) -> Sample:
    """Solid rectangles with tight boxes and a pixel centre inside; may be partial."""
    height, width = draw(st.integers(8, 40)), draw(st.integers(8, 40))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10**6)))
    count = draw(st.integers(0, 4))
    masks = torch.zeros(count, height, width, dtype=torch.bool)
    points = torch.zeros(count, 2)
    for entry in range(count):
        x0, y0 = draw(st.integers(0, width - 4)), draw(st.integers(0, height - 4))
        x1, y1 = draw(st.integers(x0 + 3, width)), draw(st.integers(y0 + 3, height))
        masks[entry, y0:y1, x0:x1] = True
        points[entry] = torch.tensor([(x0 + x1) // 2 + 0.5, (y0 + y1) // 2 + 0.5])
    boxes = tight_boxes(masks)
    kinds = None
    if kind is None and count:
        kind = LabelKind(draw(st.integers(0, 3)))
        values = [draw(st.integers(int(kind), 3)) for _ in range(count)]
        kinds = torch.tensor(values, dtype=torch.uint8)
        boxes = boxes * (kinds >= 2)[:, None]
        masks = masks & (kinds == 3)[:, None, None]
    label = Label(
        LabelKind.MASK if kind is None else kind,
        torch.arange(count),
        points=points,
        boxes=boxes,
        masks=masks,
        kinds=kinds,
    )
    return Sample(torch.rand(3, height, width, generator=generator), 5, label).check()


def fields(label: Label) -> list[torch.Tensor | None]:
    return [label.categories, label.points, label.boxes, label.masks, label.kinds]


def same(one: Sample, two: Sample) -> bool:
    pairs = zip(fields(one.label), fields(two.label), strict=True)
    return torch.equal(one.image, two.image) and all(
        (a is None and b is None) or torch.equal(a, b) for a, b in pairs
    )


@QUICK
@given(samples())
def test_flip_twice_is_nothing(sample: Sample) -> None:
    assert same(horizontal_flip(horizontal_flip(sample)).check(), sample)


@QUICK
@given(samples(LabelKind.MASK))
def test_flip_moves_boxes_points_and_masks_alike(sample: Sample) -> None:
    flipped = horizontal_flip(sample).check().label
    assert torch.equal(flipped.boxes, tight_boxes(flipped.masks))
    for mask, (x, y) in zip(flipped.masks, flipped.points.tolist(), strict=True):
        assert mask[int(y), int(x)]
    assert torch.equal(flipped.masks.flip(2), sample.label.masks)


def test_flip_moves_the_image_with_the_label() -> None:
    image = torch.zeros(3, 4, 6)
    image[:, 1, 0] = 1
    label = Label(LabelKind.POINT, torch.tensor([0]), points=torch.tensor([[0.5, 1.5]]))
    flipped = horizontal_flip(Sample(image, 1, label))
    assert flipped.label.points.tolist() == [[5.5, 1.5]]
    assert flipped.image[0, 1].tolist() == [0, 0, 0, 0, 0, 1]


@QUICK
@given(samples(LabelKind.MASK), st.integers(8, 80), st.integers(8, 80))
def test_resize_keeps_boxes_on_masks(sample: Sample, height: int, width: int) -> None:
    resized = resize_to(sample, height, width).check()
    assert resized.image.shape == (3, height, width)
    label = resized.label
    if len(label):
        assert (label.boxes - tight_boxes(label.masks)).abs().max() <= 1


@QUICK
@given(samples())
def test_resize_keeps_the_contract_of_partial_labels(sample: Sample) -> None:
    for height, width in ((11, 70), (3, 5), sample.image.shape[1:]):
        resized = resize_to(sample, height, width).check()
        assert set(resized.label.categories.tolist()) <= set(sample.label.categories.tolist())
    assert resized is sample


@pytest.mark.parametrize("factor", [2, 3])
def test_whole_factors_repeat_mask_pixels(factor: int) -> None:
    generator = torch.Generator().manual_seed(0)
    masks = torch.rand(2, 7, 9, generator=generator) < 0.5
    label = Label(LabelKind.MASK, torch.tensor([0, 1]), boxes=tight_boxes(masks), masks=masks)
    sample = Sample(torch.rand(3, 7, 9, generator=generator), 1, label)
    large = resize_to(sample, 7 * factor, 9 * factor)
    repeated = masks.repeat_interleave(factor, 1).repeat_interleave(factor, 2)
    assert torch.equal(large.label.masks, repeated)
    assert torch.equal(large.label.boxes, label.boxes * factor)
    assert torch.equal(resize_to(large, 7, 9).label.masks, masks)


def test_shrinking_averages_the_image() -> None:
    """Antialiasing: a fine pattern becomes grey, never a pattern of its own."""
    image = (torch.arange(64) % 2).float().expand(3, 64, 64)
    label = Label(LabelKind.TAG, torch.tensor([0]))
    small = resize_to(Sample(image, 1, label), 8, 8).image
    assert (small[:, :, 1:-1] - 0.5).abs().max() < 0.05
    assert small.min() >= 0
    assert small.max() <= 1


def test_what_vanishes_is_dropped() -> None:
    masks = torch.zeros(2, 40, 40, dtype=torch.bool)
    masks[0, 0, 0] = True
    masks[1, 10:30, 10:30] = True
    label = Label(LabelKind.MASK, torch.tensor([7, 8]), boxes=tight_boxes(masks), masks=masks)
    small = resize_to(Sample(torch.zeros(3, 40, 40), 1, label), 4, 4).check()
    assert small.label.categories.tolist() == [8]
    tags = Sample(torch.zeros(3, 40, 40), 1, Label(LabelKind.TAG, torch.tensor([7])))
    assert crop(tags, 30, 30, 5, 5).label.categories.tolist() == [7]


@QUICK
@given(samples(), st.data())
def test_crop_keeps_what_is_inside(sample: Sample, data: st.DataObject) -> None:
    full_height, full_width = sample.image.shape[1:]
    height = data.draw(st.integers(1, full_height))
    width = data.draw(st.integers(1, full_width))
    top = data.draw(st.integers(0, full_height - height))
    left = data.draw(st.integers(0, full_width - width))
    cut = crop(sample, top, left, height, width).check()
    assert torch.equal(cut.image, sample.image[:, top : top + height, left : left + width])
    kept = cut.label.categories.tolist()
    for entry, category in enumerate(sample.label.categories.tolist()):
        if not sample.label.has_mask[entry]:
            continue
        window = sample.label.masks[entry, top : top + height, left : left + width]
        assert (category in kept) == bool(window.any())
        if category in kept:
            place = kept.index(category)
            assert torch.equal(cut.label.masks[place], window)
            assert torch.equal(cut.label.boxes[place], tight_boxes(window[None])[0])


def test_crop_drops_points_outside_and_clips_boxes() -> None:
    points = torch.tensor([[2.5, 2.5], [8.5, 8.5]])
    sample = Sample(
        torch.zeros(3, 10, 10), 1, Label(LabelKind.POINT, torch.tensor([0, 1]), points=points)
    )
    assert crop(sample, 5, 5, 5, 5).label.points.tolist() == [[3.5, 3.5]]
    boxes = torch.tensor([[0.0, 0.0, 7.5, 7.5], [0.0, 0.0, 4.0, 4.0]])
    sample = Sample(
        torch.zeros(3, 10, 10), 1, Label(LabelKind.BOX, torch.tensor([0, 1]), boxes=boxes)
    )
    assert crop(sample, 5, 5, 5, 5).label.boxes.tolist() == [[0, 0, 2.5, 2.5]]


def test_bad_arguments_are_refused() -> None:
    sample = Sample(torch.zeros(3, 10, 10), 6, Label(LabelKind.TAG, torch.tensor([0])))
    generator = torch.Generator()
    with pytest.raises(ValueError, match="image 6: cannot be resized to 0 x 5"):
        resize_to(sample, 5, 0)
    for window in ((0, 0, 11, 5), (-1, 0, 5, 5), (0, 0, 0, 5), (0, 6, 5, 5)):
        with pytest.raises(ValueError, match="image 6: window"):
            crop(sample, *window)
    for low, high in ((0, 1), (2, 1), (-1, 1)):
        with pytest.raises(ValueError, match="0 < low <= high"):
            large_scale_jitter(sample, 8, low, high, generator)


def test_randomness_is_the_generators() -> None:
    image = torch.rand(3, 6, 9, generator=torch.Generator().manual_seed(0))
    sample = Sample(image, 1, Label(LabelKind.TAG, torch.tensor([0])))
    flips = []
    for seed in range(20):
        state = torch.get_rng_state()
        outcomes = [
            [
                random_flip(sample, torch.Generator().manual_seed(seed)).image,
                large_scale_jitter(sample, 12, 0.5, 3.0, torch.Generator().manual_seed(seed)).image,
            ]
            for _ in range(2)
        ]
        assert all(torch.equal(a, b) for a, b in zip(*outcomes, strict=True))
        assert torch.equal(torch.get_rng_state(), state)
        flips.append(not torch.equal(outcomes[0][0], sample.image))
    assert 0 < sum(flips) < len(flips)


@QUICK
@given(samples(), st.integers(0, 10**6))
def test_large_scale_jitter_keeps_the_contract(sample: Sample, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    jittered = large_scale_jitter(sample, 24, 0.2, 2.0, generator).check()
    assert max(jittered.image.shape[1:]) <= 24


def test_tight_boxes_of_masks() -> None:
    masks = torch.zeros(3, 5, 7, dtype=torch.bool)
    masks[0, 1:3, 2:6] = True
    masks[1, 4, 6] = masks[1, 0, 0] = True
    assert tight_boxes(masks).tolist() == [[2, 1, 6, 3], [0, 0, 7, 5], [0, 0, 0, 0]]
    assert tight_boxes(masks[:0]).shape == (0, 4)
