"""The trained detector of another run, for models that learn masks over it or go on from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wsisbook.runs.experiments import Context
from wsislib.atomic import read_json

if TYPE_CHECKING:
    from wsislib.models.maskrcnn.detector import Detector

# Settings that decide which categories there are and in which order.
_CATEGORIES = ("data", "categories", "world_seed")


def load_detector(model: Detector, context: Context, freeze: bool = True) -> None:
    """Load the detector of the run that this one needs, and freeze it unless told otherwise.

    Raises:
        ValueError: the row declares no `detector` among its needs, or it knows other categories.
    """
    from wsislib.engine.weights import load_weights

    if "detector" not in context.needs:
        raise ValueError(
            "this run begins with a trained detector; declare the run that trains it as "
            "`detector` under `needs`"
        )
    folder = context.needs["detector"]
    _check_categories(folder, context)
    weights = folder / "checkpoints" / "final.safetensors"
    load_weights(weights, model, skip=("mask.", "heads."))
    if freeze:
        model.freeze_detector()


def _check_categories(folder: Path, context: Context) -> None:
    """Weights of the right shape may still belong to other categories."""
    try:
        theirs = read_json(folder / "params.json")["settings"]
    except FileNotFoundError:
        return
    for name in _CATEGORIES:
        own = getattr(context.config, name, None)
        if theirs.get(name, own) != own:
            raise ValueError(
                f"the detector was trained with {name} = {theirs[name]!r}, but this run has "
                f"{own!r}: it knows other categories. Train a detector for these, or name "
                "another row under `needs`."
            )
