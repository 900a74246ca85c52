"""How the start weights of lab backbones came to be: image tags of a world apart."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wsislib.data.sample import LabelKind
from wsislib.data.world import WorldDataset, WorldSpec
from wsislib.engine.config import TrainConfig
from wsislib.engine.device import pick_device
from wsislib.engine.train import fit
from wsislib.labels.datasets import WeakDataset
from wsislib.models.assets import LAB_BACKBONE
from wsislib.recipes.package_weights import course, write_package_weights
from wsislib.recipes.tag_pretraining import TagClassifier


@dataclass(frozen=True)
class LabBackboneRecipe:
    """Everything that decides the start weights.

    Attributes:
        steps, batch_size, learning_rate, weight_decay, warmup_steps: of the training; AdamW,
            cosine, bfloat16.
        categories: of the world (factor set "pretrain").
        scenes: how many different ones.
        scene_seed, held_out_seed: of scenes to train on and to judge by.
        held_out: how many scenes to judge by.
        seed: of weights and order.
    """

    steps: int = 3_000
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    warmup_steps: int = 100
    categories: int = 80
    scenes: int = 96_000
    scene_seed: int = 21
    held_out_seed: int = 22
    held_out: int = 1_000
    seed: int = 0

    def train_config(self) -> TrainConfig:
        """As the training loop takes it."""
        return TrainConfig(
            steps=self.steps,
            batch_size=self.batch_size,
            optimiser="adamw",
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            warmup_steps=self.warmup_steps,
            warmup_factor=0.01,
            schedule="cosine",
            clip_norm=5.0,
            seed=self.seed,
            checkpoint_every=100,
            log_every=50,
        )


def smoke_recipe() -> LabBackboneRecipe:
    """The same machinery in seconds; the weights mean nothing."""
    return replace(LabBackboneRecipe(), steps=3, warmup_steps=1, batch_size=4, held_out=16)


def train_lab_backbone(
    recipe: LabBackboneRecipe, folder: Path, device: str = "auto", progress: bool = True
) -> Path:
    """Train, judge and write the start weights; goes on where it was when it was stopped.

    Returns:
        The weights' path.
    """
    model = TagClassifier(recipe.categories, recipe.seed)
    scenes = _scenes(recipe, recipe.scene_seed, recipe.scenes)
    chosen = pick_device(device)
    fitted = fit(model, scenes, recipe.train_config(), folder, device=chosen, progress=progress)
    facts = {
        "recipe": asdict(recipe),
        "scenes_sha256": scenes.fingerprint(),
        "quality": {"tag_map": round(tag_map(model, recipe, chosen), 2)},
        **course(fitted),
    }
    return write_package_weights(folder, LAB_BACKBONE, model.body, facts)


@torch.no_grad()
def tag_map(model: TagClassifier, recipe: LabBackboneRecipe, device: torch.device) -> float:
    """Mean over categories of the average precision of their tags on held-out scenes, 0..100."""
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
    """Mean average precision over categories that occur.

    Args:
        scores: (N, C) float, higher for more likely.
        present: (N, C) bool.

    Returns:
        0..1: for each category the mean, over images that have it, of the precision at its rank.
    """
    found = []
    for column, truth in zip(scores.T, present.T, strict=True):
        if truth.any():
            hits = truth[column.argsort(descending=True, stable=True)].double()
            precision = hits.cumsum(0) / torch.arange(1, len(hits) + 1)
            found.append(float((precision * hits).sum() / hits.sum()))
    return float(np.mean(found))


def _scenes(recipe: LabBackboneRecipe, seed: int, count: int) -> WeakDataset:
    spec = WorldSpec(categories=recipe.categories, factor_set="pretrain")
    drawn = WorldDataset(spec, seed=seed, count=count, cache=False)
    return WeakDataset(drawn, [LabelKind.TAG] * count, seed)
