"""Where public data come from and what room they take, for `wsis plan`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COCO = "http://images.cocodataset.org"
GENOME = "https://homes.cs.washington.edu/~ranjay/visualgenome/data/dataset"
GENOME_IMAGES = "https://cs.stanford.edu/people/rak248/VG_100K_2"
VOC = "http://host.robots.ox.ac.uk/pascal/VOC/voc2012"
SAM = "https://dl.fbaipublicfiles.com/segment_anything"
TORCH = "https://download.pytorch.org/models"


@dataclass(frozen=True)
class Source:
    """Where a file or folder comes from.

    Attributes:
        address: what to download.
        download: bytes of that.
        unpacked: bytes on disk; photographs take what their archive takes.
    """

    address: str
    download: int
    unpacked: int


# By the last part of the name. Sizes are those that the servers or download pages give.
SOURCES: Mapping[str, Source] = {
    "train2017": Source(f"{COCO}/zips/train2017.zip", 19_336_861_798, 19_336_861_798),
    "val2017": Source(f"{COCO}/zips/val2017.zip", 815_585_330, 815_585_330),
    "instances_train2017.json": Source(
        f"{COCO}/annotations/annotations_trainval2017.zip", 252_907_541, 469_785_474
    ),
    "instances_val2017.json": Source(
        f"{COCO}/annotations/annotations_trainval2017.zip", 252_907_541, 19_987_840
    ),
    "VG_100K": Source(f"{GENOME_IMAGES}/images.zip", 9_731_705_982, 9_731_705_982),
    "VG_100K_2": Source(f"{GENOME_IMAGES}/images2.zip", 5_471_658_058, 5_471_658_058),
    "objects.json": Source(f"{GENOME}/objects.json.zip", 413_870_000, 413_870_000),
    "image_data.json": Source(f"{GENOME}/image_data.json.zip", 17_620_000, 17_620_000),
    # Without the Semantic Boundaries Dataset's masks, see wsislib/data/photographs/voc_folder.py.
    "VOC2012": Source(f"{VOC}/VOCtrainval_11-May-2012.tar", 1_999_639_040, 1_999_639_040),
    "sam_vit_b_01ec64.pth": Source(f"{SAM}/sam_vit_b_01ec64.pth", 375_042_383, 375_042_383),
    "sam_vit_l_0b3195.pth": Source(f"{SAM}/sam_vit_l_0b3195.pth", 1_249_524_607, 1_249_524_607),
    "sam_vit_h_4b8939.pth": Source(f"{SAM}/sam_vit_h_4b8939.pth", 2_564_550_879, 2_564_550_879),
    "glove.6B.300d.txt": Source(
        "https://nlp.stanford.edu/data/glove.6B.zip", 862_182_613, 1_037_962_819
    ),
    "resnet50-0676ba61.pth": Source(f"{TORCH}/resnet50-0676ba61.pth", 102_530_333, 102_530_333),
    "resnet101-63fe2227.pth": Source(f"{TORCH}/resnet101-63fe2227.pth", 178_793_939, 178_793_939),
}


@dataclass(frozen=True)
class DataFile:
    """A file or folder that runs read.

    Attributes:
        path: where it is looked for.
        present: whether it is there.
        bytes: what it takes, or will; None where that is not known.
        source: where to get it, None where we do not know.
    """

    path: Path
    present: bool
    bytes: int | None
    source: Source | None


def data_file_at(path: Path) -> DataFile:
    """What is known of the file or folder at `path`."""
    source = SOURCES.get(path.name)
    if path.exists():
        return DataFile(path, True, bytes_of(path), source)
    return DataFile(path, False, None if source is None else source.unpacked, source)


def bytes_of(path: Path) -> int:
    """Bytes of a file, or of all files under a folder."""
    if path.is_file():
        return path.stat().st_size
    total = 0
    for folder, _, names in os.walk(path):
        total += sum(os.stat(os.path.join(folder, name)).st_size for name in names)
    return total


def backbone_weights(config: Any) -> Path | None:
    """ImageNet's weights in torch's cache, where the settings of a run ask for them."""
    if not getattr(config, "pretrained", False):
        return None
    names = {"r50": "resnet50-0676ba61.pth", "r101": "resnet101-63fe2227.pth"}
    for part in str(getattr(config, "builder", "")).split("_"):
        if part in names:
            return _torch_cache() / "hub" / "checkpoints" / names[part]
    return None


def _torch_cache() -> Path:
    """As torch.hub finds it; asked here without loading torch."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser()
