"""Data with masks of some categories and boxes of all, as settings name it.

Hu et al., Learning to Segment Every Thing, section 4: categories in A have masks, those in B
boxes only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from wsisbook.runs.config import RunConfig
from wsisbook.runs.paths import data_folder

if TYPE_CHECKING:
    from wsislib.data.sample import Dataset
    from wsislib.labels.splits import Split


@dataclass(frozen=True)
class PartialDataConfig(RunConfig):
    """Which data, and which categories have masks.

    Attributes:
        data: "world" draws scenes; "coco" reads the four files below, which are relative to
            the data folder (`WSIS_DATA`, else `data/` in the repository); "visual-genome" reads
            boxes of `categories` synsets from the folder `genome`, masks of COCO's categories
            from the two training files, and which images are for validation from
            `val_annotations` (see `genome_data.py`); "voc" reads the lists `train_list` and
            `val_list` of the folder `voc`.
        categories, image_size, world_seed: the world.
        train_seed, train_count, val_seed, val_count: the world's scenes; images of a run do
            not depend on the run's seed, as with a photograph data set.
        genome: folder of Visual Genome, relative to the data folder.
        voc: folder of VOC 2012, relative to the data folder; see
            `wsislib/data/photographs/voc.py`.
        train_list, val_list: of VOC's images; trainaug has 10,582, val 1,449.
        genome_test_count: images of Visual Genome's test part, which no run uses.
        split: "world" draws A from `a_count` and `split_seed`, "world-reversed" is the same with
            A and B exchanged; "frequent" takes the world's `a_count` most frequent categories as
            A, "first" the first `a_count` of any data; "voc" and "nonvoc" are COCO's two;
            "random-<size>-trial-<n>" are those of figure 3.
    """

    data: Literal["world", "coco", "voc", "visual-genome"] = "world"
    categories: int = 80
    image_size: int = 96
    world_seed: int = 0
    train_seed: int = 1
    train_count: int = 6000
    val_seed: int = 2
    val_count: int = 500
    train_annotations: str = ""
    train_images: str = ""
    val_annotations: str = ""
    val_images: str = ""
    voc: str = ""
    train_list: str = "trainaug"
    val_list: str = "val"
    genome: str = ""
    genome_test_count: int = 5000
    split: str = "world"
    a_count: int = 20
    split_seed: int = 0


def data_sets(config: PartialDataConfig) -> tuple[Dataset, Dataset]:
    """Training and validation data, with every mask there is.

    Raises:
        ValueError: a file is missing or cannot be trained on; says which and the way out.
    """
    if config.data == "visual-genome":
        from wsisbook.experiments.genome_data import genome_data

        return genome_data(config)
    if config.data == "voc":
        from wsisbook.experiments.voc_data import voc_data

        return voc_data(config)
    if config.data == "coco":
        return (
            _photographs(config.train_annotations, config.train_images),
            _photographs(config.val_annotations, config.val_images),
        )
    from wsislib.data.world import WorldDataset, WorldSpec

    spec = WorldSpec(config.categories, config.image_size, config.world_seed)
    # Scenes that training sees once need not be kept: 40,000 of them are 1.5 GB.
    again = config.steps * config.batch_size > config.train_count
    return (
        WorldDataset(spec, seed=config.train_seed, count=config.train_count, cache=again),
        WorldDataset(spec, seed=config.val_seed, count=config.val_count),
    )


def _photographs(annotations: str, images: str) -> Dataset:
    """A COCO data set of the data folder, checked as a whole before anything trains on it."""
    from wsislib.data.photographs.coco import CocoDataset
    from wsislib.data.photographs.validate import check_coco
    from wsislib.data.photographs.validate_report import require_trainable

    file, root = data_file(annotations), data_file(images)
    require_trainable(check_coco(file, root, progress=True))
    return CocoDataset(file, root)


def data_file(name: str) -> Path:
    """Where a file of the data folder lies.

    Raises:
        ValueError: it is not there; says where it was looked for.
    """
    folder = data_folder()
    if not name or not (folder / name).exists():
        raise ValueError(
            f"data file {name!r} is not in {folder}; put it there, or name the folder that has "
            "it in the environment variable WSIS_DATA"
        )
    return folder / name


def data_files(config: PartialDataConfig) -> tuple[str, ...]:
    """The files that the settings name, relative to the data folder."""
    if config.data == "world":
        return ()
    if config.data == "visual-genome":
        from wsisbook.experiments.genome_data import genome_files

        return genome_files(config)
    if config.data == "voc":
        from wsisbook.experiments.voc_data import voc_files

        return voc_files(config)
    return (
        config.train_annotations, config.train_images, config.val_annotations, config.val_images,
    )  # fmt: skip


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
    """The split `name`; `a_count` is for "world", "world-reversed" and "first", `seed` for worlds.

    Raises:
        ValueError: no such split, or one of another number of categories.
    """
    from wsislib.labels.splits import (
        coco_voc_split,
        make_split,
        random_splits,
        reversed_split,
        world_split,
    )

    if name in ("world", "world-reversed"):
        split = world_split(category_count, a_count, seed)
        if name == "world-reversed":
            split = reversed_split(split)
    elif name == "first":
        split = make_split(f"first-{a_count}-of-{category_count}", range(a_count), category_count)
    elif name in ("voc", "nonvoc"):
        split = coco_voc_split("voc" if name == "voc" else "nonvoc")
    else:
        named = {split.name: split for split in random_splits()}
        if name not in named:
            plain = ("world", "world-reversed", "frequent", "first", "voc", "nonvoc")
            known = ", ".join((*plain, *named))
            raise ValueError(f"unknown split {name!r}; known: {known}")
        split = named[name]
    return split.check(category_count)


def _frequent_split(config: PartialDataConfig) -> Split:
    """A: the most frequent categories of the world, as COCO's are common things."""
    import numpy as np

    from wsislib.data.world import World, WorldSpec
    from wsislib.labels.splits import make_split

    if config.data != "world":
        raise ValueError(
            f"split 'frequent' is for the world, but data is {config.data!r}; Visual Genome has "
            "COCO's categories first: use 'first'"
        )
    table = World(WorldSpec(config.categories, config.image_size, config.world_seed)).table
    ranked = np.argsort(-table.frequency, kind="stable")[: config.a_count]
    name = f"frequent-{config.a_count}-of-{config.categories}"
    return make_split(name, ranked.tolist(), config.categories)
