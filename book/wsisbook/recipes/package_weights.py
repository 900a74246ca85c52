"""A recipe for weights of the package: trained, written with a manifest, then installed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from wsislib.atomic import atomic_write
from wsislib.data.sample import Dataset
from wsislib.data.world.spec import WORLD_VERSION
from wsislib.engine.config import TrainConfig
from wsislib.engine.device import describe_device
from wsislib.engine.train import FitResult, fit
from wsislib.engine.weights import (
    read_meta,
    read_tensors,
    save_weights,
    sidecar,
    write_tensors,
)
from wsislib.models.assets import (
    LAB_BACKBONE,
    PHOTO_SAM,
    START_MASK2FORMER,
    START_MASK_RCNN,
    TINY_SAM,
    assets_folder,
)

NAMES = (TINY_SAM, LAB_BACKBONE, PHOTO_SAM, START_MASK2FORMER, START_MASK_RCNN)
_POINTS = 40  # of the training curve that a manifest keeps


@dataclass(frozen=True, kw_only=True)
class WeightsRecipe:
    """What decides the weights, whatever the model.

    Attributes:
        steps, batch_size, learning_rate, weight_decay, warmup_steps: of the training; AdamW,
            cosine, bfloat16.
        categories: of the world that the scenes are drawn from.
        scenes: how many different ones.
        scene_seed, held_out_seed: of scenes to train on and to evaluate on.
        held_out: how many scenes to evaluate on.
        seed: of weights and order.
    """

    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.02
    warmup_steps: int
    categories: int = 80
    scenes: int = 96_000
    scene_seed: int
    held_out_seed: int
    held_out: int
    seed: int = 0

    def train_config(self, **more: Any) -> TrainConfig:
        """The training loop's settings, `more` added."""
        same = ("steps", "batch_size", "learning_rate", "weight_decay", "warmup_steps", "seed")
        return TrainConfig(
            **{name: getattr(self, name) for name in same},
            optimiser="adamw",
            warmup_factor=0.01,
            schedule="cosine",
            checkpoint_every=100,
            log_every=50,
            **more,
        )


def train_by_recipe(
    recipe: WeightsRecipe,
    model: nn.Module,
    scenes: Dataset,
    folder: Path,
    device: torch.device,
    progress: bool,
) -> dict[str, Any]:
    """Train `model` on `scenes`; resumes where it was stopped. Returns facts for the manifest."""
    fitted = fit(model, scenes, recipe.train_config(), folder, device=device, progress=progress)
    return {
        "recipe": asdict(recipe),
        "scenes_sha256": scenes.fingerprint(),
        "world_version": WORLD_VERSION,
        **training_curve(fitted),
    }


def write_package_weights(
    folder: Path, name: str, model: nn.Module, facts: Mapping[str, Any], half: bool = False
) -> Path:
    """Write `model` as `folder`/`name`.safetensors, and its manifest, which holds `facts`.

    `half` rounds the weights to float16, half the size; whoever loads them computes in float32.
    """
    path = folder / f"{name}.safetensors"
    device = torch.device(next(model.parameters()).device)
    manifest = {
        "name": name,
        "parameters": sum(p.numel() for p in model.parameters()),
        **facts,
        "trained_on": describe_device(device),
    }
    if half:
        tensors = model.state_dict()
        short = {k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}
        write_tensors(path, short, {**manifest, "dtype": "float16"})
    else:
        save_weights(path, model, manifest)
    return path


def install_weights(folder: Path, name: str, target: Path | None = None) -> Path:
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


def training_curve(fitted: FitResult) -> dict[str, Any]:
    """How long the training took, and at most `_POINTS` rows of its history."""
    rows = fitted.history
    every = max(1, -(-len(rows) // _POINTS))
    kept = rows[len(rows) - 1 :: -every][::-1] if rows else []
    timing = ("lr", "gradient_norm", "images_per_second", "seconds")
    curve = [{k: round(v, 5) for k, v in row.items() if k not in timing} for row in kept]
    return {"training_seconds": round(fitted.seconds), "curve": curve}
