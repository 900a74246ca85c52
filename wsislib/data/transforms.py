"""Transforms of an image together with its label, as pure functions.

Coordinates are continuous: pixel (i, j) covers [j, j+1) x [i, i+1), its centre lies at +0.5.
Randomness comes from the generator that the caller passes. An entry whose mask, box or point
vanishes is dropped with all its fields; tags, which have no location, never are. A teacher's
candidates are transformed as masks are; one that becomes empty stays, since it is no ground truth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from wsislib.data.sample import Label, LabelKind, Sample


def horizontal_flip(sample: Sample) -> Sample:
    """Mirror left and right: x becomes W - x."""
    width = sample.image.shape[2]
    label = sample.label
    points, boxes = label.points, label.boxes
    if points is not None:
        points = torch.stack([width - points[:, 0], points[:, 1]], dim=1)  # (K, 2)
    if boxes is not None:
        x0, y0, x1, y1 = boxes.unbind(dim=1)
        boxes = torch.stack([width - x1, y0, width - x0, y1], dim=1)  # (K, 4)
        boxes = boxes * _reaches(label, LabelKind.BOX)[:, None]
    moved = _moved(label, points, boxes, lambda masks: masks.flip(-1))
    return replace(sample, image=sample.image.flip(2), label=moved)


def random_flip(sample: Sample, generator: torch.Generator) -> Sample:
    """Mirror with probability one half; draws one number from `generator`."""
    flip = bool(torch.rand((), generator=generator) < 0.5)
    return horizontal_flip(sample) if flip else sample


def resize_to(sample: Sample, height: int, width: int) -> Sample:
    """Scale to (height, width) pixels, the two axes apart.

    The image is bilinear with antialiasing. A mask pixel takes the value of the old mask at its
    centre. Boxes and points are scaled as coordinates are. Raises ValueError for a side below 1.
    """
    if height < 1 or width < 1:
        raise ValueError(f"image {sample.image_id}: cannot be resized to {width} x {height} pixels")
    old_height, old_width = sample.image.shape[1:]
    if (old_height, old_width) == (height, width):
        return sample
    image = F.interpolate(
        sample.image[None], (height, width), mode="bilinear", align_corners=False, antialias=True
    )[0].clamp(0, 1)
    label = sample.label
    scale = torch.tensor([width / old_width, height / old_height], device=image.device)
    limit = torch.tensor([width, height], dtype=torch.float32, device=image.device)
    points, boxes = label.points, label.boxes
    if points is not None:
        points = torch.minimum(points * scale, limit)
    if boxes is not None:
        boxes = torch.minimum(boxes * scale.repeat(2), limit.repeat(2))
    rows = _centres(old_height, height).to(image.device)
    columns = _centres(old_width, width).to(image.device)
    moved = _moved(label, points, boxes, lambda masks: masks[..., rows, :][..., columns])
    return replace(sample, image=image, label=_without_vanished(moved))


def crop(sample: Sample, top: int, left: int, height: int, width: int) -> Sample:
    """Cut out the window of rows top..top+height-1 and columns left..left+width-1.

    A box that the window cuts is clipped; where the entry has a mask, its box becomes the tight
    box of what is left of the mask. Raises ValueError where the window is empty or leaves the
    image.
    """
    full_height, full_width = sample.image.shape[1:]
    inside = 0 <= top < top + height <= full_height and 0 <= left < left + width <= full_width
    if not inside:
        raise ValueError(
            f"image {sample.image_id}: window of {width} x {height} at ({left}, {top}) is not "
            f"within {full_width} x {full_height} pixels"
        )
    rows, columns = slice(top, top + height), slice(left, left + width)
    label = sample.label
    origin = torch.tensor([left, top], dtype=torch.float32, device=sample.image.device)
    limit = torch.tensor([width, height], dtype=torch.float32, device=sample.image.device)
    points, boxes = label.points, label.boxes
    lost = torch.zeros(len(label), dtype=torch.bool, device=sample.image.device)
    if points is not None:
        points = points - origin
        outside = ((points < 0) | (points > limit)).any(dim=1)
        lost |= outside & (label.entry_kinds == int(LabelKind.POINT))
        points = points.clamp(min=0).minimum(limit)
    if boxes is not None:
        shifted = boxes - origin.repeat(2)
        clipped = shifted.clamp(min=0).minimum(limit.repeat(2))
        cut = (clipped != shifted).any(dim=1) & label.has_mask
        if label.masks is not None and bool(cut.any()):
            clipped[cut] = tight_boxes(label.masks[cut][:, rows, columns])
        boxes = clipped * _reaches(label, LabelKind.BOX)[:, None]
    moved = _moved(label, points, boxes, lambda masks: masks[..., rows, columns])
    image = sample.image[:, rows, columns]
    return replace(sample, image=image, label=_without_vanished(moved, lost))


def large_scale_jitter(
    sample: Sample, size: int, low: float, high: float, generator: torch.Generator
) -> Sample:
    """Scale at random and cut a random window of at most size x size pixels.

    Large-scale jittering of Ghiasi et al., "Simple Copy-Paste is a Strong Data Augmentation
    Method for Instance Segmentation" (2021), section 3: the image is fitted into a square of
    `size` times a factor from [low, high] (there 0.1..2.0). Unlike there, a smaller image is not
    padded to `size`: models pad their batches themselves and know what is padding. Raises
    ValueError where the factors are not 0 < low <= high.
    """
    if not 0 < low <= high:
        raise ValueError(f"factors must be 0 < low <= high, are {low} and {high}")
    draws = torch.rand(3, generator=generator).tolist()
    height, width = sample.image.shape[1:]
    factor = size * (low + draws[0] * (high - low)) / max(height, width)
    resized = resize_to(sample, *(max(1, int(side * factor + 0.5)) for side in (height, width)))
    height, width = resized.image.shape[1:]
    window_height, window_width = min(size, height), min(size, width)
    if (window_height, window_width) == (height, width):
        return resized
    top = int(draws[1] * (height - window_height + 1))
    left = int(draws[2] * (width - window_width + 1))
    return crop(resized, top, left, window_height, window_width)


def tight_boxes(masks: Tensor) -> Tensor:
    """Boxes around masks (K, H, W), in pixel edges: (K, 4) float32 xyxy, all 0 if empty."""
    sides = []
    for filled in (masks.any(dim=1), masks.any(dim=2)):  # (K, W), (K, H)
        size = filled.shape[1]
        places = torch.arange(size, device=masks.device)
        low = torch.where(filled, places, size).amin(dim=1)
        high = torch.where(filled, places + 1, 0).amax(dim=1)
        sides.append((torch.minimum(low, high), high))
    (x0, x1), (y0, y1) = sides
    return torch.stack([x0, y0, x1, y1], dim=1).to(torch.float32)


def _moved(
    label: Label, points: Tensor | None, boxes: Tensor | None, move: Callable[[Tensor], Tensor]
) -> Label:
    """The label with new points and boxes, and with its masks and candidates (..., H, W) moved."""
    masks, candidates = label.masks, label.candidates
    if masks is not None:
        masks = move(masks)
    if candidates is not None:
        candidates = replace(candidates, masks=move(candidates.masks))
    return replace(label, points=points, boxes=boxes, masks=masks, candidates=candidates)


def _centres(old: int, new: int) -> Tensor:
    """(new,) the old pixel in which each new pixel's centre lies, in whole numbers only."""
    return (2 * torch.arange(new) + 1) * old // (2 * new)


def _reaches(label: Label, kind: LabelKind) -> Tensor:
    """(K,) bool: which entries are of `kind` or more expensive."""
    return label.entry_kinds >= int(kind)


def _without_vanished(label: Label, lost: Tensor | None = None) -> Label:
    """The label without entries in `lost`, with an empty box, or with an empty mask."""
    keep = torch.ones_like(label.categories, dtype=torch.bool) if lost is None else ~lost
    if label.boxes is not None:
        sides = label.boxes[:, 2:] - label.boxes[:, :2]
        keep &= (sides > 0).all(dim=1) | ~_reaches(label, LabelKind.BOX)
    if label.masks is not None:
        keep &= label.masks.flatten(1).any(dim=1) | ~label.has_mask
    return label if bool(keep.all()) else label[keep]
