"""Experiment `watched_wish`: experiment `wish`, with snapshots taken while it trains.

It gives the numbers that `wish` gives with the same settings. A clone of the book holds no
checkpoints, so beside them the run publishes what the chapters show: moments.safetensors, the
activation maps, pseudo points and predicted masks of a few validation scenes at some steps, with
numbers of those steps under `moments`; and where asked for student.safetensors, the trained model.
Each snapshot is written to the run's own folder when it is taken, and all of them are one file in
the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from wsisbook.experiments.partial_data import FirstScenes, data_sets
from wsisbook.experiments.wish import build_wish_model, run_wish, teacher_of
from wsisbook.experiments.wish_insight import cam_quality, pseudo_points
from wsisbook.experiments.wish_settings import WatchedWishConfig
from wsisbook.runs.config import config_from
from wsisbook.runs.declared import RunKey
from wsisbook.runs.experiments import Context, Outcome
from wsisbook.runs.resolve import source_key
from wsisbook.runs.spec import load_study
from wsisbook.runs.store import open_store
from wsislib.atomic import atomic_write
from wsislib.data.sample import Dataset, Detections, Label, LabelKind, Sample
from wsislib.engine.evaluate import coco_ap, predict_all
from wsislib.engine.weights import read_meta, read_tensors, write_tensors
from wsislib.models.wish.wish import WISH

MOMENTS = "moments.safetensors"
STUDENT = "student.safetensors"
SHOWN, JUDGED = 6, 100  # validation scenes that are stored, and that numbers come from
MAX_MASKS, MIN_SCORE = 8, 0.1  # masks that are stored of a scene
SIDE = 96  # longest side of a stored mask, pixels


def run_watched_wish(context: Context) -> Outcome:
    """Train and judge; to `run_wish`'s metrics it adds `moments`.

    `moments.<step>` has `cam` (hits, found, points, objects) and `segm` (AP, AP50), both on the
    first validation scenes; `moments.last` is the last step's.
    """
    config: WatchedWishConfig = context.config
    steps = sorted({*config.moments, config.steps}) if config.moments else []
    val = data_sets(config)[1]
    recorders: list[SnapshotRecorder] = []

    def on_model(model: Any) -> None:
        context.on_model(model)
        recorders.append(SnapshotRecorder(model, val, steps, context.folder))

    def after_step(step: int) -> None:
        recorders[0](step)

    outcome = run_wish(replace(context, on_model=on_model), after_step)
    (recorder,) = recorders
    files: dict[str, Path] = {}
    metrics: dict[str, Any] = {}
    if steps:
        files[MOMENTS], metrics["moments"] = recorder.gather(), recorder.metrics()
    if config.keep_student:
        files[STUDENT] = save_student(recorder.model, context.folder / STUDENT)
    return replace(
        outcome, metrics={**outcome.metrics, **metrics}, files={**outcome.files, **files}
    )


@dataclass(frozen=True)
class Snapshot:
    """What a WISH in training predicts of one scene."""

    maps: Tensor  # (C, h, w) float16 activation maps
    points: Label  # kind POINT, its pseudo points, in pixels of the scene
    found: Detections  # the best ones, their masks at most `SIDE` pixels wide and high


class SnapshotRecorder:
    """Takes snapshots of a `model` in training; `fit` calls it after each step.

    They are taken at `steps`, of scenes of `val`, and lie in `moments` of the run's `folder`.
    """

    def __init__(self, model: WISH, val: Dataset, steps: Sequence[int], folder: Path) -> None:
        self.model, self.val, self.folder = model, val, folder / "moments"
        self.steps = tuple(sorted(steps))

    def __call__(self, step: int) -> None:
        """Take and write the snapshots, if it is time."""
        if step not in self.steps:
            return
        tensors: dict[str, Tensor] = {}
        for index in range(min(SHOWN, len(self.val))):
            sample = self.val[index]
            for name, tensor in _packed(look(self.model, sample)).items():
                tensors[f"{step}/{sample.image_id}/{name}"] = tensor
        write_tensors(self._file(step), tensors, {"metrics": judge(self.model, self.val)})

    def metrics(self) -> dict[str, Any]:
        """Numbers by step, as text, and those of the last one as "last"."""
        by_step = {str(step): read_meta(self._file(step))["metrics"] for step in self.steps}
        return {**by_step, "last": by_step[str(self.steps[-1])]}

    def gather(self) -> Path:
        """Write all snapshots to one file; `read_moments` reads it."""
        tensors: dict[str, Tensor] = {}
        for step in self.steps:
            path = self._file(step)
            tensors |= read_tensors(path, read_meta(path))
        whole = self.folder / MOMENTS
        atomic_write(whole, safetensors.torch.save(tensors))
        return whole

    def _file(self, step: int) -> Path:
        return self.folder / f"step-{step}.safetensors"


@torch.no_grad()
def look(model: WISH, sample: Sample) -> Snapshot:
    """What `model` predicts of a scene with masks; for its points it is told the scene's tags."""
    model.eval()
    sample = sample.to(next(model.parameters()).device)
    cams, label = pseudo_points(model, sample)
    (detections,) = model.predict([sample.image])
    points = Label(LabelKind.POINT, label.categories, label.points)
    best = _best(detections.to("cpu"))
    return Snapshot(cams.of_image(0).half().cpu(), points.to("cpu"), best)


