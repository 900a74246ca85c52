"""The two sides of each comparison: our model's steps and the peer's, on the same batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from bench_maskx import Step
from shaken_boxes import shaken
from torch import Tensor, nn
from torchvision.models.detection import maskrcnn_resnet50_fpn

from wsislib.data.sample import LabelKind, Sample
from wsislib.data.world import WorldDataset, WorldSpec
from wsislib.engine.device import autocast
from wsislib.labels.weaken import weaken
from wsislib.models.mask2former.builders import LOSS_WEIGHTS, mask2former_r50
from wsislib.models.maskrcnn.builders import mask_rcnn_r50_fpn, maskx_rcnn_r50_fpn
from wsislib.models.sam.sam import Teacher
from wsislib.models.sam.tiny_sam import tiny_sam
from wsislib.models.wish.builders import WishParts, wish_loss_weights, wish_r50
from wsislib.models.wish.label_completion import add_pseudo_labels
from wsislib.models.wish.pseudo_points import PeakRule

CATEGORIES = 80
SEEN = 5  # categories that an untrained box head is made to find
PEAKS = PeakRule(top_k=4)  # an untrained map has peaks everywhere


@dataclass(frozen=True)
class Size:
    """How large a comparison is.

    Attributes:
        side: of images for Mask R-CNN, pixels.
        canvas: of images for Mask2Former, pixels; its crop in large-scale jitter is 1,024.
        batch: images.
        regions: boxes near true objects that are added to the proposals of an image.
        rounds: timed steps of each side.
        warm: steps before them.
    """

    side: int
    canvas: int
    batch: int
    regions: int
    rounds: int
    warm: int


@dataclass(frozen=True)
class Pair:
    """What is compared.

    Attributes:
        peer: the other side's name, or why there is none.
        side: of the images, pixels.
        steps: name -> our step and the peer's, None where there is no peer.
    """

    peer: str
    side: int
    steps: dict[str, tuple[Step, Step | None]]


def scenes(side: int, count: int, device: torch.device) -> list[Sample]:
    """Scenes of the procedural world with masks."""
    world = WorldDataset(WorldSpec(CATEGORIES), seed=1, count=count, size=side)
    return [world[index].to(device) for index in range(count)]


def training(
    model: nn.Module, losses_of: Callable[[], dict[str, Tensor]], device: torch.device,
    weights: dict[str, float] | None = None,
) -> Step:  # fmt: skip
    """Forward, backward and AdamW in bf16."""
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], 1e-5)

    def step(number: int) -> None:
        model.train()
        torch.manual_seed(number)
        with autocast(device, "bf16"):
            losses = losses_of()
        optimiser.zero_grad()
        factors = weights or dict.fromkeys(losses, 1.0)
        sum(factors[name] * loss.float() for name, loss in losses.items()).backward()
        optimiser.step()

    return step


def predicting(
    model: nn.Module, predict: Callable[[list[Tensor]], Any], images: list[Tensor]
) -> Step:
    """From images to detections in bf16."""

    def step(number: int) -> None:
        model.eval()
        with torch.inference_mode(), autocast(images[0].device, "bf16"):
            predict(images)

    return step


def with_objects(rpn: nn.Module, classify: nn.Linear, batch: Sequence[Sample], count: int) -> None:
    """Give an untrained detector the work of a trained one.

    Its proposals get true boxes, a little shaken, so that the mask head has as many regions as it
    may have; and its box head finds some categories above the threshold, so that there are 100
    detections to draw. Both sides get the same.
    """
    real = rpn.filter_proposals
    added = [shaken(sample.label.boxes, count) for sample in batch]

    def filtered(*given: Any) -> Any:
        boxes, scores = real(*given)
        if not rpn.training:
            return boxes, scores
        return [torch.cat([own, more]) for own, more in zip(boxes, added, strict=True)], scores

    rpn.filter_proposals = filtered
    with torch.no_grad():
        classify.bias[1 : SEEN + 1] += 4.0


def _detectors(model: nn.Module, size: Size, device: torch.device) -> Pair:
    batch = scenes(size.side, size.batch, device)
    images = [sample.image for sample in batch]
    sides = {"min_size": size.side, "max_size": 2 * size.side}
    theirs = maskrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=CATEGORIES + 1, **sides
    ).to(device)
    model.to(device)
    with_objects(model.rpn, model.roi.box_predictor.cls_score, batch, size.regions)
    with_objects(theirs.rpn, theirs.roi_heads.box_predictor.cls_score, batch, size.regions)
    targets = [
        {
            "boxes": s.label.boxes,
            "labels": s.label.categories + 1,
            "masks": s.label.masks.to(torch.uint8),
        }
        for s in batch
    ]
    return Pair(
        "torchvision maskrcnn_resnet50_fpn",
        size.side,
        {
            "training": (
                training(model, lambda: model.losses(batch), device),
                training(theirs, lambda: theirs(images, targets), device),
            ),
            "prediction": (
                predicting(model, model.predict, images),
                predicting(theirs, theirs, images),
            ),
        },
    )


def mask_rcnn(size: Size, device: torch.device) -> Pair:
    sides = (size.side, 2 * size.side)
    model = mask_rcnn_r50_fpn(CATEGORIES, "class-specific", pretrained=False, image_side=sides)
    return _detectors(model, size, device)


def maskx_rcnn(size: Size, device: torch.device) -> Pair:
    sides = (size.side, 2 * size.side)
    model = maskx_rcnn_r50_fpn(CATEGORIES, pretrained=False, image_side=sides)
    return _detectors(model, size, device)


def _their_mask2former(batch: list[Sample], canvas: int, device: torch.device) -> Any:
    """Hugging Face's model as steps; None, with a line that says why, where it is not to be had."""
    try:
        from mask2former_peer import Ours, Theirs
    except (ImportError, RuntimeError) as error:  # or it does not go with what is beside it
        return None, f"none: transformers cannot be imported ({error})"
    model = mask2former_r50(CATEGORIES, pretrained=False, image_side=(canvas, canvas))
    theirs = Theirs(Ours(model.to(device), batch, "bf16"))
    theirs.ours.optimiser = None
    return theirs, "Hugging Face Mask2FormerForUniversalSegmentation"


