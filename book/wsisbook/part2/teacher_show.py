"""What the book shows of a teacher: its record as tables, its answers as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from wsisbook.part0.drawing import draw_box, draw_point, show_picture
from wsisbook.part2.matching_trace import pixels
from wsisbook.runs.paths import repository_root
from wsislib.atomic import read_json
from wsislib.data.geometry import masks_at_points, pairwise_mask_iou
from wsislib.data.sample import Sample
from wsislib.data.world.levels import LevelScenes
from wsislib.labels.weaken import inscribed_centre
from wsislib.models.sam.prompts import Prompts
from wsislib.models.sam.sam import Teacher
from wsislib.viz.figure import PAGE_WIDTH, BookFigure, plain_axes
from wsislib.viz.overlay import tinted
from wsislib.viz.palette import INK, colour, line, marker

_MIN_AREA = 120  # pixels: smaller masks show nothing on a page


def quality_table(quality: Mapping[str, Any]) -> pd.DataFrame:
    """Mean IoU by world, prompt and level, as `judge` measured them."""
    rows = [
        {
            "scenes of": f"the {world}",
            "prompt": kind,
            "level": level,
            "best of three": values["best"],
            "chosen by score": values["chosen"],
            "masks": values["masks"],
        }
        for world, found in quality.items()
        for kind in ("box", "point")
        for level, values in found[kind].items()
    ]
    return pd.DataFrame(rows).set_index(["scenes of", "prompt", "level"])


def photo_quality_table() -> pd.DataFrame:
    """Mean IoU on photographs by teacher, prompt and size, as `wsis teacher measure` wrote it.

    What needs no teacher stands under "no training".
    """
    measured = read_json(repository_root() / "book" / "part2_wish" / "photo_teachers.json")
    rows = []
    for teacher, facts in measured.items():
        for prompt, sizes in facts["quality"].items():
            trained = prompt.startswith(("box", "point"))
            if not trained and teacher != next(iter(measured)):
                continue  # the same for every teacher
            rows += [
                {
                    "masks by": f"{teacher} SAM" if trained else "no training",
                    "prompt": prompt.replace("one look", "first pass"),
                    "objects": size,
                    "best of three": values["best"],
                    "chosen by score": values["chosen"],
                    "masks": values["masks"],
                }
                for size, values in sizes.items()
            ]
    frame = pd.DataFrame(rows).set_index(["masks by", "prompt", "objects"])
    return frame.round({"best of three": 3, "chosen by score": 3})


def meanings_table(quality: Mapping[str, Any]) -> pd.DataFrame:
    """Points by how many masks they may mean: what the candidates cover, how alike they are."""
    titles = {
        "points": "points",
        "covered": "IoU of the best candidate for each valid mask",
        "alike": "IoU of the candidates with one another",
    }
    frame = pd.DataFrame.from_dict(quality["meanings"], orient="index")[list(titles)]
    return frame.rename(columns=titles).rename_axis("valid masks of a point")


def heads_table(quality: Mapping[str, Any]) -> pd.DataFrame:
    """Each candidate's IoU with the nearest mask that was possible, and how often it won."""
    titles = {"iou": "IoU", "chosen": "chosen by score"}
    frame = pd.DataFrame(quality["heads"])[list(titles)].rename(columns=titles)
    return frame.set_index(pd.RangeIndex(1, len(frame) + 1, name="candidate"))


def recipe_table(recipe: Mapping[str, Any]) -> pd.DataFrame:
    """A recipe's settings, one a row."""
    return pd.DataFrame({"value": {key: str(value) for key, value in recipe.items()}})


@dataclass(frozen=True)
class Answer:
    """One prompt on one image and what came back."""

    image: NDArray[np.uint8]  # (H, W, 3) RGB
    masks: NDArray[np.bool_]  # (C, H, W), the candidates
    scores: Sequence[float]  # C predicted IoU
    prompt: Sequence[float]  # xy of a point, or xyxy of a box, in pixels
    iou: Sequence[float] | None = None  # of each with the mask that was meant, where it is known


