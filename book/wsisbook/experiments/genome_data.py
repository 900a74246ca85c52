"""Visual Genome as settings name it: boxes of 3,000 categories, masks of COCO's 80.

Hu et al., Learning to Segment Every Thing, section 5, and the authors' code: a detector learns from
the boxes of Visual Genome; masks are those of COCO's own training images; the validation part is
the photographs that are in COCO's validation set too. Visual Genome has no masks, so what comes
of it is pictures and box AP.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsisbook.runs.paths import data_folder

if TYPE_CHECKING:
    from wsisbook.experiments.partial_data import PartialDataConfig
    from wsislib.data.photographs.coco import CocoDataset
    from wsislib.data.visual_genome.dataset import VisualGenomeDataset

_OWN_FILES = ("objects.json", "image_data.json", "VG_100K", "VG_100K_2")


def genome_files(config: PartialDataConfig) -> tuple[str, ...]:
    """The files and folders of Visual Genome and of COCO, relative to the data folder."""
    own = tuple(f"{config.genome}/{name}" for name in _OWN_FILES)
    return (*own, config.val_annotations, config.train_annotations, config.train_images)


def genome_data(config: PartialDataConfig) -> tuple[VisualGenomeDataset, VisualGenomeDataset]:
    """Training and validation part of Visual Genome; labels are boxes.

    COCO's training files, of which the first stage uses nothing, are asked for here as well:
    days of training must not end at a file that the next stage lacks.

    Raises:
        ValueError: a setting is empty or files are missing (all of them are named), or a file
            holds something else.
    """
    from wsislib.data.visual_genome.dataset import VisualGenome, read_coco_ids

    _require(config)
    folder = data_folder()
    genome = VisualGenome(
        folder / config.genome,
        read_coco_ids(folder / config.val_annotations),
        class_count=config.categories,
        test_count=config.genome_test_count,
    )
    return genome.dataset("train"), genome.dataset("val")


def coco_masks(config: PartialDataConfig) -> CocoDataset:
    """COCO's training images with their masks, checked as a whole.

    Raises:
        ValueError: files are missing, cannot be trained on, or hold other categories than COCO's.
    """
    from wsislib.data.photographs.coco import CocoDataset
    from wsislib.data.photographs.validate import check_coco
    from wsislib.data.photographs.validate_report import require_trainable
    from wsislib.data.visual_genome.classes import COCO_NAMES

    _require(config)
    folder = data_folder()
    file, root = folder / config.train_annotations, folder / config.train_images
    require_trainable(check_coco(file, root, progress=True))
    dataset = CocoDataset(file, root)
    names = tuple(category.name for category in dataset.categories)
    if names != COCO_NAMES:
        odd = next((a for a, b in zip(names, COCO_NAMES, strict=False) if a != b), "the number")
        raise ValueError(
            f"{config.train_annotations}: its categories are not COCO's {len(COCO_NAMES)} in the "
            f"order of their ids ({odd!r} is not where it should be); masks of Visual Genome's "
            "first categories are COCO's, so take COCO's own file"
        )
    return dataset


def _require(config: PartialDataConfig) -> None:
    """Raise unless every file is named and there."""
    for name in ("genome", "val_annotations", "train_annotations", "train_images"):
        if not getattr(config, name):
            raise ValueError(f"data is 'visual-genome', but {name} is empty; name the file")
    folder = data_folder()
    missing = [name for name in genome_files(config) if not (folder / name).exists()]
    if missing:
        raise ValueError(
            f"not in {folder}: {', '.join(missing)}. Visual Genome (release 1.2 or later) gives "
            "objects.json, image_data.json and the photographs of VG_100K and VG_100K_2; COCO 2017 "
            "the others. Put them there, or name the folder that has them in the environment "
            "variable WSIS_DATA"
        )