def _with_peer(
    steps: dict[str, Step], batch: list[Sample], size: Size, device: torch.device
) -> Pair:
    theirs, name = _their_mask2former(batch, size.canvas, device)
    peers = {} if theirs is None else {"training": theirs.train, "prediction": theirs.predict}

    def numbered(call: Callable[[], None]) -> Step:
        return lambda number: call()

    both = {
        what: (step, numbered(peers[what]) if what in peers else None)
        for what, step in steps.items()
    }
    return Pair(name, size.canvas, both)


def mask2former(size: Size, device: torch.device) -> Pair:
    batch = scenes(size.canvas, size.batch, device)
    images = [sample.image for sample in batch]
    sides = (size.canvas, size.canvas)
    model = mask2former_r50(CATEGORIES, pretrained=False, image_side=sides).to(device)
    steps = {
        "training": training(model, lambda: model.losses(batch), device, LOSS_WEIGHTS),
        "prediction": predicting(model, model.predict, images),
    }
    return _with_peer(steps, batch, size, device)


def _teacher(size: Size, device: torch.device) -> Teacher:
    """The paper's SAM, ViT-B, with random weights; at tiny size the tiny one."""
    if size.canvas < 1024:
        return Teacher(tiny_sam(0, 32, size.canvas), "random", "0").to(device)
    from segment_anything import sam_model_registry

    return Teacher(sam_model_registry["vit_b"](), "vit_b, random", "0").to(device)


def _weak(sample: Sample, kind: LabelKind) -> Sample:
    label = weaken(sample.to("cpu").label, kind, torch.Generator().manual_seed(0))
    return replace(sample, label=label.to(sample.image.device))


def _wish(kinds: Sequence[LabelKind], cached: bool, size: Size, device: torch.device) -> Pair:
    """WISH on labels of some kinds against Mask2Former on the masks of the same scenes."""
    teacher = _teacher(size, device)
    batch = scenes(size.canvas, size.batch, device)
    weak = [_weak(sample, kinds[place % len(kinds)]) for place, sample in enumerate(batch)]
    if cached:  # candidates as a teacher's cache gives them
        weak = [one.sample for one in add_pseudo_labels(weak, None, teacher, PEAKS)]
    sides, parts = (size.canvas, size.canvas), WishParts(peaks=PEAKS)
    model = wish_r50(CATEGORIES, teacher, parts, 0, 0, pretrained=False, image_side=sides)
    model.to(device)
    steps = {"training": training(model, lambda: model.losses(weak), device, wish_loss_weights())}
    if cached:
        steps["prediction"] = predicting(model, model.predict, [s.image for s in batch])
    return _with_peer(steps, batch, size, device)


def wish_points(size: Size, device: torch.device) -> Pair:
    """Points and boxes whose candidates are at hand."""
    return _wish((LabelKind.POINT, LabelKind.BOX), True, size, device)


def wish_tags(size: Size, device: torch.device) -> Pair:
    """Tags: the teacher is asked in every step."""
    return _wish((LabelKind.TAG,), False, size, device)


SIDES: dict[str, Callable[[Size, torch.device], Pair]] = {
    "mask-rcnn": mask_rcnn,
    "maskx-rcnn": maskx_rcnn,
    "mask2former": mask2former,
    "wish-points": wish_points,
    "wish-tags": wish_tags,
}
