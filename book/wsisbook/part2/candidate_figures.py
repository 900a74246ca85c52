"""Pictures of what a segmenter answers to prompts: candidates, scores, and how it learnt them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from wsislib.viz.figure import PAGE_WIDTH, BookFigure, plain_axes
from wsislib.viz.overlay import tinted
from wsislib.viz.palette import INK, colour, line, marker


@dataclass(frozen=True)
class Answer:
    """One prompt on one image and what came back.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        masks: (C, H, W) bool, the candidates.
        scores: (C,) predicted IoU.
        prompt: xy of a point, or xyxy of a box, in pixels.
        truths: IoU of each candidate with the mask that was meant, where it is known.
    """

    image: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    scores: Sequence[float]
    prompt: Sequence[float]
    truths: Sequence[float] | None = None


def candidates_figure(answers: Sequence[Answer]) -> Figure:
    """A row for each prompt: the prompt on the image, then every candidate with its score."""
    columns = 1 + len(answers[0].masks)
    side = PAGE_WIDTH / columns
    figure = BookFigure(PAGE_WIDTH, (side + 0.18) * len(answers))
    axes = figure.subplots(len(answers), columns, squeeze=False)
    for row, answer in zip(axes, answers, strict=True):
        _show(row[0], answer.image, answer.prompt)
        best = int(np.argmax(answer.scores))
        for place, ax in enumerate(row[1:]):
            _show(ax, tinted(answer.image, answer.masks[[place]], place), answer.prompt)
            said = f"score {answer.scores[place]:.2f}"
            if answer.truths is not None:
                said += f", IoU {answer.truths[place]:.2f}"
            ax.set_title(said, fontsize=7, pad=2, fontweight="bold" if place == best else "normal")
    return figure


def course_figure(curve: Sequence[Mapping[str, float]], names: Mapping[str, str]) -> Figure:
    """How losses fell: one panel for each.

    Args:
        curve: rows with `step` and the losses.
        names: column of `curve` -> what to call it.
    """
    figure = BookFigure(PAGE_WIDTH, 2.2)
    steps = [row["step"] for row in curve]
    for index, (ax, (name, said)) in enumerate(
        zip(figure.subplots(1, len(names), squeeze=False)[0], names.items(), strict=True)
    ):
        plain_axes(ax)
        values = [row[name] for row in curve]
        ax.plot(steps, values, line(index), color=colour(5), marker=marker(index), markersize=2.5)
        ax.set_title(said, fontsize=8)
        ax.set_xlabel("step", fontsize=8)
        ax.set_ylim(0, None)
    return figure


def _show(ax: Axes, picture: NDArray[np.uint8], prompt: Sequence[float]) -> None:
    height, width = picture.shape[:2]
    ax.imshow(picture, interpolation="nearest", extent=(0, width, height, 0))
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    if len(prompt) == 2:
        ax.plot(*prompt, "o", color="white", markeredgecolor=INK, markersize=5)
        return
    x0, y0, x1, y1 = prompt
    for shade, thick in ((INK, 2.2), ("white", 1.1)):
        ax.add_patch(
            Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=shade, linewidth=thick)
        )
