"""The pieces of an object that overlapping tiles of a photograph found, joined again.

Two tiles see their overlap alike, so two pieces are one object where they agree there: that holds
for an object that one tile sees whole and for one that is larger than the overlap, which merging by
the overlap of whole masks (as the package sahi does) leaves in two. Masks stay run-length codes of
the photograph.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as mask_api

from wsislib.data.rle import rle_area, rle_box, rle_bytes
from wsislib.data.tiles import PhotoTile

SAME_OBJECT = 0.5  # share of the smaller piece in the overlap that the other one covers


def join_pieces(
    results: list[list[dict[str, Any]]], tiles: list[PhotoTile]
) -> list[dict[str, Any]]:
    """The COCO results of each tile, at the photograph's size, with each object once, best first.

    A joined object has the best score of its pieces, the union of their masks and its tight box.
    """
    pieces = [result for of_tile in results for result in of_tile]
    owner = np.repeat(np.arange(len(tiles)), [len(of_tile) for of_tile in results])
    boxes = np.array([result["bbox"] for result in pieces]).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]  # xywh -> xyxy
    kinds = np.array([result["category_id"] for result in pieces])
    group = list(range(len(pieces)))  # the piece that stands for each one's object

    def root(piece: int) -> int:
        while group[piece] != piece:
            group[piece] = group[group[piece]]
            piece = group[piece]
        return piece

    for one in range(len(pieces)):
        for other in _rivals(one, boxes, kinds, owner):
            if root(one) != root(other) and _same_object(
                pieces[one]["segmentation"], pieces[other]["segmentation"],
                tiles[owner[one]].common(tiles[owner[other]]),
            ):  # fmt: skip
                group[root(other)] = root(one)
    members: dict[int, list[dict[str, Any]]] = {}
    for piece, result in enumerate(pieces):
        members.setdefault(root(piece), []).append(result)
    return sorted(map(_joined, members.values()), key=lambda result: -result["score"])


def _rivals(
    one: int, boxes: NDArray[np.float64], kinds: NDArray[np.int64], owner: NDArray[np.int64]
) -> list[int]:
    """Later pieces of the same category in other tiles whose boxes meet that of piece `one`."""
    rest = slice(one + 1, None)
    near = (boxes[rest, :2] < boxes[one, 2:]) & (boxes[one, :2] < boxes[rest, 2:])
    alike = (kinds[rest] == kinds[one]) & (owner[rest] != owner[one]) & near.all(axis=1)
    return (one + 1 + np.flatnonzero(alike)).tolist()


def _same_object(one: dict[str, Any], other: dict[str, Any], common: PhotoTile) -> bool:
    if common.bottom <= common.top or common.right <= common.left:
        return False
    parts = [common.cut(one), common.cut(other)]
    least = min(rle_area(part) for part in parts)
    return least > 0 and rle_area(mask_api.merge(parts, intersect=True)) >= SAME_OBJECT * least


def _joined(pieces: list[dict[str, Any]]) -> dict[str, Any]:
    best = max(pieces, key=lambda result: result["score"])
    if len(pieces) == 1:
        return best
    code = mask_api.merge([rle_bytes(piece["segmentation"]) for piece in pieces], intersect=False)
    text = {"size": best["segmentation"]["size"], "counts": code["counts"].decode("ascii")}
    return {**best, "bbox": list(rle_box(code)), "segmentation": text}
