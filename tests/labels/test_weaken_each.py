"""Entries of one image weakened each to its own kind."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wsislib.data.sample import Label, LabelKind, Sample
from wsislib.labels.datasets import WeakDataset
from wsislib.labels.weaken import partial, weaken, weaken_each

TAG, POINT, BOX, MASK = LabelKind


def generator():
    return torch.Generator().manual_seed(5)


def scene(categories):
    """Rectangles side by side on 12 x 40 pixels, as a label of masks."""
    masks = torch.zeros(len(categories), 12, 40, dtype=torch.bool)
    for place, mask in enumerate(masks):
        mask[1 : 4 + place, 5 * place : 5 * place + 4] = True
    whole = torch.arange(len(categories))
    boxes = torch.stack([5.0 * whole, torch.ones(len(whole)), 5.0 * whole + 4, 4.0 + whole], 1)
    return Label(MASK, torch.tensor(categories), boxes=boxes, masks=masks)


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(LabelKind)), min_size=1, max_size=8))
def test_each_entry_has_what_its_kind_has_and_no_more(entries):
    whole = scene([category for category, _ in entries])
    kinds = torch.tensor([int(kind) for _, kind in entries], dtype=torch.uint8)
    label = weaken_each(whole, kinds, generator())
    Sample(torch.zeros(3, 12, 40), 1, label).check(4)
    dear, tagged = kinds > 0, whole.categories[kinds == 0]
    count = int(dear.sum())
    assert label.categories[:count].tolist() == whole.categories[dear].tolist()
    assert label.categories[count:].tolist() == tagged.unique().tolist()
    assert label.entry_kinds.tolist() == kinds[dear].tolist() + [0] * (len(label) - count)
    for entry, origin in enumerate(dear.nonzero().flatten().tolist()):
        if kinds[origin] == POINT:
            x, y = label.points[entry].long().tolist()
            assert bool(whole.masks[origin, y, x])
        else:
            assert torch.equal(label.boxes[entry], whole.boxes[origin])
        if kinds[origin] == MASK:
            assert torch.equal(label.masks[entry], whole.masks[origin])


@pytest.mark.parametrize("kind", LabelKind)
def test_all_alike_is_plain_weakening(kind):
    label = scene([2, 0, 2])
    found = weaken_each(label, torch.full((3,), int(kind), dtype=torch.uint8), generator())
    wanted = weaken(label, kind, generator())
    assert found.kind == kind and found.kinds is None
    for name in ("categories", "points", "boxes", "masks"):
        one, other = getattr(found, name), getattr(wanted, name)
        assert (one is None) == (other is None) and (one is None or torch.equal(one, other))


def test_masks_of_some_categories_and_boxes_of_the_others_are_partial_supervision():
    label, held = scene([2, 0, 1, 2]), torch.tensor([True, False, True])
    kinds = torch.where(held[label.categories], int(MASK), int(BOX)).to(torch.uint8)
    found, wanted = weaken_each(label, kinds, generator()), partial(label, held)
    for name in ("categories", "boxes", "masks", "kinds"):
        assert torch.equal(getattr(found, name), getattr(wanted, name))
    assert found.kind == wanted.kind


def test_no_entries_and_wrong_kinds():
    none = scene([])
    assert len(weaken_each(none, torch.zeros(0, dtype=torch.uint8), generator())) == 0
    with pytest.raises(ValueError, match=r"kinds must be \(2,\) uint8"):
        weaken_each(scene([0, 1]), torch.zeros(3, dtype=torch.uint8), generator())
    boxes = weaken(scene([0, 1]), BOX, generator())
    with pytest.raises(ValueError, match="cannot become a MASK"):
        weaken_each(boxes, torch.tensor([2, 3], dtype=torch.uint8), generator())


def test_a_data_set_with_ceilings(blobs):
    ceilings = [MASK, BOX, POINT, TAG]
    kinds = [MASK, BOX, POINT, TAG, MASK, MASK]
    weak = WeakDataset(blobs, kinds, seed=0, ceilings=ceilings)
    for index, kind in enumerate(kinds):
        label = weak[index].check(4).label
        wanted = [min(kind, ceilings[category]) for category in label.categories.tolist()]
        assert label.entry_kinds.tolist() == wanted
    plain = WeakDataset(blobs, kinds, seed=0)
    assert weak.fingerprint() != plain.fingerprint()
    assert WeakDataset(blobs, kinds, 0, ceilings=ceilings).fingerprint() == weak.fingerprint()
    with pytest.raises(ValueError, match="3 ceilings for 4 categories"):
        WeakDataset(blobs, kinds, 0, ceilings=ceilings[:3])
