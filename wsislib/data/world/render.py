"""From a layout to pixels. Every shape is drawn on its own patch, never on the whole canvas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, cos, floor, pi, sin

import numpy as np
from numpy.typing import NDArray

from wsislib.data.world.factors import HOLES, PARTS
from wsislib.data.world.layout import CLUTTER, Backdrop, Layout, WorldObject
from wsislib.data.world.outlines import TABLE_SIZE, Outline
from wsislib.data.world.spec import REFERENCE_SIZE
from wsislib.data.world.textures import Pattern, Plane

PART_BIT = np.uint8(128)  # set in an id map where the pixel belongs to a part of its object

Bytes = NDArray[np.uint8]

_TURN = np.float32(TABLE_SIZE / (2 * pi))
_WINDOW = 0.5  # of the outline's radius
_SLOT = (0.42, 0.17)  # half width and half height, in radii
_RIM = 0.68  # of the outline's radius
_CAP = -0.2  # height, in radii
_NOISE_SIDE = 512


@dataclass(frozen=True)
class Brushes:
    """The world's drawing tools: outlines, object patterns, backdrop patterns, noise."""

    outlines: tuple[Outline, ...]
    patterns: tuple[Pattern, ...]
    textures: tuple[Pattern, ...]
    noise: Plane  # (512, 512) of standard deviation 1


@dataclass(frozen=True)
class Patch:
    """One object's coordinates on the (h, w) pixels of the canvas that it may touch."""

    rows: slice
    columns: slice
    u: Plane  # (h, w) float32, coordinate along the object's first axis, in its radii
    v: Plane
    cover: Plane  # (h, w) float32, share of each pixel that the object covers; inside above 0.5
    depth: Plane  # (h, w) float32, distance from the centre over the outline's radius there


def lay_patch(thing: WorldObject, outline: Outline, size: int) -> Patch | None:
    """The object's patch on a canvas of this size, None where it lies outside."""
    c, s = cos(thing.tilt), sin(thing.tilt)
    margin = outline.reach + 0.5 / (size * min(thing.rx, thing.ry))
    half_x = margin * (thing.rx * abs(c) + thing.ry * abs(s))
    half_y = margin * (thing.rx * abs(s) + thing.ry * abs(c))
    x0, x1 = max(0, floor((thing.x - half_x) * size)), min(size, ceil((thing.x + half_x) * size))
    y0, y1 = max(0, floor((thing.y - half_y) * size)), min(size, ceil((thing.y + half_y) * size))
    if x0 >= x1 or y0 >= y1:
        return None
    dx = (np.arange(x0, x1, dtype=np.float32) + np.float32(0.5)) / size - thing.x
    dy = ((np.arange(y0, y1, dtype=np.float32) + np.float32(0.5)) / size - thing.y)[:, None]
    u = dx * np.float32(c / thing.rx) + dy * np.float32(s / thing.rx)  # (h, w)
    v = dx * np.float32(-s / thing.ry) + dy * np.float32(c / thing.ry)
    far = np.sqrt(u * u + v * v)
    angle = ((np.arctan2(v, u) + np.float32(pi)) * _TURN).astype(np.int32)
    edge = outline.radius.take(angle, mode="clip")
    pixels = np.float32(size * (thing.rx * thing.ry) ** 0.5)
    cover = np.clip((edge - far) * pixels + np.float32(0.5), 0, 1)
    depth = far / edge
    if HOLES[thing.hole] == "window":
        inner = (np.float32(_WINDOW) * edge - far) * pixels
        cover *= np.clip(np.float32(0.5) - inner, 0, 1)
    elif HOLES[thing.hole] == "slot":
        inner = np.minimum(_SLOT[0] - np.abs(u), _SLOT[1] - np.abs(v)) * pixels
        cover *= np.clip(np.float32(0.5) - inner, 0, 1)
    return Patch(slice(y0, y1), slice(x0, x1), u, v, cover, depth)


def part_region(thing: WorldObject, patch: Patch) -> NDArray[np.bool_] | None:
    """(h, w) bool: where the object's part is, None for an object without one."""
    if PARTS[thing.part] == "rim":
        return patch.depth > _RIM
    if PARTS[thing.part] == "cap":
        return patch.v < _CAP
    return None


def _paint(canvas: Plane, thing: WorldObject, patch: Patch, pattern: Pattern, size: int) -> None:
    c, s = cos(thing.turn) / thing.pitch, sin(thing.turn) / thing.pitch
    p = patch.u * np.float32(c) + (patch.v * np.float32(s) + np.float32(thing.shift[0]))
    q = patch.v * np.float32(c) - (patch.u * np.float32(s) - np.float32(thing.shift[1]))
    pixels = size * (thing.rx * thing.ry) ** 0.5
    share = pattern(p, q, 0.5 * pixels * thing.pitch)
    shade = patch.u * np.float32(thing.light[0]) + (patch.v * np.float32(thing.light[1]) + 1)
    shade -= np.float32(0.22) * patch.depth**4  # darker towards the edge: objects look round
    body, second, pale = np.array(thing.colours, dtype=np.float32)[:, :, None, None]
    look = body + (second - body) * share  # (3, h, w)
    if PARTS[thing.part] == "rim":
        look *= 1 - np.float32(0.6) * np.clip((patch.depth - _RIM) * pixels + 0.5, 0, 1)
    elif PARTS[thing.part] == "cap":
        look += (pale - look) * (0.8 * np.clip((_CAP - patch.v) * pixels + 0.5, 0, 1))
    look *= shade
    under = canvas[:, patch.rows, patch.columns]
    under += (look - under) * patch.cover


