"""Losses: functions of tensors that return unweighted scalars, or one value a decoder layer."""

from wsislib.losses.cams import self_loss, self_targets, tag_loss
from wsislib.losses.candidates import assigned_cost, pair_costs
from wsislib.losses.masks import region_mask_loss
from wsislib.losses.points import PointSampling
from wsislib.losses.prompts import PromptDistance, prompt_loss, prompt_term
from wsislib.losses.queries import class_loss, mask_losses
from wsislib.losses.targets import Targets, mask_targets

__all__ = [
    "PointSampling", "PromptDistance", "Targets", "assigned_cost", "class_loss", "mask_losses",
    "mask_targets", "pair_costs", "prompt_loss", "prompt_term", "region_mask_loss", "self_loss",
    "self_targets", "tag_loss"
]  # fmt: skip
