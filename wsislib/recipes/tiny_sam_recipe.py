"""How the tiny SAM of the package came to be: one recipe, one function that follows it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from wsislib.data.world import WorldSpec
from wsislib.data.world.levels import LevelScenes
from wsislib.data.world.spec import FactorSet
from wsislib.engine.config import TrainConfig
from wsislib.engine.device import pick_device
from wsislib.engine.train import fit
from wsislib.models.assets import LAB_BACKBONE, TINY_SAM, read_asset
from wsislib.models.sam.drawn_prompts import PromptRule
from wsislib.models.sam.sam import Teacher
from wsislib.models.sam.sam_training import SamTraining
from wsislib.models.sam.tiny_sam import tiny_sam
from wsislib.recipes.package_weights import course, write_package_weights
from wsislib.recipes.sam_quality import measure_teacher


@dataclass(frozen=True)
class TinySamRecipe:
    """Everything that decides the tiny SAM's weights.

    Attributes:
        steps, batch_size, learning_rate, weight_decay, warmup_steps, clip_norm: of the training;
            AdamW, cosine, bfloat16.
        prompts: drawn for each image at each step, half points and half boxes.
        single_weight: of the loss of the mask for unambiguous prompts.
        start: of the image encoder's backbone.
        width: D, of a prompt token.
        categories: of the world it is trained in (factor set "teacher").
        scenes: how many different ones.
        scene_seed, held_out_seed: of scenes to train on and to judge by.
        held_out: how many scenes to judge by, in each of two worlds.
        seed: of weights, order and prompts.
    """

    steps: int = 12_000
    batch_size: int = 8
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    warmup_steps: int = 200
    clip_norm: float = 1.0
    prompts: int = 16
    single_weight: float = 0.25
    start: Literal["lab_backbone", "random"] = "lab_backbone"
    width: int = 128
    categories: int = 80
    scenes: int = 96_000
    scene_seed: int = 11
    held_out_seed: int = 12
    held_out: int = 500
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
            clip_norm=self.clip_norm,
            seed=self.seed,
            checkpoint_every=100,
            log_every=50,
            loss_weights={"single": self.single_weight},
        )


def smoke_recipe(recipe: TinySamRecipe | None = None) -> TinySamRecipe:
    """The same machinery in seconds; the weights mean nothing."""
    recipe = recipe or TinySamRecipe()
    return replace(
        recipe, steps=3, warmup_steps=1, batch_size=2, prompts=4, held_out=4, start="random"
    )


def train_tiny_sam(
    recipe: TinySamRecipe, folder: Path, device: str = "auto", progress: bool = True
) -> Path:
    """Train, judge and write a tiny SAM; goes on where it was when it was stopped.

    Args:
        recipe: what to do.
        folder: gets checkpoints, history.csv, tiny_sam.safetensors and tiny_sam.json.
        device: as `pick_device` takes it.
        progress: show a progress bar.

    Returns:
        The weights' path.
    """
    sam = tiny_sam(recipe.seed, recipe.width)
    began: dict[str, Any] = {}
    if recipe.start == LAB_BACKBONE:
        tensors, manifest = read_asset(LAB_BACKBONE)
        sam.image_encoder.body.load_state_dict(tensors)
        began = {"start_sha256": manifest["sha256"]}
    model = SamTraining(sam, PromptRule(recipe.prompts))
    scenes = LevelScenes(
        WorldSpec(categories=recipe.categories, factor_set="teacher"),
        seed=recipe.scene_seed,
        count=recipe.scenes,
    )
    chosen = pick_device(device)
    fitted = fit(model, scenes, recipe.train_config(), folder, device=chosen, progress=progress)
    facts = {
        "recipe": asdict(recipe),
        **began,
        "scenes_sha256": scenes.fingerprint(),
        "quality": judge(Teacher(sam, "tiny", ""), recipe),
        **course(fitted),
    }
    return write_package_weights(folder, TINY_SAM, sam, facts)


def judge(teacher: Teacher, recipe: TinySamRecipe) -> dict[str, Any]:
    """Quality on held-out scenes of its own world, and of the study's, which it never saw."""
    worlds: tuple[FactorSet, ...] = ("teacher", "study")
    found: dict[str, Any] = {}
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
        found[world] = measure_teacher(teacher, samples, generator)
    return found
