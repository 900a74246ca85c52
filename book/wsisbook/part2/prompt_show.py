"""What the book shows of SAM's prompt tokens: the space they live in, and distances in it.

A token (Kirillov et al. 2023, section 3; Tancik et al. 2020) is a position in random Fourier
features, [sin 2 pi Bp, cos 2 pi Bp] with p in -1..1, plus a learnt vector that says what kind of
prompt it is. Positions are (N, 2) float32 xy in pixels, sizes (H, W).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsislib.data.sample import Label, LabelKind
from wsislib.losses.prompts import PromptDistance
from wsislib.models.sam.prompts import Prompts, Size
from wsislib.models.sam.sam import Teacher
from wsislib.models.wish.prompt_head import PromptHead, Tokens

Floats = NDArray[np.float64]
FOREGROUND = 1  # row of the package's `point_embeddings`: a point on the object


def tokens_of(teacher: Teacher, prompts: Prompts, size: Size, tokens: Tokens = "mean") -> Tensor:
    """Z (N, T, D) of points or boxes, as `PromptHead.targets` gives it to matcher and loss."""
    categories = torch.zeros(len(prompts), dtype=torch.int64)
    kind = LabelKind.POINT if prompts.boxes is None else LabelKind.BOX
    label = Label(kind, categories, points=prompts.points, boxes=prompts.boxes)
    return PromptHead(1, 1, teacher.width, tokens).targets(label, size, teacher)


def grid_of_points(size: Size, step: int) -> Tensor:
    """(h * w, 2) xy: the middle of every `step`-th pixel, row by row."""
    rows, columns = (torch.arange(step // 2, side, step) + 0.5 for side in size)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], 1)


def position_part(teacher: Teacher, points: Tensor, size: Size) -> Tensor:
    """(N, D) what of a point's token says where it is: the token without its kind's vector."""
    token = teacher.prompt_embeddings(Prompts(points=points), size)[:, 0]
    return token - teacher.sam.prompt_encoder.point_embeddings[FOREGROUND].weight.detach()


@dataclass(frozen=True)
class Space:
    """Tokens of a grid of points, and of the same places as corners of boxes.

    Attributes:
        kinds: (3 N, 2) the two directions in which points, first and second corners differ most.
        points: (N, 2) the same of points alone.
        places: (N, 2) xy in pixels of those points.
        shares: (D,) of the variance of points' tokens by direction, largest first.
    """

    kinds: Floats
    points: Floats
    places: Floats
    shares: Floats


def space_of(teacher: Teacher, size: Size, step: int = 4) -> Space:
    """The prompt space of images of `size`, seen from places `step` pixels apart."""
    places = grid_of_points(size, step)
    points = teacher.prompt_embeddings(Prompts(points=places), size)[:, 0]
    width, height = float(size[1]), float(size[0])
    corner = torch.tensor([[width, height]]).expand_as(places)
    first = teacher.prompt_embeddings(Prompts(boxes=torch.cat([places, corner], 1)), size)[:, 0]
    origin = torch.zeros_like(places)
    second = teacher.prompt_embeddings(Prompts(boxes=torch.cat([origin, places], 1)), size)[:, 1]
    all_kinds, _ = _principal(torch.cat([points, first, second]))
    alone, shares = _principal(points)
    return Space(all_kinds, alone, places.double().numpy(), shares)


def likeness(
    teacher: Teacher, size: Size, pairs: int, generator: torch.Generator
) -> tuple[Floats, Floats]:
    """Cosine of the position parts of random pairs of points, and their distance in pixels.

    Half of the pairs lie within an eighth of the sides, so that short distances are not rare.
    """
    scale = torch.tensor([size[1], size[0]])
    one = torch.rand(pairs, 2, generator=generator) * scale
    other = torch.rand(pairs, 2, generator=generator) * scale
    near = one + (other / scale - 0.5) * scale / 4
    other[::2] = torch.minimum(near.clamp(min=0), scale.float())[::2]
    first, second = (position_part(teacher, points, size) for points in (one, other))
    cosine = torch.nn.functional.cosine_similarity(first, second, dim=1)
    return (one - other).norm(dim=1).double().numpy(), cosine.double().numpy()


def expected_likeness(far: Floats, side: int) -> Floats:
    """Mean of that cosine over all frequencies that could have been drawn.

    It is exp(-2 (pi u)^2) for normal frequencies of variance 1, u = 2 `far` / `side` being the
    distance in the coordinates -1..1.
    """
    return np.exp(-2.0 * (math.pi * 2.0 * far / side) ** 2)


def distance_maps(
    teacher: Teacher,
    said: Tensor,
    size: Size,
    distances: Mapping[str, PromptDistance],
    step: int = 2,
) -> dict[str, Floats]:
    """How far an answer is from point prompts all over the image.

    Args:
        teacher: whose tokens.
        said: (1, D) what a query says.
        size: of the image.
        distances: by name.
        step: pixels from place to place.

    Returns:
        By name (h, w).
    """
    wanted = tokens_of(teacher, Prompts(points=grid_of_points(size, step)), size)  # (h w, 1, D)
    height = len(range(step // 2, size[0], step))
    return {
        name: distance.between(said[None, None], wanted)[0, 0].view(height, -1).double().numpy()
        for name, distance in distances.items()
    }


def corner_maps(teacher: Teacher, boxes: Tensor, size: Size, step: int = 2) -> list[Floats]:
    """Where each box's mean token says that there are corners.

    Args:
        teacher: whose tokens.
        boxes: (N, 4) xyxy.
        size: of the image.
        step: pixels from place to place.

    Returns:
        N of (h, w): product of the token, without what says that it is a box, with the position
        part of every place; 1 is the product of a place with itself.
    """
    places = position_part(teacher, grid_of_points(size, step), size)  # (h w, D)
    mean = tokens_of(teacher, Prompts(boxes=boxes), size)[:, 0]
    kinds = [teacher.sam.prompt_encoder.point_embeddings[row].weight for row in (2, 3)]
    told = mean - torch.cat(kinds).mean(0).detach()
    height = len(range(step // 2, size[0], step))
    products = told @ places.t() / (teacher.width / 2)  # (N, h w)
    return [row.view(height, -1).double().numpy() for row in products]


def shape_map(
    teacher: Teacher, box: Tensor, sides: Sequence[float], size: Size, tokens: Tokens
) -> Floats:
    """Distance (KL) of a box from boxes about the same centre, by their height and width.

    Args:
        teacher: whose tokens.
        box: (4,) xyxy.
        sides: S lengths in pixels, for heights and for widths.
        size: of the image; boxes may be larger, tokens do not mind.
        tokens: shape of the prompt.

    Returns:
        (S, S): rows are heights, columns are widths.
    """
    lengths = torch.tensor(sides, dtype=torch.float32)
    height, width = torch.meshgrid(lengths, lengths, indexing="ij")
    half = torch.stack([width.flatten(), height.flatten()], 1) / 2
    centre = (box[:2] + box[2:]) / 2
    others = torch.cat([centre - half, centre + half], 1)
    said = tokens_of(teacher, Prompts(boxes=box[None]), size, tokens)
    wanted = tokens_of(teacher, Prompts(boxes=others), size, tokens)
    return PromptDistance().between(said[None], wanted)[0, 0].view(len(sides), -1).double().numpy()


def _principal(tokens: Tensor) -> tuple[Floats, Floats]:
    """(N, 2) coordinates in the two directions of most variance, and all shares of variance."""
    centred = (tokens - tokens.mean(0)).double()
    rotated, spread, _ = torch.linalg.svd(centred, full_matrices=False)
    variance = spread.square()
    return (rotated * spread)[:, :2].numpy(), (variance / variance.sum()).numpy()