def judge(model: WISH, val: Dataset) -> dict[str, Any]:
    """Activation maps and masks against the truth of the first `JUDGED` validation scenes.

    Returns:
        `cam`: see `cam_quality`. `segm`: AP and AP50 in percent, of the student without teacher.
    """
    first = FirstScenes(val, JUDGED)
    device = next(model.parameters()).device
    results = predict_all(model, first, device=device, progress=False)
    ap = coco_ap(first.ground_truth(), results)
    scenes = (first[index].to(device) for index in range(len(first)))
    return {"cam": cam_quality(model, scenes), "segm": {"AP": ap.AP, "AP50": ap.AP50}}


def read_moments(path: Path) -> dict[int, dict[int, Snapshot]]:
    """Step -> image id -> snapshot, from a run's moments.safetensors.

    Raises:
        ValueError: the file is not there, or is none that a run wrote.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file; the run has no `moments`, or was not done")
    parts: dict[int, dict[int, dict[str, Tensor]]] = {}
    try:
        for name, tensor in safetensors.torch.load(path.read_bytes()).items():
            step, image_id, field = name.split("/")
            parts.setdefault(int(step), {}).setdefault(int(image_id), {})[field] = tensor
        return {
            step: {image_id: _unpacked(fields) for image_id, fields in sorted(scenes.items())}
            for step, scenes in sorted(parts.items())
        }
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise ValueError(f"{path}: holds no moments ({error}); do the run again") from error


def _best(detections: Detections) -> Detections:
    """The best detections, their masks made small."""
    best = (detections.scores[:MAX_MASKS] >= MIN_SCORE).nonzero()[:, 0]
    boxes, scores = detections.boxes[best], detections.scores[best]
    masks = detections.masks[best]
    scale = SIDE / max(masks.shape[1:])
    if scale < 1 and len(masks):
        size = [max(1, round(side * scale)) for side in masks.shape[1:]]
        masks = interpolate(masks[None].float(), size=size, mode="area")[0] >= 0.5
    return Detections(boxes, scores, detections.categories[best], masks)


def _packed(snapshot: Snapshot) -> dict[str, Tensor]:
    assert snapshot.points.points is not None
    masks = snapshot.found.masks
    return {
        "maps": snapshot.maps,
        "points": snapshot.points.points,
        "tags": snapshot.points.categories.short(),
        "boxes": snapshot.found.boxes,
        "scores": snapshot.found.scores,
        "categories": snapshot.found.categories.short(),
        "masks": torch.from_numpy(np.packbits(masks.flatten(1).numpy(), axis=1)),
        "mask_size": torch.tensor(masks.shape[1:], dtype=torch.int16),
    }


def _unpacked(fields: Mapping[str, Tensor]) -> Snapshot:
    height, width = fields["mask_size"].tolist()
    bits = np.unpackbits(fields["masks"].numpy(), axis=1, count=height * width)
    masks = torch.from_numpy(bits.astype(bool)).unflatten(1, (height, width))
    points = Label(LabelKind.POINT, fields["tags"].long(), fields["points"])
    best = Detections(fields["boxes"], fields["scores"], fields["categories"].long(), masks)
    return Snapshot(fields["maps"], points, best)


def save_student(model: nn.Module, path: Path) -> Path:
    """Write the model's state to `path`, without its teacher, small enough to be committed.

    Matrices are float16 and lose three digits; biases, normalisations and counts stay as they are.
    """

    def small(tensor: Tensor) -> Tensor:
        return tensor.half() if tensor.is_floating_point() and tensor.ndim > 1 else tensor

    state = {name: small(tensor).cpu().contiguous() for name, tensor in model.state_dict().items()}
    atomic_write(path, safetensors.torch.save(state))
    return path


def load_student(
    scale: str, seed: int = 0, table: str = "wish-moments", row: str = "everything"
) -> WISH:
    """The student of a finished run of a row with `keep_student`, with its teacher, on the CPU.

    Raises:
        ValueError: the run is not done or has no student, or the file was altered since; says
            what to do.
    """
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
    model: WISH = build_wish_model(  # type: ignore[assignment]
        recorded, count, teacher_of(recorded), seed, fetch=False
    )
    model.load_state_dict(state)  # makes them float32 again
    return model.eval()
