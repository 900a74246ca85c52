"""A label or detections drawn over their image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from torch import Tensor

from wsislib.data.sample import Category, Detections, Label, LabelKind
from wsislib.viz.lettering import is_drawable
from wsislib.viz.palette import PALE, colour, rgb, text_colour

TEXT_SIZE = 6.5
LETTER_WIDTH = 0.6  # of its height, on average
TAG_LINES = 8  # tags that fit over one another; the rest are counted
ENOUGH_ROOM = 6.0  # between names, in hundredths of the image's height


@dataclass(frozen=True)
class Style:
    """How overlays look."""

    alpha: float = 0.35  # opacity of masks, 0..1
    min_score: float = 0.5  # detections below it are left out, 0..1
    show_names: bool = True  # write category names (and scores) at the instances


def draw_overlay(
    axes: Axes,
    image: Tensor,
    shown: Label | Detections | None,
    names: Sequence[str | Category],
    style: Style | None = None,
) -> Axes:
    """Draw an image with its label or detections into axes.

    `image` is (3, H, W) RGB, float in 0..1 or uint8; `shown` None leaves it bare; `names` are those
    of the C categories, by index. Masks are translucent with a contour, boxes are outlines, points
    are dots and tags are words in the corner. Colours go by category. Coordinates of `axes` become
    pixels of the image, pixel centres at +0.5. Raises ValueError where the image is not (3, H, W)
    or a category has no name.
    """
    style = style or Style()
    pixels = image_array(image)
    height, width = pixels.shape[:2]
    if isinstance(shown, Detections):
        shown = _confident(shown, style.min_score)
    if shown is not None:
        if len(shown) and int(shown.categories.max()) >= len(names):
            unnamed = int(shown.categories.max())
            raise ValueError(f"category {unnamed} has no name: {len(names)} names were given")
        colours = [colour(int(category)) for category in shown.categories]
        if shown.masks is not None:
            pixels = paint(pixels, shown.masks.cpu().numpy(), colours, style.alpha)
    axes.imshow(pixels, extent=(0, width, height, 0), interpolation="nearest")
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_axis_off()
    if shown is not None:
        _draw_shapes(axes, shown, colours)
        if isinstance(shown, Label) and shown.kind == LabelKind.TAG:
            _draw_tags(axes, [_name(names, c) for c in shown.categories.tolist()], colours)
        elif style.show_names:
            _draw_names(axes, shown, names, colours)
    return axes


def paint(
    pixels: NDArray[np.float32], masks: NDArray[np.bool_], colours: Sequence[str], alpha: float
) -> NDArray[np.float32]:
    """A copy of an image (H, W, 3), float in 0..1, under translucent masks (K, H, W) bool.

    Large masks go below small ones; `colours` are K times "#RRGGBB", `alpha` is in 0..1.
    """
    painted = pixels.copy()
    for entry in np.argsort(-masks.sum(axis=(1, 2)), kind="stable"):
        mask = masks[entry]
        painted[mask] = (1 - alpha) * painted[mask] + alpha * rgb(colours[entry])
    return painted


def tinted(image: NDArray[np.uint8], masks: NDArray[np.bool_], first: int = 0) -> NDArray[np.uint8]:
    """The (H, W, 3) image greyed and paled, each mask (K, H, W) in the palette's next colour."""
    grey = image.mean(axis=2, keepdims=True)
    shown = np.repeat(0.45 * grey + 0.55 * 235, 3, axis=2)
    for k, mask in enumerate(masks):
        tint = 255 * rgb(colour(first + k))
        shown[mask] = 0.5 * grey[mask] + 0.6 * tint
    return np.clip(shown, 0, 255).astype(np.uint8)


def image_array(image: Tensor) -> NDArray[np.float32]:
    """(3, H, W) tensor, float in 0..1 or uint8 in 0..255 -> (H, W, 3) float32 in 0..1."""
    if image.ndim != 3 or image.shape[0] != 3:
        raise ValueError(f"an image is (3, H, W) RGB; this one is {tuple(image.shape)}")
    pixels = image.detach().cpu().permute(1, 2, 0).numpy().astype(np.float32)  # (H, W, 3)
    return np.clip(pixels if image.is_floating_point() else pixels / 255, 0, 1)


