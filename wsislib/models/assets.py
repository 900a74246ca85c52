"""Weights that are part of the package, each with a manifest that says where it comes from.

`<name>.safetensors` and `<name>.json` lie in `wsislib/assets`. The manifest holds the recipe, the
seed, the measured quality and the SHA-256 of the weights; `wsis teacher install` writes both.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

import wsislib

TINY_SAM = "tiny_sam"
PHOTO_SAM = "photo_sam"
LAB_BACKBONE = "lab_backbone"
START_MASK2FORMER = "start_mask2former"  # of models for one's own photographs, as the next
START_MASK_RCNN = "start_mask_rcnn"


def assets_folder() -> Path:
    """Where the weights of the package lie."""
    return Path(wsislib.__file__).parent / "assets"


def has_asset(name: str, folder: Path | None = None) -> bool:
    """Whether an asset has been installed; damage is found when it is read."""
    return ((folder or assets_folder()) / f"{name}.json").is_file()


def read_manifest(name: str, folder: Path | None = None) -> dict[str, Any]:
    """What is known of an asset: recipe, seed, SHA-256, quality.

    Raises:
        ValueError: it is not there or not JSON; names the file and the way out.
    """
    path = (folder or assets_folder()) / f"{name}.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ValueError(
            f"{path}: missing, though the package ships with it; install wsis-book again"
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not JSON ({error}); install wsis-book again") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("sha256"), str):
        raise ValueError(f"{path}: holds no sha256; install wsis-book again")
    return manifest


def read_asset(name: str, folder: Path | None = None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of an asset, checked, and its manifest; float16 becomes float32.

    Raises:
        ValueError: a file is missing, cut short or altered; names it and the way out.
    """
    manifest = read_manifest(name, folder)
    path = (folder or assets_folder()) / f"{name}.safetensors"
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise ValueError(
            f"{path}: missing, though its manifest is there; install wsis-book again"
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != manifest["sha256"]:
        raise ValueError(
            f"{path}: cut short or altered ({len(content):,} bytes, SHA-256 {digest[:12]}..., the "
            f"manifest says {manifest['sha256'][:12]}...); install wsis-book again"
        )
    tensors = safetensors.torch.load(content)
    # Weights that are large are kept in half the bytes; models compute with float32.
    full = {k: t.float() if t.dtype == torch.float16 else t for k, t in tensors.items()}
    return full, manifest


def load_asset(
    name: str, model: nn.Module, new: tuple[str, ...] = (), folder: Path | None = None
) -> dict[str, Any]:
    """Put the weights of an asset into `model`, in place; returns its manifest.

    Args:
        name: of the asset.
        model: of the network that it was trained with.
        new: parameters whose names begin so keep the model's own values.
        folder: of the asset; None is the package's.

    Raises:
        ValueError: a file is missing or damaged, or holds the weights of another network.
    """
    read, manifest = read_asset(name, folder)
    held = {k: tuple(t.shape) for k, t in read.items() if not k.startswith(new)}
    state = model.state_dict()
    wanted = {k: tuple(t.shape) for k, t in state.items() if not k.startswith(new)}
    if differing := sorted(k for k in held.keys() | wanted.keys() if held.get(k) != wanted.get(k)):
        first = differing[0]
        raise ValueError(
            f"{(folder or assets_folder()) / name}.safetensors: weights of another network "
            f"({len(differing)} parameters differ; {first} is {held.get(first, 'not there')} in "
            f"the file, {wanted.get(first, 'not there')} in the model); install wsis-book again"
        )
    model.load_state_dict({k: read[k] if k in held else t for k, t in state.items()})
    return manifest
