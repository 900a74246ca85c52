"""Checkpoints: all that a training run needs to resume, written atomically, checked when read.

A checkpoint is `step-<n>.safetensors` (model and optimiser tensors) with `step-<n>.json` (step,
config, data, clock, checksums). Generators and the sampler need no place in it: they follow from
the seed and the step (see seeds.py), and so does the learning rate.
"""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wsislib.engine.errors import CheckpointWarning
from wsislib.engine.history import Row, Window
from wsislib.engine.weights import (
    DamagedFile,
    read_meta,
    read_tensors,
    require_same_tensors,
    sidecar,
    signature,
    write_tensors,
)

_NAME = re.compile(r"step-(\d+)\.(?:safetensors|json)")
_CHECKPOINTS = 2  # that stay on disk


@dataclass
class Progress:
    """How far a run has come, apart from its weights."""

    step: int = 0  # optimiser steps done
    seconds: float = 0.0  # spent training, over all starts
    peak_memory_mib: float = 0.0  # largest so far, over all starts
    window: Window = field(default_factory=Window)  # sums for the next history row

    def advance(self, values: Mapping[str, float], seconds: float, peak_memory_mib: float) -> None:
        """Count one more step."""
        self.step += 1
        self.seconds += seconds
        self.peak_memory_mib = max(self.peak_memory_mib, peak_memory_mib)
        self.window.add(values, seconds)

    def close_window(self, rate: float, batch_size: int) -> Row:
        """The history row of the present step; the next window starts empty."""
        row = self.window.row(self.step, rate, batch_size, self.seconds)
        self.window = Window()
        return row


def save_checkpoint(
    folder: Path,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    progress: Progress,
    run: Mapping[str, Any],
) -> Path:
    """Write a checkpoint into `folder`, then drop all but the newest two.

    `run` holds what must be the same to resume (config, data), compared entry by entry on loading.
    An OSError names the file; earlier checkpoints stay good.
    """
    path = _path(folder, progress.step)
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    scalars: dict[str, Any] = {}
    for key, value in _optimiser_state(model, optimiser).items():
        if isinstance(value, Tensor):
            tensors[f"optimiser.{key}"] = value
        else:
            scalars[key] = value
    meta = {
        "progress": asdict(progress),
        "run": dict(run),
        "model_signature": signature(model),
        "optimiser_scalars": scalars,
    }
    write_tensors(path, tensors, meta)
    _prune(folder, progress.step)
    return path


def load_newest(
    folder: Path, model: nn.Module, optimiser: torch.optim.Optimizer, run: Mapping[str, Any]
) -> Progress | None:
    """Put the newest good checkpoint of `folder` into `model` and `optimiser`.

    A damaged or unfinished checkpoint is skipped with a `CheckpointWarning` that names it. Returns
    how far the run had come; None where there is no good checkpoint. A ValueError where it is
    good but of another model or another `run` names the file, the difference and the way out.
    """
    newest = _newest(folder)
    if newest is None:
        return None
    path, meta, tensors = newest
    weights = _strip(tensors, "model.")
    require_same_tensors(path, weights, model)
    _require_same_run(path, meta["run"], run)
    model.load_state_dict(weights)
    saved = {**_strip(tensors, "optimiser."), **meta["optimiser_scalars"]}
    _restore_optimiser(saved, model, optimiser)
    window = Window(**meta["progress"].pop("window"))
    return Progress(**meta["progress"], window=window)


def newest_weights(folder: Path) -> tuple[Path, dict[str, Any], dict[str, Tensor]] | None:
    """The newest good checkpoint: its path, sidecar and the model's tensors; None without one."""
    newest = _newest(folder)
    if newest is None:
        return None
    path, meta, tensors = newest
    return path, meta, _strip(tensors, "model.")


def _newest(folder: Path) -> tuple[Path, dict[str, Any], dict[str, Tensor]] | None:
    for step in sorted(_steps(folder), reverse=True):
        path = _path(folder, step)
        try:
            meta = read_meta(path)
            return path, meta, read_tensors(path, meta)
        except DamagedFile as error:
            message = f"{error}; falling back to the checkpoint before it"
            warnings.warn(message, CheckpointWarning, stacklevel=3)
    return None


def _restore_optimiser(
    saved: Mapping[str, Any], model: nn.Module, optimiser: torch.optim.Optimizer
) -> None:
    index = {name: i for i, name in enumerate(_names(model, optimiser))}
    state: dict[int, dict[str, Any]] = {}
    for key, value in saved.items():
        name, _, entry = key.rpartition("/")
        state.setdefault(index[name], {})[entry] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def _optimiser_state(model: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    """The optimiser's state as one flat dict, "<parameter>/<entry>" -> value."""
    names = _names(model, optimiser)
    return {
        f"{names[i]}/{entry}": value
        for i, entries in optimiser.state_dict()["state"].items()
        for entry, value in entries.items()
        if value is not None  # SGD without momentum
    }


def _names(model: nn.Module, optimiser: torch.optim.Optimizer) -> list[str]:
    """Names of the optimiser's parameters, in the order of its state dict."""
    by_identity = {id(parameter): name for name, parameter in model.named_parameters()}
    return [by_identity[id(p)] for group in optimiser.param_groups for p in group["params"]]


def _require_same_run(path: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    differences = [
        f"{key} was {then.get(key)!r} and is {now.get(key)!r} now"
        for key in sorted(then.keys() | now.keys())
        if then.get(key) != now.get(key)
    ]
    if differences:
        raise ValueError(
            f"{path}: a checkpoint of another run ({'; '.join(differences[:3])}). Train with the "
            "settings it was started with, or in another folder, or delete this one to start anew."
        )


def _strip(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}


def _steps(folder: Path) -> set[int]:
    """Steps of which any file is there."""
    if not folder.is_dir():
        return set()
    return {int(match[1]) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))}


def _prune(folder: Path, newest: int) -> None:
    """Keep the newest two checkpoints; newer ones than that just written are of an older run."""
    paths = {step: _path(folder, step) for step in _steps(folder)}
    good = sorted(s for s, path in paths.items() if s <= newest and sidecar(path).exists())
    for step in paths.keys() - set(good[-_CHECKPOINTS:]):
        with contextlib.suppress(OSError):
            sidecar(paths[step]).unlink(missing_ok=True)
            paths[step].unlink(missing_ok=True)


def _path(folder: Path, step: int) -> Path:
    return folder / f"step-{step}.safetensors"
