"""Every model family at a tiny size, with a batch that it learns from.

A new one also needs a line of `MOST_WAITS` in `test_device_mistakes.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from wsislib.data.sample import LabelKind, Sample
from wsislib.data.world import WorldDataset, WorldSpec
from wsislib.labels.weaken import weaken
from wsislib.models.mask2former.builders import mask2former_lab
from wsislib.models.maskrcnn.builders import mask_rcnn_lab, maskx_rcnn_lab
from wsislib.models.sam.sam import Teacher
from wsislib.models.sam.sam_training import SamTraining
from wsislib.models.sam.tiny_sam import tiny_sam
from wsislib.models.wish.builders import WishParts, wish_lab
from wsislib.models.wish.candidate_choice import Gate

CATEGORIES, SIDE = 5, 64


@dataclass(frozen=True)
class Family:
    """A model and what it is tried on.

    Attributes:
        build: makes the model, the same at every call, on the CPU.
        kinds: the kind of label of each image.
        predicts: whether it has `predict`.
    """

    build: Callable[[], nn.Module]
    kinds: Sequence[LabelKind]
    predicts: bool = True

    def batch(self) -> list[Sample]:
        """Scenes of the world, on the CPU."""
        scenes = WorldDataset(WorldSpec(CATEGORIES), seed=1, count=len(self.kinds), size=SIDE)
        return [_labelled(scenes[index], kind) for index, kind in enumerate(self.kinds)]


def _labelled(sample: Sample, kind: LabelKind) -> Sample:
    label = weaken(sample.label, kind, torch.Generator().manual_seed(1))
    return replace(sample, label=label)


class _Levels(Family):
    """A SAM in training takes the level of an object, 0 to 2, as its category."""

    def batch(self) -> list[Sample]:
        return [
            replace(s, label=replace(s.label, categories=s.label.categories % 3))
            for s in super().batch()
        ]


def small_sam() -> Teacher:
    """A teacher with random weights whose masks are of several sizes."""
    return Teacher(tiny_sam(3, 32, SIDE, (8, 16, 16, 32)), "random", "0")


def _wish(parts: WishParts) -> Callable[[], nn.Module]:
    return lambda: wish_lab(CATEGORIES, small_sam(), parts, cam_warmup=0, self_start=0)


_MASKS = (LabelKind.MASK, LabelKind.MASK)
_TWO_TOKENS = WishParts(tokens="by-kind", sees="mask", gate=Gate(min_box_iou=0.5))

FAMILIES: dict[str, Family] = {
    "mask-rcnn": Family(lambda: mask_rcnn_lab(CATEGORIES), _MASKS),
    "maskx-rcnn": Family(lambda: maskx_rcnn_lab(CATEGORIES), (LabelKind.MASK, LabelKind.BOX)),
    "mask2former": Family(lambda: mask2former_lab(CATEGORIES), _MASKS),
    "wish-tags": Family(_wish(WishParts()), (LabelKind.TAG, LabelKind.MASK)),
    "wish-points": Family(_wish(_TWO_TOKENS), (LabelKind.POINT, LabelKind.BOX)),
    "sam": _Levels(
        lambda: SamTraining(tiny_sam(0, 32, SIDE, (8, 16, 16, 32))), _MASKS, predicts=False
    ),
}
