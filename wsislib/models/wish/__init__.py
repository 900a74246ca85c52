"""WISH: Mask2Former trained from image tags, points and boxes with SAM as the teacher.

Names of `sam_decoder` are not here, as importing it needs the package `segment_anything`.
"""

from wsislib.models.wish.builders import (
    WishParts,
    wish_lab,
    wish_loss_weights,
    wish_r50,
    wish_small,
)
from wsislib.models.wish.candidate_choice import Gate
from wsislib.models.wish.label_completion import add_pseudo_labels
from wsislib.models.wish.prompt_head import PromptHead
from wsislib.models.wish.pseudo_points import PeakRule
from wsislib.models.wish.targets import WishTargets, wish_targets
from wsislib.models.wish.wish import WISH

__all__ = [
    "Gate", "PeakRule", "PromptHead", "WISH", "WishParts", "WishTargets", "add_pseudo_labels",
    "wish_lab", "wish_loss_weights", "wish_r50", "wish_small", "wish_targets"
]  # fmt: skip
