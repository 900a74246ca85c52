"""One builder per WISH model, holding all its numbers."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from wsislib.losses.prompts import PromptDistance
from wsislib.models.efficientnet_lite import EfficientNetLite, LiteName
from wsislib.models.mask2former.builders import (
    COST_WEIGHTS,
    LOSS_WEIGHTS,
    mask2former_lab,
    mask2former_lite,
    mask2former_r50,
    mask2former_small,
)
from wsislib.models.mask2former.mask2former import Mask2Former
from wsislib.models.sam.sam import Teacher
from wsislib.models.wish.cam import CamHead
from wsislib.models.wish.candidate_choice import Choice, Gate
from wsislib.models.wish.prompt_head import PromptHead, Sees, Tokens
from wsislib.models.wish.pseudo_points import PeakRule
from wsislib.models.wish.wish import WISH

PROMPT_WEIGHT = 5.0


@dataclass(frozen=True)
class WishParts:
    """What may be varied in a WISH model; defaults are the paper's where its public text has them.

    Attributes:
        prompt_weight: of the prompt cost; give the same to `wish_loss_weights`.
        distance: of prompts.
        tokens: shape of the prompt, see `prompt_head`.
        sees: what the prompt head sees, likewise.
        gate: leaves candidates out; None lets all through.
        choice: of one candidate beforehand, where the matcher is not to choose.
        mask_cost: whether the matcher looks at masks; the choice of candidates always does.
        peaks: how pseudo points are found.
    """

    prompt_weight: float = PROMPT_WEIGHT
    distance: PromptDistance = PromptDistance()
    tokens: Tokens = "mean"
    sees: Sees = "state"
    gate: Gate | None = Gate()
    choice: Choice = "adaptive"
    mask_cost: bool = True
    peaks: PeakRule = PeakRule()


def wish_loss_weights(
    prompt: float = PROMPT_WEIGHT, cam: float = 1.0, self_enhancement: float = 1.0
) -> dict[str, float]:
    """Weights of the losses for the engine: `TrainConfig(loss_weights=wish_loss_weights())`."""
    return {
        **LOSS_WEIGHTS,
        "loss_prompt": prompt,
        "loss_cam": cam,
        "loss_self": self_enhancement,
    }


def wish_lab(
    category_count: int,
    teacher: Teacher,
    parts: WishParts | None = None,
    cam_warmup: int = 150,
    self_start: int | None = 750,
    seed: int = 0,
) -> WISH:
    """The lab's WISH, on `mask2former_lab`: scenes of 96 px, runs of about 1,500 steps.

    Activation maps are at stride 8, not on the last map: at stride 16 a cell is as large as a
    small object. Self-enhancement starts half-way, because from a poor student it did harm.

    Args:
        category_count: C, "no object" not counted.
        teacher: a frozen SAM.
        parts: what may be varied.
        cam_warmup: steps before activation maps give pseudo points.
        self_start: steps before predicted masks teach activation maps; None is never.
        seed: of the initial weights.
    """
    segmenter = mask2former_lab(category_count, seed)
    return _wish(segmenter, 96, -2, category_count, teacher, parts, cam_warmup, self_start, seed)


def wish_small(
    category_count: int,
    teacher: Teacher,
    parts: WishParts | None = None,
    cam_warmup: int = 150,
    self_start: int | None = 750,
    seed: int = 0,
    image_side: tuple[int, int] = (240, 320),
) -> WISH:
    """WISH for photographs on a machine without a GPU, on `mask2former_small`; else `wish_lab`."""
    segmenter = mask2former_small(category_count, seed, image_side)
    return _wish(segmenter, 128, -2, category_count, teacher, parts, cam_warmup, self_start, seed)


def wish_lite(
    category_count: int,
    teacher: Teacher,
    parts: WishParts | None = None,
    cam_warmup: int = 150,
    self_start: int | None = 750,
    seed: int = 0,
    image_side: tuple[int, int] = (240, 320),
    fetch: bool = True,
    name: LiteName = "lite0",
    frozen_stages: int = 0,
) -> WISH:
    """WISH on `mask2former_lite`, from ImageNet; arguments as of it and of `wish_lab`.

    Activation maps are at stride 16: objects of photographs cover many of its cells.
    """
    segmenter = mask2former_lite(category_count, seed, image_side, fetch, name, frozen_stages)
    assert isinstance(segmenter.backbone, EfficientNetLite)
    width = segmenter.backbone.channels[-2]
    return _wish(segmenter, width, -2, category_count, teacher, parts, cam_warmup, self_start, seed)


def wish_r50(
    category_count: int,
    teacher: Teacher,
    parts: WishParts | None = None,
    cam_warmup: int = 30_000,
    self_start: int | None = 30_000,
    seed: int = 0,
    pretrained: bool = True,
    image_side: tuple[int, int] = (800, 1333),
    fetch: bool = True,
) -> WISH:
    """WISH R-50 on `mask2former_r50`, from ImageNet: weights trained on masks would leak them.

    The teacher at paper scale is ViT-B. A warm-up of 30,000 steps is for COCO; for VOC it is 3
    epochs, about 2,000 steps. Arguments as of `wish_lab` and `mask2former_r50`.
    """
    segmenter = mask2former_r50(category_count, seed, pretrained, image_side, fetch)
    return _wish(segmenter, 2048, -1, category_count, teacher, parts, cam_warmup, self_start, seed)


def _wish(
    segmenter: Mask2Former,
    cam_channels: int,
    cam_level: int,
    category_count: int,
    teacher: Teacher,
    parts: WishParts | None,
    cam_warmup: int,
    self_start: int | None,
    seed: int,
) -> WISH:
    """WISH on a Mask2Former; the new heads are as wide as its queries."""
    parts = parts or WishParts()
    segmenter.cost_weights = {
        **COST_WEIGHTS,
        **({} if parts.mask_cost else {"mask": 0.0, "dice": 0.0}),
        "prompt": parts.prompt_weight,
    }
    width = segmenter.query_decoder.queries.embedding_dim
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # anew: the segmenter is the same with and without these heads
        prompt_head = PromptHead(width, width, teacher.width, parts.tokens, parts.sees)
        cam_head = CamHead(cam_channels, category_count, cam_level)
    heads = (prompt_head, cam_head, teacher, parts.distance, parts.gate, parts.peaks)
    return WISH(segmenter, *heads, cam_warmup, self_start, parts.choice)
