"""Experiment `tiny_sam`: a teacher of its own length of training, for runs that need one.

The package's tiny SAM is one such training; how much a student loses under a teacher that has
learnt less is an ablation of WISH (Kweon and Yoon, 2025).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from wsisbook.runs.config import RunConfig
from wsisbook.runs.experiments import Context, Experiment, Outcome
from wsislib.atomic import read_json


@dataclass(frozen=True)
class TinySamConfig(RunConfig):
    """Settings of a teacher's training; what is not named here is the recipe's.

    Of what all trainings share, `steps`, `batch_size`, `learning_rate`, `weight_decay`,
    `warmup_steps` and `clip_norm` are read; see `TinySamRecipe` for the others.
    """

    batch_size: int = 8
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    warmup_steps: int = 200
    clip_norm: float = 1.0
    prompts: int = 16
    start: Literal["lab_backbone", "random"] = "lab_backbone"
    held_out: int = 500


def run_tiny_sam(context: Context) -> Outcome:
    """Train a tiny SAM and judge it; metrics are under `teacher`, by world."""
    from wsislib.engine.device import describe_device, pick_device
    from wsislib.engine.weights import sidecar
    from wsislib.recipes.tiny_sam_recipe import TinySamRecipe, train_tiny_sam

    known = {field.name for field in fields(TinySamRecipe)}
    asked = {field.name: getattr(context.config, field.name) for field in fields(TinySamConfig)}
    recipe = TinySamRecipe(
        **{name: value for name, value in asked.items() if name in known}, seed=context.seed
    )
    device = pick_device(context.device)
    path = train_tiny_sam(recipe, context.folder, str(device), context.progress)
    manifest: dict[str, Any] = read_json(sidecar(path))
    return Outcome(
        metrics={"teacher": manifest["quality"]},
        data={"train": manifest["scenes_sha256"]},
        device=describe_device(device),
        files={"history.csv": context.folder / "history.csv"},
        weights={path.name: path, sidecar(path).name: sidecar(path)},
        notes={"training_seconds": manifest["training_seconds"]},
    )


def _parts(config: RunConfig) -> tuple[str, ...]:
    return ("world", "wish", "engine")


TINY_SAM = Experiment(TinySamConfig, run_tiny_sam, _parts)
