"""PASCAL VOC 2012 as settings name it: the 20 categories, masks of every image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsisbook.experiments.partial_data import PartialDataConfig
    from wsislib.data.photographs.voc import VocDataset

LIST_LENGTHS = {"trainaug": 10_582, "val": 1_449}  # for what is said of runs before data are there


def voc_files(config: PartialDataConfig) -> tuple[str, ...]:
    """The folder of VOC, relative to the data folder."""
    return (config.voc,)


def voc_data(config: PartialDataConfig) -> tuple[VocDataset, VocDataset]:
    """Training and validation data, each checked as a whole before anything trains on it.

    Raises:
        ValueError: the folder, a list or a file is missing or broken; says which and the way out.
    """
    from wsisbook.experiments.partial_data import data_file

    root = data_file(config.voc)
    return _checked(root, config.train_list), _checked(root, config.val_list)


def _checked(root: Path, split: str) -> VocDataset:
    from wsislib.data.photographs.validate import check_voc
    from wsislib.data.photographs.validate_report import require_trainable
    from wsislib.data.photographs.voc import VocDataset

    require_trainable(check_voc(root, split, progress=True))
    return VocDataset(root, split)
