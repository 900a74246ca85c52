"""Pictures of a matching: the queries, their costs with the instances, the choice of masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from wsisbook.part0.drawing import draw_box, show_picture
from wsislib.viz.figure import PAGE_WIDTH, BookFigure
from wsislib.viz.overlay import tinted
from wsislib.viz.palette import INK, PALE, colour, rgb, text_colour

Picture = NDArray[np.uint8]
Masks = NDArray[np.bool_]
Floats = NDArray[np.float64]
Pair = tuple[int, int]  # query, instance


@dataclass(frozen=True)
class Choice:
    """One matched pair and the candidates that it chose from."""

    image: Picture  # (H, W, 3)
    instance: int
    prompt: Sequence[float]  # xy of a point or xyxy of a box
    query: Masks  # (H, W), the query's mask
    candidates: Masks  # (K, H, W)
    costs: Sequence[float]  # K weighted mask costs
    reasons: Sequence[str]  # K reasons to be left out, empty for those that are let through
    chosen: int  # which was nearest of those


def queries_figure(
    image: Picture, prompts: Sequence[Sequence[float]], masks: Masks,
    titles: Sequence[str], pairs: Sequence[Pair], columns: int = 6,
) -> Figure:  # fmt: skip
    """The label, then every query's prediction; a matched query has its instance's colour.

    `image` (H, W, 3), N `prompts` xy or xyxy, `masks` (Q, H, W), Q `titles`; `pairs` are matched.
    """
    rows = -(-(1 + len(masks)) // columns)
    side = PAGE_WIDTH / columns
    figure = BookFigure(PAGE_WIDTH, (side + 0.2) * rows)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    show_picture(axes[0], image)
    axes[0].set_title("the label", fontsize=7, pad=2)
    for number, prompt in enumerate(prompts):
        _prompt(axes[0], prompt, number)
    matched = dict(pairs)
    for query, (ax, mask, title) in enumerate(zip(axes[1:], masks, titles, strict=False)):
        weight = "normal"
        if query in matched:
            shade, weight = _tone(matched[query]), "bold"
            show_picture(ax, tinted(image, mask[None], shade))
            _frame(ax, colour(shade))
        else:
            show_picture(ax, _grey(image, mask))
        ax.set_title(f"{query}: {title}", fontsize=6.5, pad=2, fontweight=weight)
    for ax in axes[1 + len(masks) :]:
        ax.set_visible(False)
    return figure


def costs_figure(
    parts: Mapping[str, Floats], pairs: Sequence[Pair], names: Sequence[str]
) -> Figure:
    """Cost matrices, coloured by how much above the lowest of its column a cost lies.

    Only that decides who is matched, and all panels share one scale: what cannot decide looks flat.
    `parts` is title -> (Q, N) weighted costs; `pairs` are matched, and ringed; N instance `names`.
    """
    first = next(iter(parts.values()))
    figure = BookFigure(PAGE_WIDTH, 0.75 + 0.17 * len(first))
    grid = figure.subplots(1, len(parts), squeeze=False, sharey=True)[0]
    above = {title: values - values.min(axis=0) for title, values in parts.items()}
    span = max(float(values.max()) for values in above.values()) or 1.0
    for ax, (title, values) in zip(grid, parts.items(), strict=True):
        ax.imshow(above[title], cmap="viridis_r", vmin=0, vmax=span, aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            tone = "white" if above[title][row, column] > 0.55 * span else INK
            ax.text(column, row, f"{value:.2f}", fontsize=5.5, ha="center", va="center", color=tone)
        for query, instance in pairs:
            corner = (instance - 0.5, query - 0.5)
            ax.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=colour(2), linewidth=1.8))
        ax.set_title(title, fontsize=8)
        ax.set_xticks(range(len(names)), names, fontsize=6.5, rotation=30, ha="right")
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
    grid[0].set_yticks(range(len(first)), [f"query {q}" for q in range(len(first))], fontsize=6.5)
    return figure


def choices_figure(choices: Sequence[Choice]) -> Figure:
    """A line for each pair: the query's mask, then the candidates with what each costs.

    Those that the gate leaves out are struck through and say why; the chosen one is framed.
    """
    columns = 1 + len(choices[0].candidates)
    side = PAGE_WIDTH / (columns + 1)
    figure = BookFigure(side * columns, (side + 0.2) * len(choices))
    grid = figure.subplots(len(choices), columns, squeeze=False)
    for row, choice in zip(grid, choices, strict=True):
        tone = _tone(choice.instance)
        show_picture(row[0], tinted(choice.image, choice.query[None], tone))
        _prompt(row[0], choice.prompt, choice.instance)
        row[0].set_title(f"the query for {choice.instance}", fontsize=7, pad=2)
        for place, ax in enumerate(row[1:]):
            show_picture(ax, tinted(choice.image, choice.candidates[[place]], tone))
            title = f"cost {choice.costs[place]:.2f}"
            if choice.reasons[place]:
                ax.plot([0, 1], [0, 1], transform=ax.transAxes, color=PALE, linewidth=1.2)
                title += f", {choice.reasons[place]}"
            chosen = place == choice.chosen
            ax.set_title(title, fontsize=7, pad=2, fontweight="bold" if chosen else "normal")
            if chosen:
                _frame(ax, colour(tone))
    return figure


def _tone(instance: int) -> int:
    """Place in the palette; greenish yellow is lost on pale pictures."""
    return (0, 5, 2, 3, 6, 1)[instance % 6]


def _grey(image: Picture, mask: Masks) -> Picture:
    """The mask of an unmatched query, dark on the paled picture."""
    shown = tinted(image, mask[None][:0]).astype(np.float32)
    shown[mask] = 0.55 * shown[mask] + 0.2 * 255 * rgb(PALE)
    return np.clip(shown, 0, 255).astype(np.uint8)


def _frame(ax: Axes, tone: str) -> None:
    ax.spines[:].set_visible(True)
    ax.spines[:].set_color(tone)
    ax.spines[:].set_linewidth(2.2)


def _prompt(ax: Axes, prompt: Sequence[float], number: int) -> None:
    """A numbered point or box in its instance's colour."""
    tone = colour(_tone(number))
    if len(prompt) == 4:
        draw_box(ax, prompt, "white", 2.4)
        draw_box(ax, prompt, tone, 1.4)
    spot = {"boxstyle": "circle,pad=0.15", "facecolor": tone, "edgecolor": "white", "lw": 0.6}
    ax.text(prompt[0], prompt[1], str(number), fontsize=6, ha="center", va="center",
            color=text_colour(tone), bbox=spot)  # fmt: skip
