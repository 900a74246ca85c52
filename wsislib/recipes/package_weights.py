"""Trained weights on their way into the package: written with a manifest, then installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from wsislib.atomic import atomic_write
from wsislib.data.world.spec import WORLD_VERSION
from wsislib.engine.device import describe_device
from wsislib.engine.train import FitResult
from wsislib.engine.weights import read_meta, read_tensors, save_weights, sidecar
from wsislib.models.assets import LAB_BACKBONE, TINY_SAM, assets_folder

NAMES = (TINY_SAM, LAB_BACKBONE)
_POINTS = 40  # of the training curve that a manifest keeps


def write_package_weights(
    folder: Path, name: str, model: nn.Module, facts: Mapping[str, Any]
) -> Path:
    """Write `model` as `folder`/`name`.safetensors, with its manifest.

    Args:
        folder: where to.
        name: the asset's.
        model: what is saved.
        facts: recipe, quality and whatever else the manifest says.
    """
    path = folder / f"{name}.safetensors"
    device = torch.device(next(model.parameters()).device)
    manifest = {
        "name": name,
        "parameters": sum(p.numel() for p in model.parameters()),
        **facts,
        "world_version": WORLD_VERSION,
        "trained_on": describe_device(device),
    }
    save_weights(path, model, manifest)
    return path


def install(folder: Path, name: str, target: Path | None = None) -> Path:
    """Copy checked weights and their manifest from a training's folder into the package.

    Raises:
        ValueError: there are none, or they are damaged; names the file.
    """
    source = folder / f"{name}.safetensors"
    if not source.is_file():
        raise ValueError(
            f"{source} is not there: training in {folder} has not ended. Give the same "
            "`wsis teacher train` command again; it goes on where it was."
        )
    read_tensors(source, read_meta(source))
    goal = (target or assets_folder()) / source.name
    # The manifest last: weights without one count as not there.
    sidecar(goal).unlink(missing_ok=True)
    atomic_write(goal, source.read_bytes())
    atomic_write(sidecar(goal), sidecar(source).read_bytes())
    return goal


def course(fitted: FitResult) -> dict[str, Any]:
    """What a manifest keeps of a training: how long it took, and its curve, thinned."""
    rows = fitted.history
    every = max(1, -(-len(rows) // _POINTS))
    kept = rows[len(rows) - 1 :: -every][::-1] if rows else []
    timing = ("lr", "gradient_norm", "images_per_second", "seconds")
    curve = [{k: round(v, 5) for k, v in row.items() if k not in timing} for row in kept]
    return {"training_seconds": round(fitted.seconds), "curve": curve}