def _draw_shapes(axes: Axes, shown: Label | Detections, colours: Sequence[str]) -> None:
    if shown.masks is not None:
        for mask, tone in zip(shown.masks.cpu().numpy(), colours, strict=True):
            draw_contour(axes, mask, tone)
    if isinstance(shown, Label) and shown.boxes is not None:
        for entry in (~shown.has_mask).nonzero().flatten().tolist():  # a mask shows its box already
            x0, y0, x1, y1 = shown.boxes[entry].tolist()
            look: dict[str, Any] = {"fill": False, "edgecolor": colours[entry], "linewidth": 1.5}
            axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, **look))
    if isinstance(shown, Label) and shown.points is not None:
        x, y = shown.points.cpu().numpy().T
        axes.scatter(x, y, s=28, c=list(colours), edgecolors="white", linewidths=1.0, zorder=3)


def draw_contour(axes: Axes, mask: NDArray[np.bool_], tone: str) -> None:
    """Outline a mask (H, W) in pixels of its image; an empty one leaves no mark."""
    if not mask.any():
        return
    padded = np.pad(mask, 1).astype(np.float32)  # so that masks at the border close
    y, x = (np.arange(-0.5, side + 1) for side in mask.shape)
    axes.contour(x, y, padded, levels=[0.5], colors=[tone], linewidths=1.1)


def _draw_names(
    axes: Axes, shown: Label | Detections, names: Sequence[str | Category], colours: Sequence[str]
) -> None:
    unit = axes.get_ylim()[0] / 100  # the y axis points down, from the height to 0
    places = _places(shown, unit)
    inches = axes.get_window_extent().height / axes.figure.dpi  # about: no layout yet
    letter = TEXT_SIZE / 72 / inches * 100 * unit  # the height of a letter in the image's pixels
    for entry, category in enumerate(shown.categories.tolist()):
        words = _name(names, category)
        if isinstance(shown, Detections):
            words = f"{words} {float(shown.scores[entry]):.2f}"
        x, y = places[entry]
        text = axes.text(max(x, 0), max(y, 0), words, clip_on=True)
        # A name that would leave the image hangs from its upper, or ends at its right border.
        side = "top" if y < max(4 * unit, 1.5 * letter) else "bottom"
        if x + LETTER_WIDTH * letter * len(words) > axes.get_xlim()[1]:
            text.set(x=axes.get_xlim()[1], ha="right")
        text.set(va=side, fontsize=TEXT_SIZE, **_on(colours[entry]))


def _draw_tags(axes: Axes, words: Sequence[str], colours: Sequence[str]) -> None:
    shown = list(zip(words, colours, strict=True))
    if len(shown) > TAG_LINES:
        more = len(shown) - TAG_LINES + 1
        shown = [*shown[: TAG_LINES - 1], (f"and {more} more", PALE)]
    for place, (word, tone) in enumerate(shown):
        text = axes.text(0.03, 0.97 - 0.95 * place / TAG_LINES, word, transform=axes.transAxes)
        text.set(va="top", fontsize=TEXT_SIZE, **_on(tone))


def _on(tone: str) -> dict[str, Any]:
    """Text on a coloured ground."""
    ground = {"facecolor": tone, "edgecolor": "none", "pad": 0.8, "alpha": 0.85}
    return {"color": text_colour(tone), "bbox": ground, "zorder": 4}


def _places(shown: Label | Detections, unit: float) -> list[tuple[float, float]]:
    """The corner of each entry's box, or side of its point, with most room to earlier names."""
    if shown.boxes is not None:
        offered = [((x0, y0), (x0, y1)) for x0, y0, _, y1 in shown.boxes.tolist()]
    elif isinstance(shown, Label) and shown.points is not None:
        offered = [((x + unit, y), (x + unit, y + 4 * unit)) for x, y in shown.points.tolist()]
    else:
        offered = [((0.0, 0.0), (0.0, 4 * unit))] * len(shown)
    chosen: list[tuple[float, float]] = []
    for corners in offered:
        chosen.append(max(corners, key=lambda place: _room(place, chosen, unit)))
    return chosen


def _room(place: tuple[float, float], taken: Sequence[tuple[float, float]], unit: float) -> float:
    """Pixels to the nearest name; names are wide and flat, so sideways counts for less."""
    gaps = [abs(place[0] - x) / 3 + abs(place[1] - y) for x, y in taken]
    return min([*gaps, ENOUGH_ROOM * unit])


def _confident(every: Detections, min_score: float) -> Detections:
    rows = every.scores >= min_score
    fields = (every.boxes, every.scores, every.categories, every.masks)
    return Detections(*(field[rows] for field in fields))


def _name(names: Sequence[str | Category], index: int) -> str:
    """A category's name, or its number where the font cannot write it."""
    given = names[index]
    name, number = (given.name, given.id) if isinstance(given, Category) else (given, index)
    return name if is_drawable(name) else f"#{number}"
