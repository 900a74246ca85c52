"""A trained WISH that is small enough to be committed: its weights in float16, no teacher.

Matrices lose three digits; biases, normalisations and counts stay as they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import safetensors.torch
from torch import Tensor, nn

from wsisbook.experiments.watched_wish import WatchedWishConfig
from wsisbook.experiments.wish_settings import build_model
from wsisbook.runs.config import config_from
from wsisbook.runs.declared import RunKey
from wsisbook.runs.resolve import source_key
from wsisbook.runs.spec import load_study
from wsisbook.runs.store import open_store
from wsislib.atomic import atomic_write

if TYPE_CHECKING:
    from wsislib.models.wish.wish import WISH

STUDENT = "student.safetensors"


def save_student(model: nn.Module, path: Path) -> Path:
    """Write the model's state to `path`, matrices as float16."""
    state = {
        name: (tensor.half() if _is_matrix(tensor) else tensor).cpu().contiguous()
        for name, tensor in model.state_dict().items()
    }
    atomic_write(path, safetensors.torch.save(state))
    return path


def load_student(
    scale: str, seed: int = 0, table: str = "wish-moments", row: str = "everything"
) -> WISH:
    """The student of a finished run with the teacher it had, in eval mode on the CPU.

    Args:
        scale: of the run.
        seed: of the run.
        table: of the run.
        row: of the run; it has `keep_student`.

    Raises:
        ValueError: the run is not done or kept no student, or the file was altered since; says
            what to do.
    """
    from wsisbook.experiments.wish import teacher_of

    study = load_study()
    key = source_key(study, RunKey(scale, table, row, seed))
    store = open_store(scale, study.root)
    again = f"`wsis run {table} {row} --seed {seed} --scale {scale}` makes it"
    result = store.status(key).get("result") or {"files": {}}
    if STUDENT not in result["files"]:
        raise ValueError(f"the run {key} has no {STUDENT} yet; {again}")
    damage = store.damage(key, {"files": {STUDENT: result["files"][STUDENT]}})
    if damage:
        raise ValueError(f"the run {key}: {damage[0]}; {again} anew with --force")
    recorded = config_from(WatchedWishConfig, store.read(key, "params.json")["settings"], str(key))
    state = safetensors.torch.load((store.folder(key) / STUDENT).read_bytes())
    count = len(state["cam_head.classify.weight"])
    model: WISH = build_model(  # type: ignore[assignment]
        recorded, count, teacher_of(recorded), seed, fetch=False
    )
    model.load_state_dict(state)  # makes them float32 again
    return model.eval()


def _is_matrix(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.ndim > 1
