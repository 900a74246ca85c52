"""The data and the split that settings name: categories in A have masks, those in B boxes only.

Hu et al., Learning to Segment Every Thing, section 4. Visual Genome is as in section 5 and the
authors' code: a detector learns from its boxes; masks are those of COCO's own training images; the
validation part is the photographs that are in COCO's validation set too. It has no masks, so its
results are pictures and box AP.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wsisbook.experiments.settings import PartialDataConfig, data_files
from wsisbook.runs.paths import data_folder
from wsislib.atomic import read_json
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
    balanced_split,
    coco_voc_split,
    make_split,
    random_splits,
    reversed_split,
    world_split,
)
from wsislib.strict import did_you_mean

BY_FREQUENCY = ("by-frequency", "by-frequency-reversed")  # splits that follow from training data


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
            _coco(config.train_annotations, config.train_images, config, training=True),
            _coco(config.val_annotations, config.val_images, config),
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
    dataset = _coco(config.train_annotations, config.train_images, config)
    names = tuple(category.name for category in dataset.categories)
    if names != COCO_NAMES:
        odd = next((a for a, b in zip(names, COCO_NAMES, strict=False) if a != b), "the number")
        raise ValueError(
            f"{config.train_annotations}: its categories are not COCO's {len(COCO_NAMES)} in the "
            f"order of their ids ({odd!r} is not where it should be); masks of Visual Genome's "
            "first categories are COCO's, so take COCO's own file"
        )
    return dataset


def _coco(
    annotations: str, images: str, config: PartialDataConfig, training: bool = False
) -> CocoDataset:
    file, root = data_file(annotations), data_file(images)
    # Checked as a whole before anything trains on it, as is VOC.
    require_trainable(check_coco(file, root, progress=True))
    if not (config.subsets or config.coco_categories or config.only or config.photographs):
        return CocoDataset(file, root)
    document = read_json(file)
    image_ids = [image["id"] for image in document["images"]]
    if config.subsets:
        image_ids = _images_of(document, config.subsets, annotations)
    category_ids = _coco_ids(document, annotations) if config.coco_categories else None
    if config.only:
        category_ids = _named_ids(document, config.only, annotations)
    if training and (config.only or config.photographs):
        image_ids = _to_learn_from(document, image_ids, category_ids, config)
    return CocoDataset(file, root, image_ids=image_ids, category_ids=category_ids)


def _named_ids(document: Mapping[str, Any], names: Sequence[str], file: str) -> list[int]:
    """Ids of the categories that `only` names."""
    ids = {category["name"]: category["id"] for category in document["categories"]}
    for name in names:
        if name not in ids:
            raise ValueError(f"{file}: only: no category {name!r}{did_you_mean(name, ids)}")
    return [ids[name] for name in names]


def _to_learn_from(
    document: Mapping[str, Any],
    image_ids: Sequence[int],
    category_ids: Sequence[int] | None,
    config: PartialDataConfig,
) -> list[int]:
    """The photographs that hold an object of the categories, or so many of them, drawn."""
    holding = {
        entry["image_id"]
        for entry in document["annotations"]
        if category_ids is None or entry["category_id"] in category_ids
    }
    kept = [image_id for image_id in image_ids if image_id in holding]
    if not config.photographs:
        return kept
    if config.photographs > len(kept):
        raise ValueError(
            f"{config.train_annotations}: photographs is {config.photographs}, but only "
            f"{len(kept)} hold an object of the categories; ask for fewer"
        )
    order = np.random.default_rng(config.photograph_seed).permutation(len(kept))
    return [kept[place] for place in sorted(order[: config.photographs])]


def _images_of(document: Mapping[str, Any], subsets: Sequence[str], file: str) -> list[int]:
    """Ids of the images of some subsets, in the file's order."""
    held = Counter(image.get("subset") for image in document["images"])
    absent = [name for name in subsets if name not in held]
    if absent:
        known = ", ".join(sorted(name for name in held if name)) or "none"
        raise ValueError(
            f"{file}: no image has {absent[0]!r} as its `subset`, which the setting `subsets` asks "
            f"for; there are: {known}"
        )
    return [image["id"] for image in document["images"] if image.get("subset") in subsets]


def _coco_ids(document: Mapping[str, Any], file: str) -> list[int]:
    """Ids of COCO's 80 categories, which must be in COCO's order."""
    ids = {category["name"]: category["id"] for category in document["categories"]}
    absent = [name for name in COCO_NAMES if name not in ids]
    if absent:
        raise ValueError(
            f"{file}: has no category {absent[0]!r}, but `coco_categories` asks for COCO's "
            f"{len(COCO_NAMES)}; leave it out, or take a file that has them"
        )
    found = [ids[name] for name in COCO_NAMES]
    if found != sorted(found):
        raise ValueError(
            f"{file}: the ids of COCO's {len(COCO_NAMES)} categories are not in COCO's order, on "
            "which splits by place rely; number them as COCO does"
        )
    return found


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


def chosen_split(
    config: PartialDataConfig, category_count: int, train_data: Dataset | None = None
) -> Split:
    """The split of the categories into A and B that the settings name.

    `train_data` are those of the settings, for splits that follow from them; read where they are
    needed and not given.

    Raises:
        ValueError: no such split, one of another number of categories, or "frequent" of data
            that are no world.
    """
    if config.split == "frequent":
        return _frequent_split(config).check(category_count)
    instances = None
    if config.split in BY_FREQUENCY:
        train_data = data_sets(config)[0] if train_data is None else train_data
        instances = instances_by_category(train_data.ground_truth())
    return named_split(config.split, config.a_count, config.split_seed, category_count, instances)


def instances_by_category(ground_truth: Mapping[str, Any]) -> list[int]:
    """How many instances (crowd regions apart) each category has, in the order of categories."""
    counted = Counter(
        entry["category_id"] for entry in ground_truth["annotations"] if not entry.get("iscrowd")
    )
    return [counted[category["id"]] for category in ground_truth["categories"]]


def named_split(
    name: str,
    a_count: int,
    seed: int,
    category_count: int,
    instances: Sequence[int] | None = None,
) -> Split:
    """The split `name`; `a_count`, `seed` and `instances` are for those that depend on them.

    `instances` are the training instances of each category.
    """
    if name in BY_FREQUENCY:
        if instances is None:
            raise ValueError(f"split {name!r} follows from the training instances; give them")
        split = balanced_split(instances)
        split = reversed_split(split) if name == "by-frequency-reversed" else split
    elif name in ("world", "world-reversed"):
        split = world_split(category_count, a_count, seed)
        split = reversed_split(split) if name == "world-reversed" else split
    elif name == "first":
        split = make_split(f"first-{a_count}-of-{category_count}", range(a_count), category_count)
    else:
        named = {"voc": coco_voc_split("voc"), "nonvoc": coco_voc_split("nonvoc")}
        named |= {split.name: split for split in random_splits()}
        if name not in named:
            known = ", ".join(
                ("world", "world-reversed", "frequent", "first", *BY_FREQUENCY, *named)
            )
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
