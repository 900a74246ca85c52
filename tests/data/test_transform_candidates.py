"""A teacher's candidates move exactly as masks do, and go with the entries they belong to."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from wsislib.data.sample import Candidates, Label, LabelKind, Sample
from wsislib.data.transforms import (
    crop,
    horizontal_flip,
    large_scale_jitter,
    resize_to,
    tight_boxes,
)


def sample(kind: LabelKind, seed: int) -> Sample:
    """Random solid rectangles; candidate 1 of each entry is its mask, the others are noise."""
    generator = torch.Generator().manual_seed(seed)
    masks = torch.zeros(4, 30, 24, dtype=torch.bool)
    for mask in masks:
        y, x = torch.randint(0, 20, (2,), generator=generator).tolist()
        mask[y : y + 9, x : x + 6] = True
    others = torch.rand(4, 3, 30, 24, generator=generator) < 0.3
    others[:, 1] = masks
    boxes = tight_boxes(masks)
    label = Label(
        kind,
        torch.arange(4),
        points=(boxes[:, :2] + boxes[:, 2:]) / 2 if kind == LabelKind.POINT else None,
        boxes=boxes if kind >= LabelKind.BOX else None,
        masks=masks if kind == LabelKind.MASK else None,
        candidates=Candidates(others, torch.rand(4, 3, generator=generator)),
    )
    return Sample(torch.rand(3, 30, 24, generator=generator), 5, label).check()


def jitter(sample: Sample) -> Sample:
    return large_scale_jitter(sample, 20, 0.5, 2.0, torch.Generator().manual_seed(sample.image_id))


MOVES: dict[str, Callable[[Sample], Sample]] = {
    "flip": horizontal_flip,
    "shrink": lambda sample: resize_to(sample, 11, 17),
    "grow": lambda sample: resize_to(sample, 61, 40),
    "crop": lambda sample: crop(sample, 8, 5, 15, 12),
    "jitter": jitter,
}


@pytest.mark.parametrize("kind", [LabelKind.POINT, LabelKind.BOX, LabelKind.MASK])
def test_flip_twice_is_nothing(kind: LabelKind) -> None:
    given = sample(kind, 0)
    twice = horizontal_flip(horizontal_flip(given)).label.candidates
    assert torch.equal(twice.masks, given.label.candidates.masks)
    assert torch.equal(twice.quality, given.label.candidates.quality)


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
@pytest.mark.parametrize("seed", range(4))
def test_candidates_move_exactly_as_masks_do(move: Callable[[Sample], Sample], seed: int) -> None:
    given = sample(LabelKind.MASK, seed)
    moved = move(given).check().label
    assert torch.equal(moved.candidates.masks[:, 1], moved.masks)
    rows = moved.categories  # categories of these samples count the entries
    assert torch.equal(moved.candidates.quality, given.label.candidates.quality[rows])
    # The noise as well: as the masks of a label that has nothing else.
    noise = given.label.candidates.masks[:, 2]
    alone = Label(LabelKind.MASK, torch.arange(4), boxes=tight_boxes(noise), masks=noise)
    wanted = move(replace(given, label=alone)).label.masks
    assert len(wanted) == 4
    assert torch.equal(moved.candidates.masks[:, 2], wanted[rows])


@pytest.mark.parametrize("kind", [LabelKind.POINT, LabelKind.BOX])
def test_a_dropped_entry_takes_its_candidates_along(kind: LabelKind) -> None:
    given = sample(kind, 1)
    cut = crop(given, 8, 5, 15, 12).check().label
    assert 0 < len(cut) < 4
    wanted = given.label.candidates.quality[cut.categories]
    assert torch.equal(cut.candidates.quality, wanted)
    window = given.label.candidates.masks[cut.categories, :, 8:23, 5:17]
    assert torch.equal(cut.candidates.masks, window)
