"""Labels with candidates, and masks chosen among them."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from wsislib.data.sample import Candidates, Label, LabelKind, Sample
from wsislib.data.transforms import tight_boxes
from wsislib.labels.datasets import WeakDataset
from wsislib.labels.mask_store import blocks_of
from wsislib.teacher.teacher_cache import TeacherCache
from wsislib.teacher.teaching import PseudoMaskDataset, TeachingDataset, pseudo_masks

KINDS = [LabelKind.TAG, LabelKind.POINT, LabelKind.BOX, LabelKind.MASK] * 2


def noise(sample: Sample) -> Candidates:
    generator = torch.Generator().manual_seed(sample.image_id)
    count, (height, width) = len(sample.label), sample.image.shape[1:]
    masks = torch.rand(count, 3, height, width, generator=generator) < 0.5
    return Candidates(masks, torch.rand(count, 3, generator=generator))


@pytest.fixture
def taught(tmp_path: Path, blobs) -> TeachingDataset:
    """Images of all four kinds with candidates of noise."""
    dataset = WeakDataset(blobs, KINDS[: len(blobs)], seed=0)
    cache = TeacherCache(tmp_path, "one")
    (rows,) = blocks_of(len(dataset))
    samples = [dataset[row] for row in rows]
    keys = tuple(cache.key(sample) for sample in samples)
    for key, sample in zip(keys, samples, strict=True):
        if key is not None:
            cache.store.write(key, noise(sample).masks.numpy(), noise(sample).quality.numpy())
    cache.write_list(dataset.fingerprint(), rows, keys)
    return TeachingDataset(dataset, cache)


def test_points_and_boxes_carry_candidates_and_nothing_else_changes(taught, blobs) -> None:
    plain = WeakDataset(blobs, KINDS[: len(blobs)], seed=0)
    assert taught.image_ids == blobs.image_ids and taught.categories == blobs.categories
    assert taught.fingerprint() != plain.fingerprint()
    for index, kind in enumerate(KINDS[: len(blobs)]):
        sample = taught[index].check()
        assert sample.label.kind == kind
        if kind in (LabelKind.POINT, LabelKind.BOX):
            wanted = noise(sample)
            assert torch.equal(sample.label.candidates.masks, wanted.masks)
            assert torch.equal(sample.label.candidates.quality, wanted.quality)
            assert sample.label.masks is None
        else:
            assert sample.label.candidates is None


def test_pseudo_masks_are_the_best_scoring_candidates(taught) -> None:
    for index in (1, 2):
        label = taught[index].label
        chosen = pseudo_masks(label)
        assert chosen.kind == LabelKind.MASK and chosen.candidates is None
        for entry, quality in enumerate(label.candidates.quality.tolist()):
            best = max(range(3), key=quality.__getitem__)
            assert torch.equal(chosen.masks[entry], label.candidates.masks[entry, best])
        wanted = label.boxes if label.kind == LabelKind.BOX else tight_boxes(chosen.masks)
        assert torch.equal(chosen.boxes, wanted)
        Sample(taught[index].image, 1, chosen).check()


def test_empty_candidates_are_not_chosen(taught) -> None:
    label = taught[1].label
    best = label.candidates.quality.argmax(1)
    masks = label.candidates.masks.clone()
    masks[torch.arange(len(label)), best] = False
    masks[0] = False  # nothing is left to choose for the first
    chosen = pseudo_masks(replace(label, candidates=replace(label.candidates, masks=masks)))
    assert chosen.categories.tolist() == label.categories.tolist()[1:]
    quality = label.candidates.quality.scatter(1, best[:, None], -1.0)
    for entry, mask in enumerate(chosen.masks, start=1):
        assert torch.equal(mask, masks[entry, quality[entry].argmax()])


def test_true_masks_of_partial_labels_stay() -> None:
    masks = torch.zeros(2, 6, 8, dtype=torch.bool)
    masks[1, 2:4, 2:4] = True
    offered = torch.ones(2, 3, 6, 8, dtype=torch.bool)
    label = Label(
        LabelKind.BOX,
        torch.tensor([0, 1]),
        boxes=torch.tensor([[0.0, 0.0, 5.0, 5.0], [2.0, 2.0, 4.0, 4.0]]),
        masks=masks,
        kinds=torch.tensor([2, 3], dtype=torch.uint8),
        candidates=Candidates(offered, torch.full((2, 3), 0.5)),
    )
    chosen = pseudo_masks(label)
    assert bool(chosen.masks[0].all())
    assert torch.equal(chosen.masks[1], masks[1])


def partly_tagged(**fields) -> Label:
    """A tag, a point, a box and a mask in one image."""
    masks = torch.zeros(4, 6, 8, dtype=torch.bool)
    masks[3, 2:4, 2:4] = True
    boxes = torch.zeros(4, 4)
    boxes[2:] = torch.tensor([[0.0, 0.0, 5.0, 5.0], [2.0, 2.0, 4.0, 4.0]])
    kinds = torch.arange(4, dtype=torch.uint8)
    placed = torch.full((4, 2), 1.5)
    return Label(LabelKind.TAG, torch.arange(4), placed, boxes, masks, kinds, **fields)


def test_tags_beside_dearer_entries_are_left_out_of_pseudo_masks() -> None:
    offered = torch.zeros(4, 3, 6, 8, dtype=torch.bool)
    offered[1:, :, :3, :2] = True
    label = partly_tagged(candidates=Candidates(offered, torch.full((4, 3), 0.5)))
    chosen = pseudo_masks(label)
    assert chosen.categories.tolist() == [1, 2, 3]
    assert chosen.boxes[0].tolist() == [0, 0, 2, 3]  # a point's: tight around its mask
    assert torch.equal(chosen.boxes[1:], label.boxes[2:])
    alone = pseudo_masks(partly_tagged()[torch.tensor([0, 3])])
    assert alone.categories.tolist() == [3] and torch.equal(alone.masks, label.masks[3:])
    with pytest.raises(ValueError, match="without candidates"):
        pseudo_masks(partly_tagged())


def test_a_data_set_of_pseudo_masks(taught) -> None:
    rows = [index for index, kind in enumerate(KINDS[: len(taught)]) if kind != LabelKind.TAG]
    dataset = PseudoMaskDataset(taught)
    for index in rows:
        assert dataset[index].check().label.kind == LabelKind.MASK
    assert torch.equal(dataset[3].label.masks, taught[3].label.masks)
    assert dataset.fingerprint() not in (taught.fingerprint(), "")
    with pytest.raises(ValueError, match=f"image {taught.image_ids[0]}: .*TAG without candidates"):
        dataset[0]


def test_no_entries_are_no_trouble() -> None:
    none = Candidates(torch.zeros(0, 3, 6, 8, dtype=torch.bool), torch.zeros(0, 3))
    categories = torch.zeros(0, dtype=torch.int64)
    label = Label(LabelKind.POINT, categories, points=torch.zeros(0, 2), candidates=none)
    chosen = pseudo_masks(label)
    assert chosen.masks.shape == (0, 6, 8) and chosen.boxes.shape == (0, 4)
