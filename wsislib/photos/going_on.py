"""Going on with a training: the same plan, another one, or past a loss that is not finite."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path

from wsislib.engine.checkpoint import newest_weights
from wsislib.engine.config import TrainConfig
from wsislib.engine.errors import NonFiniteLoss
from wsislib.engine.weights import read_meta, sidecar

# Options of `wsis train` by their names in a training's config.
_OPTIONS = {
    "steps": "--steps",
    "batch_size": "--batch-size",
    "learning_rate": "--learning-rate",
    "seed": "--seed",
}
_STARTS = ("--init", "--start", "--from-scratch")
Options = Mapping[str, object]  # of `wsis train`, with their dashes


class Diverged(RuntimeError):
    """The loss of a training of one's own stopped being a number."""


def require_same_plan(
    folder: Path, config: TrainConfig, annotations: Path, options: Options
) -> None:
    """Raise ValueError where the training in `folder` was begun with another plan.

    Along a cosine every step depends on how many there are in all, so a longer training is another
    one, which may start from this one's weights. The message gives the command, with `options`.
    """
    path = folder / "checkpoints" / "final.safetensors"
    if sidecar(path).is_file():
        meta, end = read_meta(path), "it has ended"
    elif (newest := newest_weights(folder / "checkpoints")) is not None:
        meta, end = newest[1], f"it has done {newest[1]['progress']['step']}"
    else:
        return
    then, now = meta["run"], json.loads(json.dumps(config.decisive()))
    changed = [name for name in now if name in then and then[name] != now[name]]
    if not changed:
        return
    said = [name for name in changed if name in _OPTIONS] or changed
    was, asked = (
        ", ".join(f"{_OPTIONS.get(name, name)} {plan[name]}" for name in said)
        for plan in (then, now)
    )
    raise ValueError(
        f"{folder}: the training here was planned with {was} ({end}), now {asked}. Every step's "
        "learning rate follows from the whole plan, so this is another training: give the settings "
        "of before, or start a new one from these weights: "
        f"{init_command(annotations, folder, options)}"
    )


def diverged(
    error: NonFiniteLoss, folder: Path, annotations: Path, rate: float, options: Options
) -> Diverged:
    """What to do after a loss that is not finite, with a command that can be given as it is."""
    slower = {**options, "--learning-rate": float(f"{rate / 5:.1g}")}
    saved = newest_weights(folder / "checkpoints")
    if saved is None:
        kept = "No weights were saved before; start anew, slower: "
        command = _command(annotations, folder, slower)
    else:
        kept = f"The weights after step {saved[1]['progress']['step']} are kept; go on slower: "
        command = init_command(annotations, folder, slower)
    return Diverged(
        f"step {error.step}: the loss is no finite number any more, on images "
        f"{', '.join(map(str, error.image_ids))}. The same command would end here again. {kept}"
        f"{command}. If that ends so too, look at these images and their labels"
    )


def init_command(annotations: Path, folder: Path, options: Options) -> str:
    """The command that starts a new training from the weights in `folder`."""
    others = {name: value for name, value in options.items() if name not in _STARTS}
    return _command(annotations, folder, {"--init": folder, **others})


def _command(annotations: Path, folder: Path, options: Options) -> str:
    words: list[object] = ["wsis", "train", annotations, "--out", f"{folder}-2"]
    for name, value in options.items():
        values = value if isinstance(value, tuple) else () if value is True else (value,)
        words += [name, *values]
    return f"`{shlex.join(map(str, words))}`"
