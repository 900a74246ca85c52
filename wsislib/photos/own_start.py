"""`wsis train --init`: starting from a model of one's own, of the same or of other categories."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from wsislib.engine.checkpoint import newest_weights
from wsislib.engine.weights import read_meta, read_tensors
from wsislib.photos.recipe import SEGMENTER, Recipe, read_recipe

# Rows of categories, by the beginning of a parameter's name: how many a category has, and whether
# the row of "no object" stands before them, after them or not at all.
_ROWS = {
    "roi.box_predictor.cls_score.": (1, "before"),
    "roi.box_predictor.bbox_pred.": (4, "before"),
    "mask.predictor.": (1, "before"),
    "query_decoder.classify.": (1, "after"),
    "cam_head.classify.": (1, "none"),
}
_QUERIES = ("query_decoder.queries.", "query_decoder.places.")
_OF_THE_TEACHER = "prompt_head."  # its width is that of the teacher's tokens


@dataclass(frozen=True)
class OwnModel:
    """A model that `wsis train` made, finished or not."""

    path: Path  # of the weights
    recipe: Recipe
    tensors: dict[str, Tensor]
    sha256: str  # of the weights' file
    steps: int  # that it was trained for


def read_own(place: Path) -> OwnModel:
    """The model in a folder of `wsis train` (its newest weights), or in one of its weight files.

    Raises ValueError where there is none, or a file is damaged.
    """
    folder = place
    if place.suffix == ".safetensors":
        folder = place.parent.parent
    if not (folder / "recipe.json").is_file():
        raise ValueError(
            f"--init {place}: no model of `wsis train` here; give the folder of one (it holds "
            "recipe.json), or a file in its folder checkpoints"
        )
    recipe, path = read_recipe(folder), folder / "checkpoints" / "final.safetensors"
    if folder != place:
        path = place
    if path.is_file():
        meta = read_meta(path)
        tensors = read_tensors(path, meta)
        if "progress" in meta:  # a checkpoint, which holds the optimiser too
            found = {k.removeprefix("model."): t for k, t in tensors.items() if k[:6] == "model."}
            return OwnModel(path, recipe, found, meta["sha256"], meta["progress"]["step"])
        return OwnModel(path, recipe, tensors, meta["sha256"], meta["step"])
    newest = newest_weights(folder / "checkpoints")
    if newest is None:
        raise ValueError(
            f"--init {place}: this training has saved no weights yet; train it on, or start "
            "without --init"
        )
    path, meta, tensors = newest
    return OwnModel(path, recipe, tensors, meta["sha256"], meta["progress"]["step"])


def load_own(network: nn.Module, own: OwnModel, categories: tuple[str, ...]) -> list[str]:
    """Put one's own weights into a network that was built for `categories`, in place.

    Rows of categories are taken over by their names; those of other names keep the network's own
    values, as do further queries. The count of steps of a WISH starts at 0.

    Returns:
        What was taken over, line by line, for a reader.

    Raises:
        ValueError: the weights are of another network.
    """
    theirs = tuple(name for _, name in own.recipe.categories)
    state, odd, new_heads = network.state_dict(), [], []
    for name, tensor in state.items():
        inner, held = name.removeprefix(SEGMENTER), own.tensors.get(name)
        rows = next((how for start, how in _ROWS.items() if inner.startswith(start)), None)
        if own.recipe.mask_head == "class-agnostic" and inner.startswith("mask.predictor."):
            rows = None
        if name == "steps":
            continue
        if held is not None and rows and held.shape[1:] == tensor.shape[1:]:
            _take_rows(tensor, held, _row_pairs(theirs, categories, *rows))
        elif held is not None and inner.startswith(_QUERIES) and held.shape[1] == tensor.shape[1]:
            both = min(len(held), len(tensor))
            tensor[:both] = held[:both]
        elif held is not None and held.shape == tensor.shape:
            tensor.copy_(held)
        elif inner.startswith(_OF_THE_TEACHER):
            new_heads.append(name)
        else:
            odd.append(name)
    if odd:
        raise ValueError(
            f"{own.path}: weights of another network ({len(odd)} parameters differ, such as "
            f"{odd[0]}); give --init a model of the same --model, --size and --mask-head"
        )
    network.load_state_dict(state)
    return _told(own, theirs, categories, bool(new_heads))


def _row_pairs(
    theirs: tuple[str, ...], ours: tuple[str, ...], each: int, nothing: str
) -> list[tuple[int, int]]:
    """(row in the file, row in the network) of what both have, "no object" included."""
    first = 1 if nothing == "before" else 0
    pairs = [(first + theirs.index(c), first + i) for i, c in enumerate(ours) if c in theirs]
    if nothing == "before":
        pairs.append((0, 0))
    elif nothing == "after":
        pairs.append((len(theirs), len(ours)))
    return [(a * each + k, b * each + k) for a, b in pairs for k in range(each)]


def _take_rows(tensor: Tensor, held: Tensor, pairs: list[tuple[int, int]]) -> None:
    source, target = (torch.tensor(side, dtype=torch.int64) for side in zip(*pairs, strict=True))
    tensor[target] = held[source]


def _told(
    own: OwnModel, theirs: tuple[str, ...], ours: tuple[str, ...], new_prompts: bool
) -> list[str]:
    named = {
        "kept": [name for name in ours if name in theirs],
        "new": [name for name in ours if name not in theirs],
        "not in this file": [name for name in theirs if name not in ours],
    }
    parts = [f"{what}: {', '.join(names)}" for what, names in named.items() if names]
    lines = [
        f"starts from {own.path} ({own.steps} steps), with a fresh optimiser",
        f"categories {'; '.join(parts)}",
    ]
    return lines + ["the prompt head is new: the teacher is another"] * new_prompts
