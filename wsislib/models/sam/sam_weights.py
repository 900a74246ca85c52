"""Which SAM: one of the two of the package, or one of the three published ones from a file.

Checkpoints of Kirillov et al. (2023) as the README of `segment_anything` links them. It does not
print their SHA-256; the digests below are those that many public projects check the files against.
"""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from wsislib.models.assets import PHOTO_SAM, TINY_SAM, read_asset
from wsislib.models.sam.sam import Teacher

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

    from wsislib.models.sam.close_up import CloseUpTeacher

_SITE = "https://dl.fbaipublicfiles.com/segment_anything"
_BLOCK = 1 << 22  # bytes that are hashed at a time


@dataclass(frozen=True)
class Checkpoint:
    """A published checkpoint: name in the package's registry, file, bytes and SHA-256."""

    model: str
    file: str
    size: int
    sha256: str

    @property
    def url(self) -> str:
        """Where it can be had."""
        return f"{_SITE}/{self.file}"


CHECKPOINTS: dict[str, Checkpoint] = {
    "sam_vit_b": Checkpoint(
        "vit_b",
        "sam_vit_b_01ec64.pth",
        375_042_383,
        "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
    ),
    "sam_vit_l": Checkpoint(
        "vit_l",
        "sam_vit_l_0b3195.pth",
        1_249_524_607,
        "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
    ),
    "sam_vit_h": Checkpoint(
        "vit_h",
        "sam_vit_h_4b8939.pth",
        2_564_550_879,
        "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
    ),
}


def load_sam(name_or_path: str | Path = "tiny", model: str | None = None) -> Teacher:
    """A frozen SAM, on the CPU.

    Args:
        name_or_path: "tiny" (the lab's) or "photo" (photographs), which ship with the package; or
            the path of a published checkpoint, whose name must begin as the publisher's does
            (`sam_vit_b`, `sam_vit_l`, `sam_vit_h`) unless `model` is given.
        model: vit_b, vit_l or vit_h: which checkpoint the file is, whatever its name.

    Raises:
        ValueError: `segment-anything` is not installed; there is no such file; it is not one of
            the three, or is cut short or altered. Names the file, where to get it and its SHA-256.
    """
    require_package()
    if str(name_or_path) == "tiny":
        return load_tiny_sam()
    if str(name_or_path) == "photo":
        return load_photo_sam()
    path = Path(name_or_path)
    known = _which(path) if model is None else CHECKPOINTS[f"sam_{model}"]
    require_sound(path, known)
    return Teacher(_build(path, known), path.stem, known.sha256)


def require_package() -> None:
    """Raise ValueError where the `segment_anything` package is not installed."""
    if find_spec("segment_anything") is None:
        raise ValueError(
            "the package 'segment-anything' is not installed, and the teacher is built from its "
            "classes; `pip install segment-anything` (36 kB), or `make setup`"
        )


def require_sound(path: Path, known: Checkpoint) -> None:
    """Raise ValueError where the file at `path` is not, byte for byte, the published one."""
    whence = f"get {known.file} from {known.url} (SHA-256 {known.sha256})"
    if not path.is_file():
        raise ValueError(f"{path}: no such file; {whence}, or use the teacher 'photo'")
    size = path.stat().st_size
    if size != known.size:
        raise ValueError(f"{path}: {size:,} bytes instead of {known.size:,}; {whence} again")
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    if digest.hexdigest() != known.sha256:
        raise ValueError(f"{path}: SHA-256 is {digest.hexdigest()}; {whence} again")


def _which(path: Path) -> Checkpoint:
    """The published checkpoint that a file claims to be, by its name."""
    for name, known in CHECKPOINTS.items():
        if path.name.startswith(name):
            return known
    files = ", ".join(f"{known.file} ({known.url})" for known in CHECKPOINTS.values())
    raise ValueError(
        f"{path}: not a teacher that is known; say 'photo' or 'tiny', or give the path of "
        f"{files}, under a name that begins with sam_vit_b, sam_vit_l or sam_vit_h"
    )


def _build(path: Path, known: Checkpoint) -> Sam:
    """The package's model with the weights of a sound file; nothing but tensors is unpickled."""
    from segment_anything import sam_model_registry

    sam: Sam = sam_model_registry[known.model]()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        sam.load_state_dict(state)
    except (RuntimeError, pickle.UnpicklingError) as error:
        raise ValueError(f"{path}: holds no weights of {known.model} ({error})") from error
    return sam


def load_tiny_sam(folder: Path | None = None) -> Teacher:
    """A tiny SAM of the width that it was trained with, on the CPU.

    Args:
        folder: that `train_tiny_sam` wrote its weights to; None is the package's own.

    Raises:
        ValueError: `segment-anything` is not installed, or a file is missing or altered.
    """
    require_package()
    from wsislib.models.sam.tiny_sam import tiny_sam

    tensors, manifest = read_asset(TINY_SAM, folder)
    sam = tiny_sam(width=tensors["prompt_encoder.no_mask_embed.weight"].shape[1])
    sam.load_state_dict(tensors)
    return Teacher(sam, "tiny", manifest["sha256"])


def load_photo_sam(folder: Path | None = None) -> CloseUpTeacher:
    """The photo SAM, on the CPU; it looks closer at each object, see `close_up`.

    Args:
        folder: that `train_photo_sam` wrote its weights to; None is the package's own.

    Raises:
        ValueError: `segment-anything` is not installed, or a file is missing, altered or of another
            network.
    """
    require_package()
    from wsislib.models.sam.close_up import CloseUpTeacher
    from wsislib.models.sam.photo_sam import photo_sam

    tensors, manifest = read_asset(PHOTO_SAM, folder)
    try:
        width = tensors["prompt_encoder.no_mask_embed.weight"].shape[1]
        side = manifest["recipe"]["side"]
        sam = photo_sam(width=width, side=side, fetch=False)
        sam.load_state_dict(tensors)
    except (KeyError, RuntimeError) as error:
        raise ValueError(
            f"{PHOTO_SAM}.safetensors: holds no weights of a photo SAM ({error}); install "
            "wsis-book again"
        ) from error
    return CloseUpTeacher(sam, "photo", manifest["sha256"])
