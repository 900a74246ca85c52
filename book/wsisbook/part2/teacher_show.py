"""What the book shows of a teacher: its record as tables, its answers as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import torch

from wsisbook.part2.candidate_figures import Answer
from wsislib.data.sample import Sample
from wsislib.data.world.levels import LevelScenes
from wsislib.models.sam.prompts import Prompts
from wsislib.models.sam.sam import MaskCandidates, Teacher
from wsislib.recipes.sam_quality import mask_iou

_LEAST_AREA = 120  # pixels: smaller masks show nothing on a page


def quality_table(quality: Mapping[str, Any]) -> pd.DataFrame:
    """Mean IoU by world, prompt and level, as `judge` measured them."""
    rows = [
        {
            "scenes of": f"the {world}'s world",
            "prompt": kind,
            "meant": level,
            "best of three": values["best"],
            "chosen by score": values["chosen"],
            "masks": values["masks"],
        }
        for world, found in quality.items()
        for kind in ("box", "point")
        for level, values in found[kind].items()
    ]
    return pd.DataFrame(rows).set_index(["scenes of", "prompt", "meant"])


def meanings_table(quality: Mapping[str, Any]) -> pd.DataFrame:
    """Points by how many masks they may mean: what the candidates cover, how alike they are."""
    rows = {
        count: {
            "points": values["points"],
            "IoU of the best candidate for each meaning": values["covered"],
            "IoU of the candidates with one another": values["alike"],
        }
        for count, values in quality["meanings"].items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("masks a point may mean")


def heads_table(quality: Mapping[str, Any]) -> pd.DataFrame:
    """Each candidate's IoU with the nearest mask that was possible, and how often it won."""
    rows = [
        {"candidate": i + 1, "IoU": head["iou"], "chosen by score": head["chosen"]}
        for i, head in enumerate(quality["heads"])
    ]
    return pd.DataFrame(rows).set_index("candidate")


def recipe_table(recipe: Mapping[str, Any]) -> pd.DataFrame:
    """A recipe's settings, one a row."""
    return pd.DataFrame({"value": {key: str(value) for key, value in recipe.items()}})


def ask(teacher: Teacher, sample: Sample, entries: Sequence[int], kind: str) -> list[Answer]:
    """Prompt a teacher with entries of a fully labelled image.

    Args:
        teacher: to ask.
        sample: with boxes and masks.
        entries: which of its entries.
        kind: "box" for their boxes; "point" for the pixel deepest inside each mask.
    """
    label = sample.label
    assert label.boxes is not None and label.masks is not None
    masks = label.masks[list(entries)]
    if kind == "box":
        prompts = Prompts(boxes=label.boxes[list(entries)])
    else:
        prompts = Prompts(points=torch.stack([deepest(mask) for mask in masks]))
    (found,) = teacher.candidates([sample.image], [prompts])
    given = prompts.boxes if prompts.points is None else prompts.points
    assert given is not None
    return [_answer(sample, found, i, given[i].tolist(), masks[i]) for i in range(len(masks))]


def ask_point(teacher: Teacher, sample: Sample, entry: int) -> Answer:
    """Ask about the deepest pixel of an entry; IoU is with the nearest mask that it may mean."""
    (answer,) = ask(teacher, sample, [entry], "point")
    label = sample.label
    assert label.masks is not None
    x, y = (int(value) for value in answer.prompt)
    meant = label.masks[label.masks[:, y, x]]  # (T, H, W)
    table = mask_iou(torch.from_numpy(answer.masks)[None], meant)[0]  # (3, T)
    return replace(answer, truths=table.amax(1).tolist())


def points_that_mean(scenes: LevelScenes, meanings: int, count: int) -> list[tuple[Sample, int]]:
    """The first entries (one a scene) whose deepest pixel lies in just so many masks.

    Args:
        scenes: with masks at every level.
        meanings: 1 (an object), 2 (a part of it too, or a group) or 3 (all).
        count: how many to find.

    Returns:
        Image and entry, the smallest of the masks; each of the masks is at least one and a half
        times as large as the one before, so that they can be told apart in a picture.

    Raises:
        ValueError: the scenes hold too few.
    """
    found: list[tuple[Sample, int]] = []
    for index in range(len(scenes)):
        entry = _entry_that_means(scenes[index], meanings)
        if entry is not None:
            found.append((scenes[index], entry))
        if len(found) == count:
            return found
    raise ValueError(f"{len(scenes)} scenes hold only {len(found)} points of {meanings} meanings")


def _entry_that_means(sample: Sample, meanings: int) -> int | None:
    masks = sample.label.masks
    assert masks is not None
    areas = masks.flatten(1).sum(1)  # (M,)
    for entry in torch.argsort(areas).tolist():
        if areas[entry] < _LEAST_AREA:
            continue
        x, y = (int(value) for value in deepest(masks[entry]))
        sizes = areas[masks[:, y, x]].sort().values.double()
        apart = bool((sizes[1:] >= 1.5 * sizes[:-1]).all())
        if len(sizes) == meanings and float(sizes[0]) == float(areas[entry]) and apart:
            return entry
    return None


def _answer(
    sample: Sample, found: MaskCandidates, i: int, prompt: list[float], mask: torch.Tensor
) -> Answer:
    truths = mask_iou(found.masks[i : i + 1], mask[None])[0, :, 0]  # (3,)
    picture = (sample.image * 255).round().byte().permute(1, 2, 0).numpy()
    return Answer(
        picture, found.masks[i].numpy(), found.scores[i].tolist(), prompt, truths.tolist()
    )


def deepest(mask: torch.Tensor) -> torch.Tensor:
    """(2,) xy of the middle of a pixel of (H, W) that lies farthest from what is outside."""
    from scipy.ndimage import distance_transform_edt

    padded = torch.nn.functional.pad(mask, (1, 1, 1, 1)).numpy()
    depth = distance_transform_edt(padded)[1:-1, 1:-1]
    y, x = divmod(int(depth.argmax()), mask.shape[1])
    return torch.tensor([x + 0.5, y + 0.5])
