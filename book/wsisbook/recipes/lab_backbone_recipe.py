"""How the start weights of lab backbones were made: image tags of a world of their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wsisbook.recipes.package_weights import WeightsRecipe, train_by_recipe, write_package_weights
from wsisbook.recipes.tag_pretraining import TagClassifier
from wsislib.data.sample import LabelKind
from wsislib.data.world import WorldDataset, WorldSpec
from wsislib.engine.config import TrainConfig
from wsislib.engine.device import pick_device
from wsislib.labels.datasets import WeakDataset
from wsislib.models.assets import LAB_BACKBONE


@dataclass(frozen=True, kw_only=True)
class LabBackboneRecipe(WeightsRecipe):
    """Everything that decides the start weights; the world is factor set "pretrain"."""

    steps: int = 3_000
    batch_size: int = 32
    learning_rate: float = 2e-3
    warmup_steps: int = 100
    scene_seed: int = 21
    held_out_seed: int = 22
    held_out: int = 1_000

    @classmethod
    def smoke(cls) -> LabBackboneRecipe:
        """The same steps in seconds; the weights mean nothing."""
        return cls(steps=3, warmup_steps=1, batch_size=4, held_out=16)

    def train_config(self, **more: Any) -> TrainConfig:
        """The training loop's settings."""
        return super().train_config(clip_norm=5.0, **more)


def train_lab_backbone(
    recipe: LabBackboneRecipe, folder: Path, device: str = "auto", progress: bool = True
) -> Path:
    """Train, evaluate and write the start weights; returns their path.

    Stopped at any moment, it resumes from the checkpoints in `folder`.
    """
    chosen = pick_device(device)
    model = TagClassifier(recipe.categories, recipe.seed)
    scenes = _scenes(recipe, recipe.scene_seed, recipe.scenes)
    facts = train_by_recipe(recipe, model, scenes, folder, chosen, progress)
    quality = {"tag_map": round(tag_map(model, recipe, chosen), 2)}
    return write_package_weights(folder, LAB_BACKBONE, model.body, {**facts, "quality": quality})


@torch.no_grad()
def tag_map(model: TagClassifier, recipe: LabBackboneRecipe, device: torch.device) -> float:
    """Mean average precision of the tags of held-out scenes, 0..100."""
    model.eval()
    scores, present = [], []
    held_out = _scenes(recipe, recipe.held_out_seed, recipe.held_out)
    for start in range(0, len(held_out), 32):
        samples = [held_out[i] for i in range(start, min(start + 32, len(held_out)))]
        scores.append(model(torch.stack([s.image for s in samples]).to(device)).float().cpu())
        truth = torch.zeros(len(samples), recipe.categories, dtype=torch.bool)
        for row, sample in zip(truth, samples, strict=True):
            row[sample.label.categories] = True
        present.append(truth)
    return 100 * mean_average_precision(torch.cat(scores), torch.cat(present))


def mean_average_precision(scores: Tensor, present: Tensor) -> float:
    """Mean average precision over the categories that occur, 0..1.

    Of each category it is the mean, over images that have it, of the precision at their rank.

    Args:
        scores: (N, C) float, higher for more likely.
        present: (N, C) bool.
    """
    values = []
    for column, truth in zip(scores.T, present.T, strict=True):
        if truth.any():
            hits = truth[column.argsort(descending=True, stable=True)].double()
            precision = hits.cumsum(0) / torch.arange(1, len(hits) + 1)
            values.append(float((precision * hits).sum() / hits.sum()))
    return float(np.mean(values))


def _scenes(recipe: LabBackboneRecipe, seed: int, count: int) -> WeakDataset:
    spec = WorldSpec(categories=recipe.categories, factor_set="pretrain")
    drawn = WorldDataset(spec, seed=seed, count=count, cache=False)
    return WeakDataset(drawn, [LabelKind.TAG] * count, seed)
