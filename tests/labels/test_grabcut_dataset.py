"""Masks of a whole data set by GrabCut: what they are made from, and how they are kept."""

from __future__ import annotations

import json
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from wsislib.data.sample import Dataset, Label, LabelKind, Sample
from wsislib.data.world import WorldDataset, WorldSpec
from wsislib.labels import mask_store
from wsislib.labels.datasets import PartialDataset, WeakDataset
from wsislib.labels.grabcut import grabcut_mask
from wsislib.labels.grabcut_dataset import GrabCutDataset


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Three blocks of the six blobs; temporary folders where pytest removes them."""
    monkeypatch.setattr(mask_store, "BLOCK", 2)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("grabcut")))


class Changed:
    """A data set whose labels go through `change`; counts which images are read."""

    def __init__(self, dataset, change=lambda label: label, name: str = "blobs") -> None:
        self.dataset, self.change, self.name = dataset, change, name
        self.categories, self.image_ids = dataset.categories, dataset.image_ids
        self.read: list[int] = []

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        self.read.append(index)
        sample = self.dataset[index]
        return replace(sample, label=self.change(sample.label))

    def ground_truth(self) -> dict:
        return self.dataset.ground_truth()

    def fingerprint(self) -> str:
        return self.name


def cut(dataset, folder: Path | None = None, **settings) -> GrabCutDataset:
    """In a folder of its own where none is given."""
    place = Path(tempfile.mkdtemp(prefix="grabcut-")) if folder is None else folder
    return GrabCutDataset(dataset, place, progress=False, **settings)


def masks_of(dataset: GrabCutDataset) -> list[torch.Tensor]:
    found = [dataset[index].label.masks for index in range(len(dataset))]
    return [masks for masks in found if masks is not None]


def same(one: GrabCutDataset, other: GrabCutDataset) -> bool:
    return all(torch.equal(a, b) for a, b in zip(masks_of(one), masks_of(other), strict=True))


def kept(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/??/*.masks.gz"))


def test_every_instance_has_the_mask_of_its_box(blobs) -> None:
    made = cut(blobs, iterations=2, margin=0.5)
    assert isinstance(made, Dataset)
    assert len(made) == 6 and made.image_ids == blobs.image_ids
    for index in range(6):
        sample, own = blobs[index], made[index].check(4)
        pixels = np.asarray(sample.image.permute(1, 2, 0) * 255).round().astype(np.uint8)
        wanted = [grabcut_mask(pixels, box, 2, 0.5) for box in sample.label.boxes.numpy()]
        assert own.label.kind == LabelKind.MASK and own.label.kinds is None
        assert np.array_equal(own.label.masks.numpy(), np.stack(wanted))
        assert torch.equal(own.label.boxes, sample.label.boxes)
        assert torch.equal(own.label.categories, sample.label.categories)
        assert torch.equal(own.image, sample.image)
    assert made.ground_truth() == blobs.ground_truth()


def test_true_masks_are_not_looked_at(blobs) -> None:
    def noise(label: Label) -> Label:
        return replace(label, masks=torch.rand(label.masks.shape) > 0.5)

    def gone(label: Label) -> Label:
        return replace(label, kind=LabelKind.BOX, masks=None)

    clean = cut(blobs)
    assert same(clean, cut(Changed(blobs, noise)))
    assert same(clean, cut(Changed(blobs, gone)))
    assert not all(torch.equal(m, blobs[i].label.masks) for i, m in enumerate(masks_of(clean)))


def test_what_was_made_is_read_and_not_made_again(blobs, tmp_path: Path) -> None:
    first = cut(Changed(blobs), tmp_path)
    assert len(kept(tmp_path)) == 6
    again = Changed(blobs)
    second = cut(again, tmp_path)
    assert again.read == []
    assert same(first, second) and first.fingerprint() == second.fingerprint()
    (about,) = tmp_path.glob("*/about.json")
    assert json.loads(about.read_text())["data"] == "blobs"


def test_other_data_and_settings_are_made_anew(blobs, tmp_path: Path) -> None:
    prints = {cut(Changed(blobs), tmp_path).fingerprint()}
    for name, settings in (("others", {}), ("blobs", {"iterations": 2}), ("blobs", {"margin": 2})):
        changed = Changed(blobs, name=name)
        prints.add(cut(changed, tmp_path, **settings).fingerprint())
        assert changed.read == list(range(6))
    assert len(prints) == 4 == len({file.parents[1] for file in kept(tmp_path)})


@pytest.mark.filterwarnings("ignore:.*damaged; what it held is made again")
def test_a_damaged_or_foreign_file_is_made_again(blobs, tmp_path: Path) -> None:
    first = cut(Changed(blobs), tmp_path)
    one, two, three = [first._store.path(first._keys[index]) for index in (0, 2, 5)]
    content = two.read_bytes()
    two.write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
    three.write_bytes(one.read_bytes())
    again = Changed(blobs)
    mended = cut(again, tmp_path)
    assert again.read == [2, 5]
    assert same(first, mended)
    assert two.read_bytes() == content


def _make_until_the_fifth(dataset: Dataset, folder: Path) -> None:
    class Stuck(Changed):
        def __getitem__(self, index: int) -> Sample:
            if index == 4:
                time.sleep(600)
            return super().__getitem__(index)

    cut(Stuck(dataset), folder)


def test_a_killed_process_leaves_what_it_made(blobs, tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(
        target=_make_until_the_fifth, args=(blobs, tmp_path)
    )
    process.start()
    for _ in range(6000):
        if len(kept(tmp_path)) == 4:
            break
        time.sleep(0.01)
    process.kill()
    process.join()
    assert len(kept(tmp_path)) == 4
    again = Changed(blobs)
    resumed = cut(again, tmp_path)
    assert again.read == [4, 5]
    assert same(resumed, cut(blobs))


def test_several_processes_make_the_same_masks(tmp_path: Path) -> None:
    world = WorldDataset(WorldSpec(6), seed=2, count=5, size=64)
    before = torch.get_rng_state()
    made = cut(world, tmp_path, workers=2)
    assert torch.equal(torch.get_rng_state(), before)
    assert same(made, cut(world)) and len(kept(tmp_path)) == 5
    assert [made[i].image_id for i in range(5)] == [1, 2, 3, 4, 5]


def test_an_image_without_instances_stays_without(blobs, tmp_path: Path) -> None:
    def emptied(label: Label) -> Label:
        return Label(
            LabelKind.MASK,
            label.categories[:0],
            boxes=label.boxes[:0],
            masks=label.masks[:0],
        )

    made = cut(Changed(blobs, emptied), tmp_path)
    assert made[3].check(4).label.masks.shape == (0, 20, 24)
    assert made.codes(3) == []
    assert same(made, cut(Changed(blobs, emptied), tmp_path))


def test_masks_may_be_kept_for_some_categories(blobs) -> None:
    some = PartialDataset(cut(blobs), [1, 2])
    label = some[0].check(4).label
    assert label.has_mask.tolist() == [c in (1, 2) for c in label.categories.tolist()]


def _without_boxes(blobs) -> Iterator[Dataset]:
    yield WeakDataset(blobs, [LabelKind.POINT] * 6, seed=0)

    def mixed(label: Label) -> Label:
        kinds = torch.full((len(label),), 2, dtype=torch.uint8)
        kinds[-1] = 0
        return replace(label, kind=LabelKind.TAG, kinds=kinds, masks=None)

    yield Changed(blobs, mixed)


def test_errors_name_the_image(blobs, tmp_path: Path) -> None:
    for dataset in _without_boxes(blobs):
        with pytest.raises(ValueError, match=r"image 3: not every entry of its \w+ label has a bo"):
            cut(dataset)
    with pytest.raises(ValueError, match="iterations >= 1"):
        cut(blobs, tmp_path, iterations=0)
    assert list(tmp_path.iterdir()) == []
