from __future__ import annotations

import pickle

import pytest
import torch

from wsislib.data.sample import Dataset, LabelKind, Sample
from wsislib.labels.datasets import PartialDataset, WeakDataset, image_generator

TAG, POINT, BOX, MASK = LabelKind


def same_label(one: Sample, other: Sample) -> bool:
    names = ("categories", "points", "boxes", "masks", "kinds")
    pairs = [(getattr(one.label, name), getattr(other.label, name)) for name in names]
    return all((a is None) == (b is None) and (a is None or torch.equal(a, b)) for a, b in pairs)


def test_each_image_has_its_own_kind(blobs) -> None:
    kinds = [TAG, POINT, BOX, MASK, POINT, TAG]
    weak = WeakDataset(blobs, kinds, seed=0)
    assert isinstance(weak, Dataset)
    assert [weak[i].label.kind for i in range(6)] == kinds
    assert [weak[i].image_id for i in range(6)] == list(blobs.image_ids)


def test_every_sample_keeps_the_data_contract(blobs) -> None:
    for kind in LabelKind:
        weak = WeakDataset(blobs, [kind] * 6, seed=0)
        centred = WeakDataset(blobs, [kind] * 6, seed=0, point="centre")
        for index in range(6):
            assert weak[index].check(4).label.kind == kind
            centred[index].check(4)
    half = PartialDataset(blobs, [1, 3])
    for index in range(6):
        half[index].check(4)


def test_points_do_not_depend_on_the_order_of_reading(blobs) -> None:
    forwards = WeakDataset(blobs, [POINT] * 6, seed=3)
    backwards = WeakDataset(blobs, [POINT] * 6, seed=3)
    read = {i: backwards[i] for i in reversed(range(6))}
    assert all(same_label(forwards[i], read[i]) for i in range(6))
    assert all(same_label(forwards[i], forwards[i]) for i in range(6))
    other = WeakDataset(blobs, [POINT] * 6, seed=4)
    assert not all(same_label(forwards[i], other[i]) for i in range(6))


def test_an_image_keeps_its_points_when_its_neighbours_change_kind(blobs) -> None:
    alone = WeakDataset(blobs, [None, None, None, POINT, None, None], seed=3)
    among = WeakDataset(blobs, [TAG, POINT, BOX, POINT, MASK, POINT], seed=3)
    assert len(alone) == 1
    assert alone.image_ids == (13,)
    assert same_label(alone[0], among[3])


@pytest.mark.parametrize("kind", [TAG, POINT, BOX])
def test_no_mask_is_anywhere_in_a_weak_sample(blobs, kind) -> None:
    sample = WeakDataset(blobs, [kind] * 6, seed=0)[2]
    assert sample.label.masks is None
    assert sample.label.kinds is None
    height, width = sample.image.shape[1:]
    held = pickle.dumps(sample.label)
    assert len(held) < 3000, "a label without masks is small whatever the image's size"
    truth = blobs[2].label.masks.numpy()
    assert not any(mask.tobytes() in pickle.dumps(sample) for mask in truth)
    assert (height, width) == (20, 24)


class Poisoned:
    """The same data set with the masks of categories outside A replaced by noise."""

    def __init__(self, dataset, keep: set[int]) -> None:
        self.dataset, self.keep = dataset, keep
        self.categories, self.image_ids = dataset.categories, dataset.image_ids

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        sample = self.dataset[index]
        for entry, category in enumerate(sample.label.categories.tolist()):
            if category not in self.keep:
                noise = torch.rand(sample.label.masks[entry].shape) > 0.5
                sample.label.masks[entry] = noise
        return sample

    def ground_truth(self) -> dict:
        return self.dataset.ground_truth()

    def fingerprint(self) -> str:
        return self.dataset.fingerprint()


def test_masks_of_b_cannot_reach_a_partial_sample(blobs) -> None:
    clean, poisoned = PartialDataset(blobs, [0, 2]), PartialDataset(Poisoned(blobs, {0, 2}), [0, 2])
    kinds = set()
    for index in range(len(blobs)):
        assert same_label(clean[index], poisoned[index])
        kinds |= set(clean[index].label.kinds.tolist())
    assert kinds == {BOX, MASK}, "the test says nothing unless both kinds occur"


def test_truth_is_handed_on_for_the_images_that_are_left(blobs) -> None:
    weak = WeakDataset(blobs, [TAG, None, BOX, None, None, None], seed=0)
    truth = weak.ground_truth()
    assert [image["id"] for image in truth["images"]] == [3, 8]
    assert [a["image_id"] for a in truth["annotations"]] == [3, 8]
    assert truth["categories"] == blobs.ground_truth()["categories"]
    assert PartialDataset(blobs, [1]).ground_truth() == blobs.ground_truth()


def test_the_fingerprint_changes_with_everything_that_changes_the_labels(blobs) -> None:
    kinds = [TAG, POINT, BOX, MASK, POINT, TAG]
    variants = [
        WeakDataset(blobs, kinds, seed=0),
        WeakDataset(blobs, kinds, seed=1),
        WeakDataset(blobs, kinds, seed=0, point="centre"),
        WeakDataset(blobs, kinds[::-1], seed=0),
        WeakDataset(blobs, [*kinds[:5], None], seed=0),
        WeakDataset(blobs, [None, *kinds[:5]], seed=0),
        PartialDataset(blobs, [0]),
        PartialDataset(blobs, [0, 1]),
        PartialDataset(WeakDataset(blobs, [MASK] * 6, seed=0), [0]),
    ]
    prints = [variant.fingerprint() for variant in variants]
    assert len(set(prints)) == len(prints)
    assert WeakDataset(blobs, kinds, seed=0).fingerprint() == prints[0]


def test_errors_name_the_image_or_the_way_out(blobs) -> None:
    with pytest.raises(ValueError, match="5 kinds for 6 images"):
        WeakDataset(blobs, [TAG] * 5, seed=0)
    with pytest.raises(ValueError, match="no image is labelled"):
        WeakDataset(blobs, [None] * 6, seed=0)
    with pytest.raises(ValueError, match="seed is -1"):
        WeakDataset(blobs, [TAG] * 6, seed=-1)
    boxes = WeakDataset(blobs, [BOX] * 6, seed=0)
    with pytest.raises(ValueError, match="image 5: a BOX label cannot become a POINT"):
        WeakDataset(boxes, [POINT] * 6, seed=0)[1]
    with pytest.raises(ValueError, match="image 8: a BOX label has no masks"):
        PartialDataset(boxes, [0])[2]
    for wrong in ([], [4], [-1]):
        with pytest.raises(ValueError, match=r"categories 0\.\.3"):
            PartialDataset(blobs, wrong)


def test_image_generators_differ_between_images_and_seeds() -> None:
    states = {
        image_generator(seed, image_id).initial_seed()
        for seed in range(20)
        for image_id in range(1, 21)
    }
    assert len(states) == 400
