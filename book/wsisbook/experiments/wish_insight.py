"""Why a weak training went as it did: teacher and activation maps against the truth.

Only the study computes this: it has the masks that the labels were made from. Training does not.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from wsisbook.experiments.training import mask_iou
from wsislib.data.sample import Label, LabelKind, Sample
from wsislib.models.wish.cam import Cams
from wsislib.models.wish.label_completion import add_pseudo_labels
from wsislib.models.wish.wish import WISH
from wsislib.teacher.teaching import best_candidates


@torch.no_grad()
def teacher_quality(pairs: Iterable[tuple[Sample, Sample]]) -> dict[str, dict[str, float]]:
    """IoU of cached candidates with the masks that the labels were made from.

    Args:
        pairs: an image with candidates, and the same one with its masks, entries in one order but
            for tags, which stand last.

    Returns:
        By kind ("point", "box"): `best`, the mean IoU of the best candidate; `chosen`, of the one
        with the highest predicted IoU; `instances`.
    """
    by_kind: dict[str, list[Tensor]] = {}
    for weak, true in pairs:
        label, truth = weak.label, true.label
        if label.candidates is None or truth.masks is None or len(label) == 0:
            continue
        placed = label.entry_kinds != int(LabelKind.TAG)  # a tag's category has no other entry
        same = ~torch.isin(truth.categories, label.categories[~placed])
        iou = mask_iou(label.candidates.masks[placed], truth.masks[same].unsqueeze(1))  # (K, M)
        chosen = iou.gather(1, best_candidates(label)[0][placed].unsqueeze(1)).squeeze(1)
        values, kinds = torch.stack([iou.amax(1), chosen]), label.entry_kinds[placed]
        for kind in (LabelKind.POINT, LabelKind.BOX):
            if bool((kinds == int(kind)).any()):
                by_kind.setdefault(kind.name.lower(), []).append(values[:, kinds == int(kind)])
    quality = {}
    for name, parts in by_kind.items():
        best, chosen = torch.cat(parts, 1).unbind()  # (N,) each
        means = {"best": float(best.mean()), "chosen": float(chosen.mean())}
        quality[name] = {**means, "instances": float(len(best))}
    return quality


@torch.no_grad()
def cam_quality(model: WISH, scenes: Iterable[Sample]) -> dict[str, float]:
    """How often pseudo points lie on an object of their category, and how many objects have one.

    Args:
        model: trained; its activation maps are those of the categories that an image holds.
        scenes: with masks.

    Returns:
        `hits`: the share of points on an object of their category. `found`: the share of objects
        with a point of their category on them. `points`, `objects` an image.
    """
    was = model.training
    model.eval()
    hits = points = found = objects = images = 0
    for sample in scenes:
        masks = sample.label.masks
        if masks is None or len(masks) == 0:
            continue
        _, label = pseudo_points(model, sample)
        on = _on(label, masks) & (label.categories[:, None] == sample.label.categories)
        hits, points = hits + int(on.any(1).sum()), points + len(on)
        found, objects = found + int(on.any(0).sum()), objects + len(masks)
        images += 1
    model.train(was)
    return {
        "hits": hits / max(points, 1),
        "found": found / max(objects, 1),
        "points": points / max(images, 1),
        "objects": objects / max(images, 1),
    }


def pseudo_points(model: WISH, sample: Sample) -> tuple[Cams, Label]:
    """Activation maps of a scene with masks, and its pseudo points when the model is told its tags.

    The scene lies on the model's device; the model is in evaluation mode.
    """
    cams = model.activation_maps([sample.image])
    tags = Label(LabelKind.TAG, sample.label.categories.unique())
    tagged = Sample(sample.image, sample.image_id, tags)
    (done,) = add_pseudo_labels([tagged], cams, model.teacher.to(sample.image.device), model.peaks)
    return cams, done.label


def _on(label: Label, masks: Tensor) -> Tensor:
    """(P, K) bool: which points of the label lie on which masks (K, H, W)."""
    points = label.points
    assert points is not None
    x = points[:, 0].long().clamp(0, masks.shape[2] - 1)
    y = points[:, 1].long().clamp(0, masks.shape[1] - 1)
    return masks[:, y, x].t()