def _backdrop(back: Backdrop, pattern: Pattern | None, size: int) -> tuple[Plane, Plane]:
    """Canvas (3, H, W) in 0..255 and the light (H, W) that falls on the whole scene."""
    at = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / size
    light = (at * np.float32(back.light[0])) + (at * np.float32(back.light[1]))[:, None]
    light += np.float32(1 - 0.5 * sum(back.light))
    first, second = np.array(back.colours, dtype=np.float32)[:, :, None, None]
    if pattern is None:
        return np.repeat(np.repeat(first, size, 1), size, 2), light
    c, s = cos(back.turn) / back.pitch, sin(back.turn) / back.pitch
    p = at * np.float32(c) + (at * np.float32(s) + np.float32(back.shift[0]))[:, None]
    q = at * np.float32(-s) + (at * np.float32(c) + np.float32(back.shift[1]))[:, None]
    return first + (second - first) * pattern(p, q, 0.5 * size * back.pitch), light


def _finish(canvas: Plane, light: Plane, back: Backdrop, noise: Plane) -> Bytes:
    size = canvas.shape[1]
    y, x = (int(part * _NOISE_SIDE) for part in back.noise_at)
    rows, columns = np.arange(y, y + size) % _NOISE_SIDE, np.arange(x, x + size) % _NOISE_SIDE
    grain = noise[rows[:, None], columns]
    canvas *= light
    canvas += grain * np.float32(back.noise)
    np.clip(canvas, 0, 255, out=canvas)
    return np.ascontiguousarray(canvas.astype(np.uint8).transpose(1, 2, 0))


def paint_ids(layout: Layout, brushes: Brushes, size: int) -> Bytes:
    """(size, size) uint8: which object is seen (from 1, in painting order; 0 for none)."""
    ids = np.zeros((size, size), dtype=np.uint8)
    for number, thing, patch in _patches(layout, brushes, size):
        _stamp(ids, thing, patch, number)
    return ids


def _patches(
    layout: Layout, brushes: Brushes, size: int
) -> Iterator[tuple[int, WorldObject, Patch]]:
    """Everything that touches the canvas, with its number (clutter: that of the object below)."""
    number = 0
    for thing in layout.objects:
        number += thing.category != CLUTTER
        patch = lay_patch(thing, brushes.outlines[thing.outline], size)
        if patch is not None:
            yield number, thing, patch


def _stamp(ids: Bytes, thing: WorldObject, patch: Patch, number: int) -> None:
    under, seen = ids[patch.rows, patch.columns], patch.cover > 0.5
    if thing.category == CLUTTER:
        under[seen] = 0
        return
    under[seen] = number
    part = part_region(thing, patch)
    if part is not None:
        under[seen & part] = number | PART_BIT


def render(layout: Layout, brushes: Brushes, size: int) -> tuple[Bytes, Bytes]:
    """Image (size, size, 3) uint8 and id map as of `paint_ids`."""
    ids = np.zeros((size, size), dtype=np.uint8)
    back = layout.backdrop
    texture = None if back.pattern < 0 else brushes.textures[back.pattern]
    canvas, light = _backdrop(back, texture, size)
    for number, thing, patch in _patches(layout, brushes, size):
        _paint(canvas, thing, patch, brushes.patterns[thing.pattern], size)
        _stamp(ids, thing, patch, number)
    return _finish(canvas, light, back, brushes.noise), ids


def keep_visible(ids: Bytes, reference: Bytes, count: int, minimum: int) -> tuple[Bytes, list[int]]:
    """Renumber an id map so that it holds only objects seen well enough at the reference size.

    `ids` (H, W) is of `count` objects, `reference` the same layout's id map at 96 px, `minimum` the
    visible pixels there below which an object carries no label. Returns the id map with numbers
    1..K (part bits stay) and the K objects' places 0..count-1.
    """
    seen = np.bincount((reference & ~PART_BIT).ravel(), minlength=count + 1)[1 : count + 1]
    here = seen
    if ids.shape[0] < REFERENCE_SIZE:  # a sliver can vanish altogether on a smaller canvas
        here = np.bincount((ids & ~PART_BIT).ravel(), minlength=count + 1)[1 : count + 1]
    visible = np.flatnonzero((seen >= minimum) & (here > 0))
    new = np.zeros(256, dtype=np.uint8)
    new[visible + 1] = np.arange(1, len(visible) + 1)
    new[(visible + 1) | PART_BIT] = new[visible + 1] | PART_BIT
    return new[ids], visible.tolist()
