"""Tensors on disk: a safetensors file and, beside it, a JSON sidecar with its checksums.

The sidecar holds the SHA-256 of the tensors and of itself, and is written last: tensors without
a sidecar were never finished. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

import wsislib
from wsislib.atomic import atomic_write, read_json, write_json

_SEAL = "sidecar_sha256"


class DamagedFile(ValueError):
    """A tensor file or its sidecar is missing, cut short or altered."""


def sidecar(path: Path) -> Path:
    """The JSON file that belongs to the safetensors file `path`."""
    return path.with_suffix(".json")


def write_tensors(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Write `tensors` to `path` (.safetensors) and `meta` with the checksums to its sidecar."""
    # Contiguous copies on the CPU, as safetensors refuses tensors that share memory.
    plain = {
        name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    content = safetensors.torch.save(plain)
    sidecar(path).unlink(missing_ok=True)  # it vouches for what is about to be replaced
    atomic_write(path, content)
    record = {
        **meta,
        "wsislib": wsislib.__version__,
        "tensors": path.name,
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    write_json(sidecar(path), {**record, _SEAL: _digest(record)})


def read_meta(path: Path) -> dict[str, Any]:
    """The sidecar of `path`, checked by its own checksum; a DamagedFile says what is wrong."""
    beside = sidecar(path)
    if not beside.exists():
        raise DamagedFile(f"{path}: its sidecar {beside.name} is missing, so it was never finished")
    try:
        record = read_json(beside)
    except ValueError as error:
        raise DamagedFile(str(error)) from error
    if not isinstance(record, dict) or record.pop(_SEAL, None) != _digest(record):
        raise DamagedFile(f"{beside}: altered since it was written (its own checksum differs)")
    return record


def read_tensors(path: Path, meta: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of `path` on the CPU, checked against the SHA-256 in `meta`, else DamagedFile."""
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise DamagedFile(f"{path}: missing, though its sidecar is there") from error
    if hashlib.sha256(content).hexdigest() != meta["sha256"]:
        raise DamagedFile(
            f"{path}: cut short or altered since it was written (its SHA-256 differs from the one "
            f"in {sidecar(path).name})"
        )
    return safetensors.torch.load(content)


def signature(model: nn.Module) -> str:
    """Hex digest of names, shapes and dtypes of the model's state."""
    lines = [f"{name} {kind}" for name, kind in sorted(_described(model.state_dict()).items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _described(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Shape and dtype by name."""
    return {name: f"{tuple(tensor.shape)} {tensor.dtype}" for name, tensor in tensors.items()}


def require_same_tensors(path: Path, held: Mapping[str, Tensor], model: nn.Module) -> None:
    """A ValueError where the tensors in a file are not those that `model` has.

    It names the file, up to three differences and the way out.
    """
    ours, theirs = _described(model.state_dict()), _described(held)
    differences = [f"{name} is only in the file" for name in sorted(theirs.keys() - ours.keys())]
    differences += [f"{name} is only in the model" for name in sorted(ours.keys() - theirs.keys())]
    differences += [
        f"{name} is {theirs[name]} in the file, {ours[name]} in the model"
        for name in sorted(ours.keys() & theirs.keys())
        if ours[name] != theirs[name]
    ]
    if differences:
        more = f" and {len(differences) - 3} more" if len(differences) > 3 else ""
        raise ValueError(
            f"{path}: weights of another model ({'; '.join(differences[:3])}{more}). Build the "
            "model with the settings it was trained with, or choose another file or folder."
        )


def save_weights(path: Path, model: nn.Module, meta: Mapping[str, Any]) -> None:
    """Write the model's weights and a sidecar with `meta`; an OSError names the file."""
    write_tensors(path, model.state_dict(), {**meta, "model_signature": signature(model)})


def load_weights(path: Path, model: nn.Module, skip: tuple[str, ...] = ()) -> dict[str, Any]:
    """Put the weights of `path` into `model`, in place; returns their sidecar.

    Parameters whose names begin with one of `skip` keep the model's values, whatever the file
    holds for them.

    Raises:
        ValueError: the file or its sidecar is missing or damaged, or belongs to another model.
    """
    meta = read_meta(path)
    read = read_tensors(path, meta)
    tensors = {name: value for name, value in read.items() if not name.startswith(skip)}
    tensors |= {name: value for name, value in model.state_dict().items() if name.startswith(skip)}
    require_same_tensors(path, tensors, model)
    model.load_state_dict(tensors)
    return meta


def _digest(record: Mapping[str, Any]) -> str:
    text = json.dumps(record, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