def ask_box(teacher: Teacher, sample: Sample, entry: int) -> Answer:
    """Ask about the box of an entry of a fully labelled image; IoU is with the entry's mask."""
    label = sample.label
    assert label.boxes is not None and label.masks is not None
    return _ask(teacher, sample, Prompts(boxes=label.boxes[[entry]]), label.masks[[entry]])


def ask_point(teacher: Teacher, sample: Sample, entry: int) -> Answer:
    """Ask about the innermost pixel of an entry; IoU is with the nearest mask that it may mean."""
    masks = sample.label.masks
    assert masks is not None
    point = torch.tensor([inscribed_centre(masks[entry].numpy())])
    return _ask(teacher, sample, Prompts(points=point), masks[masks_at_points(masks, point)[:, 0]])


def _ask(teacher: Teacher, sample: Sample, prompt: Prompts, truths: Tensor) -> Answer:
    (answer,) = teacher.candidates([sample.image], [prompt])
    iou = pairwise_mask_iou(answer.masks[0].flatten(1), truths.flatten(1)).amax(1)  # (C,)
    given = prompt.boxes if prompt.points is None else prompt.points
    assert given is not None
    masks, scores = answer.masks[0].numpy(), answer.scores[0].tolist()
    return Answer(pixels(sample), masks, scores, given[0].tolist(), iou.tolist())


def points_that_mean(scenes: LevelScenes, meanings: int, count: int) -> list[tuple[Sample, int]]:
    """The first entries (one a scene) whose innermost pixel lies in just so many masks.

    One may mean 1 (an object), 2 (a part of it too, or a group) or 3 (all). Image and entry, the
    smallest of the masks; each of the masks is at least one and a half times as large as the one
    before, so that they can be told apart in a picture.

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
        if areas[entry] < _MIN_AREA:
            continue
        point = torch.tensor([inscribed_centre(masks[entry].numpy())])
        sizes = areas[masks_at_points(masks, point)[:, 0]].sort().values.tolist()
        distinct = all(b >= 1.5 * a for a, b in pairwise(sizes))
        if len(sizes) == meanings and sizes[0] == areas[entry] and distinct:
            return entry
    return None


def candidates_figure(answers: Sequence[Answer]) -> Figure:
    """A row for each prompt: the prompt on the image, then every candidate with its score."""
    columns = 1 + len(answers[0].masks)
    side = PAGE_WIDTH / columns
    figure = BookFigure(PAGE_WIDTH, (side + 0.18) * len(answers))
    axes = figure.subplots(len(answers), columns, squeeze=False)
    for row, answer in zip(axes, answers, strict=True):
        _prompted(row[0], answer.image, answer.prompt)
        best = int(np.argmax(answer.scores))
        for place, ax in enumerate(row[1:]):
            _prompted(ax, tinted(answer.image, answer.masks[[place]], place), answer.prompt)
            title = f"score {answer.scores[place]:.2f}"
            if answer.iou is not None:
                title += f", IoU {answer.iou[place]:.2f}"
            ax.set_title(title, fontsize=7, pad=2, fontweight="bold" if place == best else "normal")
    return figure


def loss_figure(curve: Sequence[Mapping[str, float]], names: Mapping[str, str]) -> Figure:
    """Losses by step, a panel each; `names` is column of `curve` -> title."""
    figure = BookFigure(PAGE_WIDTH, 2.2)
    steps = [row["step"] for row in curve]
    grid = figure.subplots(1, len(names), squeeze=False)[0]
    for index, (ax, (name, title)) in enumerate(zip(grid, names.items(), strict=True)):
        plain_axes(ax)
        values = [row[name] for row in curve]
        ax.plot(steps, values, line(index), color=colour(5), marker=marker(index), markersize=2.5)
        ax.set_title(title, fontsize=8)
        ax.set_xlabel("step", fontsize=8)
        ax.set_ylim(0, None)
    return figure


def _prompted(ax: Axes, picture: NDArray[np.uint8], prompt: Sequence[float]) -> None:
    show_picture(ax, picture)
    if len(prompt) == 2:
        draw_point(ax, *prompt)
    else:
        draw_box(ax, prompt, INK, 2.2)
        draw_box(ax, prompt, "white", 1.1)
