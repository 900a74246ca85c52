"""The data and the split that settings name: categories in A have masks, those in B boxes only.

Hu et al., Learning to Segment Every Thing, section 4. Visual Genome is as in section 5 and the
authors' code: a detector learns from its boxes; masks are those of COCO's own training images; the
validation part is the photographs that are in COCO's validation set too. It has no masks, so its
results are pictures and box AP.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from wsisbook.experiments.settings import PartialDataConfig, data_files
from wsisbook.runs.paths import data_folder
from wsislib.data.photographs.coco import CocoDataset
from wsislib.data.photographs.validate import check_coco, check_voc
from wsislib.data.photographs.validate_report import require_trainable
from wsislib.data.photographs.voc import VocDataset
from wsislib.data.sample import Category, Dataset, Sample
from wsislib.data.visual_genome.classes import COCO_NAMES
from wsislib.data.visual_genome.dataset import VisualGenome, read_coco_ids
from wsislib.data.world import World, WorldDataset, WorldSpec
from wsislib.labels.splits import (
    Split,
    coco_voc_split,
    make_split,
    random_splits,
    reversed_split,
    world_split,
)


def data_sets(config: PartialDataConfig) -> tuple[Dataset, Dataset]:
    """Training and validation data, with every mask there is; Visual Genome has boxes alone.

    Raises:
        ValueError: a file is missing or cannot be trained on; says which and the way out.
    """
    if config.data == "visual-genome":
        # Days of training must not end at a file that the next stage lacks, so COCO's masks, of
        # which the first stage uses nothing, must be there too.
        _require_genome_files(config)
        folder = data_folder()
        genome = VisualGenome(
            folder / config.genome,
            read_coco_ids(folder / config.val_annotations),
            class_count=config.categories,
            test_count=config.genome_test_count,
        )
        return genome.dataset("train"), genome.dataset("val")
    if config.data == "voc":
        root = data_file(config.voc)
        return _voc(root, config.train_list), _voc(root, config.val_list)
    if config.data == "coco":
        return (
            _coco(config.train_annotations, config.train_images),
            _coco(config.val_annotations, config.val_images),
        )
    spec = world_spec(config)
    # Scenes that training uses once need not stay in memory: 40,000 of them are 1.5 GB.
    again = config.steps * config.batch_size > config.train_count
    return (
        WorldDataset(spec, seed=config.train_seed, count=config.train_count, cache=again),
        WorldDataset(spec, seed=config.val_seed, count=config.val_count),
    )


def world_spec(config: PartialDataConfig) -> WorldSpec:
    """The world that the settings name."""
    return WorldSpec(config.categories, config.image_size, config.world_seed)


def coco_masks(config: PartialDataConfig) -> CocoDataset:
    """COCO's training images with their masks, for heads over a detector of Visual Genome."""
    _require_genome_files(config)
    dataset = _coco(config.train_annotations, config.train_images)
    names = tuple(category.name for category in dataset.categories)
    if names != COCO_NAMES:
        odd = next((a for a, b in zip(names, COCO_NAMES, strict=False) if a != b), "the number")
        raise ValueError(
            f"{config.train_annotations}: its categories are not COCO's {len(COCO_NAMES)} in the "
            f"order of their ids ({odd!r} is not where it should be); masks of Visual Genome's "
            "first categories are COCO's, so take COCO's own file"
        )
    return dataset


def _coco(annotations: str, images: str) -> CocoDataset:
    file, root = data_file(annotations), data_file(images)
    # Checked as a whole before anything trains on it, as is VOC.
    require_trainable(check_coco(file, root, progress=True))
    return CocoDataset(file, root)


def _voc(root: Path, split: str) -> VocDataset:
    require_trainable(check_voc(root, split, progress=True))
    return VocDataset(root, split)


def _require_genome_files(config: PartialDataConfig) -> None:
    """Raise unless every file is named and there."""
    for name in ("genome", "val_annotations", "train_annotations", "train_images"):
        if not getattr(config, name):
            raise ValueError(f"data is 'visual-genome', but {name} is empty; name the file")
    folder = data_folder()
    missing = [name for name in data_files(config) if not (folder / name).exists()]
    if missing:
        raise ValueError(
            f"not in {folder}: {', '.join(missing)}. Visual Genome (release 1.2 or later) gives "
            "objects.json, image_data.json and the photographs of VG_100K and VG_100K_2; COCO 2017 "
            "the others. Put them there, or name the folder that has them in the environment "
            "variable WSIS_DATA"
        )


def data_file(name: str) -> Path:
    """The path of a file of the data folder."""
    folder = data_folder()
    if not name or not (folder / name).exists():
        raise ValueError(
            f"data file {name!r} is not in {folder}; put it there, or name the folder that has "
            "it in the environment variable WSIS_DATA"
        )
    return folder / name


class FirstScenes:
    """The first `count` scenes of a data set, with all its categories."""

    def __init__(self, whole: Dataset, count: int) -> None:
        self.whole = whole
        self.count = count
        self.categories: tuple[Category, ...] = whole.categories
        self.image_ids: tuple[int, ...] = whole.image_ids[:count]

    def __len__(self) -> int:
        return min(self.count, len(self.whole))

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(f"scene {index} of {len(self)}")
        return self.whole[index]

    def ground_truth(self) -> dict[str, Any]:
        """The whole's, its images and annotations cut to the first scenes."""
        truth, ids = self.whole.ground_truth(), set(self.image_ids)
        images = [image for image in truth["images"] if image["id"] in ids]
        annotations = [entry for entry in truth["annotations"] if entry["image_id"] in ids]
        return {**truth, "images": images, "annotations": annotations}

    def fingerprint(self) -> str:
        """The whole's and the number of scenes."""
        return f"{self.whole.fingerprint()}-first-{len(self)}"


def chosen_split(config: PartialDataConfig, category_count: int) -> Split:
    """The split of the categories into A and B that the settings name.

    Raises:
        ValueError: no such split, one of another number of categories, or "frequent" of data
            that are no world.
    """
    if config.split == "frequent":
        return _frequent_split(config).check(category_count)
    return named_split(config.split, config.a_count, config.split_seed, category_count)


def named_split(name: str, a_count: int, seed: int, category_count: int) -> Split:
    """The split `name`; `a_count` and `seed` are for those that depend on them."""
    if name in ("world", "world-reversed"):
        split = world_split(category_count, a_count, seed)
        split = reversed_split(split) if name == "world-reversed" else split
    elif name == "first":
        split = make_split(f"first-{a_count}-of-{category_count}", range(a_count), category_count)
    else:
        named = {"voc": coco_voc_split("voc"), "nonvoc": coco_voc_split("nonvoc")}
        named |= {split.name: split for split in random_splits()}
        if name not in named:
            known = ", ".join(("world", "world-reversed", "frequent", "first", *named))
            raise ValueError(f"unknown split {name!r}; known: {known}")
        split = named[name]
    return split.check(category_count)


def _frequent_split(config: PartialDataConfig) -> Split:
    """A: the most frequent categories of the world, as COCO's are common things."""
    if config.data != "world":
        raise ValueError(
            f"split 'frequent' is for the world, but data is {config.data!r}; Visual Genome has "
            "COCO's categories first: use 'first'"
        )
    frequency = World(world_spec(config)).table.frequency
    ranked = np.argsort(-frequency, kind="stable")[: config.a_count]
    name = f"frequent-{config.a_count}-of-{config.categories}"
    return make_split(name, ranked.tolist(), config.categories)
