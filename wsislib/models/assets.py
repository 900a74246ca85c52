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
from torch import Tensor

import wsislib

TINY_SAM = "tiny_sam"
PHOTO_SAM = "photo_sam"
LAB_BACKBONE = "lab_backbone"


def assets_folder() -> Path:
    """Where the weights of the package lie."""
    return Path(wsislib.__file__).parent / "assets"


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
    """The tensors of an asset, checked, and its manifest.

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
    return safetensors.torch.load(content), manifest
