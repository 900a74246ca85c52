"""How the tiny SAM of the package was made: one recipe, one function that follows it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from wsisbook.recipes.package_weights import WeightsRecipe, train_by_recipe, write_package_weights
from wsisbook.recipes.sam_quality import measure_teacher
from wsislib.data.world import WorldSpec
from wsislib.data.world.levels import LevelScenes
from wsislib.data.world.spec import FactorSet
from wsislib.engine.config import TrainConfig
from wsislib.engine.device import pick_device
from wsislib.models.assets import LAB_BACKBONE, TINY_SAM, read_asset
from wsislib.models.sam.drawn_prompts import PromptRule
from wsislib.models.sam.sam import Teacher
from wsislib.models.sam.sam_training import SamTraining
from wsislib.models.sam.tiny_sam import tiny_sam


@dataclass(frozen=True, kw_only=True)
class TinySamRecipe(WeightsRecipe):
    """Everything that decides the tiny SAM's weights; the world is factor set "teacher".

    Attributes:
        clip_norm: of the gradient.
        prompts: drawn for each image at each step, half points and half boxes.
        single_weight: of the loss of the mask for unambiguous prompts.
        start: of the image encoder's backbone.
        width: D, of a prompt token.
        held_out: how many scenes to evaluate on, in each of two worlds.
    """

    steps: int = 12_000
    batch_size: int = 8
    learning_rate: float = 1e-3
    warmup_steps: int = 200
    clip_norm: float = 1.0
    prompts: int = 16
    single_weight: float = 0.25
    start: Literal["lab_backbone", "random"] = "lab_backbone"
    width: int = 128
    scene_seed: int = 11
    held_out_seed: int = 12
    held_out: int = 500

    @classmethod
    def smoke(cls) -> TinySamRecipe:
        """The same steps in seconds; the weights mean nothing."""
        return cls(steps=3, warmup_steps=1, batch_size=2, prompts=4, held_out=4, start="random")

    def train_config(self, **more: Any) -> TrainConfig:
        """The training loop's settings."""
        weights = {"single": self.single_weight}
        return super().train_config(clip_norm=self.clip_norm, loss_weights=weights, **more)


def train_tiny_sam(
    recipe: TinySamRecipe, folder: Path, device: str = "auto", progress: bool = True
) -> Path:
    """Train, evaluate and write a tiny SAM; returns the path of its weights.

    Stopped at any moment, it resumes from the checkpoints in `folder`.
    """
    sam = tiny_sam(recipe.seed, recipe.width)
    start: dict[str, Any] = {}
    if recipe.start == LAB_BACKBONE:
        tensors, manifest = read_asset(LAB_BACKBONE)
        sam.image_encoder.body.load_state_dict(tensors)
        start = {"start_sha256": manifest["sha256"]}
    model = SamTraining(sam, PromptRule(recipe.prompts))
    spec = WorldSpec(categories=recipe.categories, factor_set="teacher")
    scenes = LevelScenes(spec, seed=recipe.scene_seed, count=recipe.scenes)
    facts = train_by_recipe(recipe, model, scenes, folder, pick_device(device), progress)
    quality = measure_on_held_out(Teacher(sam, "tiny", ""), recipe)
    return write_package_weights(folder, TINY_SAM, sam, {**facts, **start, "quality": quality})


def measure_on_held_out(teacher: Teacher, recipe: TinySamRecipe) -> dict[str, Any]:
    """Quality on held-out scenes of its own world, and of the study's, which it never saw."""
    worlds: tuple[FactorSet, ...] = ("teacher", "study")
    quality: dict[str, Any] = {}
    for world in worlds:
        spec = WorldSpec(categories=recipe.categories, factor_set=world)
        scenes = LevelScenes(
            spec,
            seed=recipe.held_out_seed,
            count=recipe.held_out,
            minimum_pixels=spec.minimum_pixels,
        )
        generator = torch.Generator().manual_seed(recipe.held_out_seed)
        samples = (scenes[index] for index in range(len(scenes)))
        quality[world] = measure_teacher(teacher, samples, generator)
    return quality
