"""Experiment `watched_wish`: experiment `wish`, looked at while it trains.

It gives the numbers that `wish` gives with the same settings. Beside them the run publishes
moments.safetensors, what the model said of a few validation scenes at some steps, with numbers of
those steps under `moments`; and where asked for student.safetensors, the trained model.

Moments of a training of WISH: what it says of a few scenes, and how well, at some steps.

A clone of the book holds no checkpoints. So a run may publish what the chapters look at: of its
first validation scenes the activation maps, the pseudo points and the predicted masks, and numbers
on more of them. Each moment is written to the run's own folder when it comes, and all of them are
one file in the end.

A trained WISH that is small enough to be committed: its weights in float16, no teacher.

Matrices lose three digits; biases, normalisations and counts stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from wsisbook.experiments.partial_data import data_sets
from wsisbook.experiments.wish import WISH_EXPERIMENT, run_wish
from wsisbook.experiments.wish_settings import WishConfig, build_model
from wsisbook.runs.config import config_from
from wsisbook.runs.declared import RunKey
from wsisbook.runs.experiments import Context, Experiment, Outcome
from wsisbook.runs.resolve import source_key
from wsisbook.runs.spec import load_study
from wsisbook.runs.store import open_store
from wsislib.atomic import atomic_write
from wsislib.data.sample import Dataset, Detections, Label, LabelKind, Sample
from wsislib.engine.weights import read_meta, read_tensors, write_tensors

if TYPE_CHECKING:
    from wsislib.models.wish.wish import WISH


MOMENTS = "moments.safetensors"


@dataclass(frozen=True)
class WatchedWishConfig(WishConfig):
    """Settings of a run of WISH that is looked at.

    Attributes:
        moments: how many steps are done when it is looked at, and the last step beside them; none
            where empty.
        keep_student: publish the trained model, a few MB.
    """

    moments: tuple[int, ...] = ()
    keep_student: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.method != "wish":
            raise ValueError(f"moments are those of method 'wish', not {self.method!r}")
        wrong = [step for step in self.moments if not 1 <= step <= self.steps]
        if wrong:
            raise ValueError(f"moments {wrong} are no steps of a training of {self.steps}")


def run_watched_wish(context: Context) -> Outcome:
    """Train, judge and look; to `run_wish`'s metrics it adds `moments`.

    `moments.<step>` has `cam` (hits, found, points, objects) and `segm` (AP, AP50), both on the
    first validation scenes; `moments.last` is the last step's.
    """
    config: WatchedWishConfig = context.config
    steps = sorted({*config.moments, config.steps}) if config.moments else []
    val = data_sets(config)[1]
    watches: list[SnapshotRecorder] = []

    def on_model(model: Any) -> None:
        context.on_model(model)
        watches.append(SnapshotRecorder(model, val, steps, context.folder))

    def after_step(step: int) -> None:
        watches[0](step)

    outcome = run_wish(replace(context, on_model=on_model), after_step)
    (watch,) = watches
    files: dict[str, Path] = {}
    metrics: dict[str, Any] = {}
    if steps:
        files[MOMENTS], metrics["moments"] = watch.gather(), watch.metrics()
    if config.keep_student:
        files[STUDENT] = save_student(watch.model, context.folder / STUDENT)
    return replace(
        outcome, metrics={**outcome.metrics, **metrics}, files={**outcome.files, **files}
    )


SHOWN, JUDGED = 6, 100  # validation scenes that are kept, and that numbers come from
MOST, LEAST_SCORE = 8, 0.1  # masks that are kept of a scene
SIDE = 96  # longest side of a kept mask, pixels


@dataclass(frozen=True)
class Snapshot:
    """What a WISH in training says of one scene.

    Attributes:
        maps: (C, h, w) float16 activation maps.
        points: kind POINT, its pseudo points, in pixels of the scene.
        found: its best detections with a score of `LEAST_SCORE` or more; their masks have a longest
            side of `SIDE` pixels at most.
    """

    maps: Tensor
    points: Label
    found: Detections


class SnapshotRecorder:
    """Looks at a model at some steps of its training; `fit` calls it after each step.

    Args:
        model: in training.
        val: validation data.
        steps: when to look.
        folder: of the run; moments lie in `moments` there.
    """

    def __init__(self, model: WISH, val: Dataset, steps: Sequence[int], folder: Path) -> None:
        self.model, self.val, self.folder = model, val, folder / "moments"
        self.steps = tuple(sorted(steps))

    def __call__(self, step: int) -> None:
        """Look, if it is time, and write down what is seen."""
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
        found = {str(step): read_meta(self._file(step))["metrics"] for step in self.steps}
        return {**found, "last": found[str(self.steps[-1])]}

    def gather(self) -> Path:
        """Write all moments to one file; `read_moments` reads it."""
        tensors: dict[str, Tensor] = {}
        for step in self.steps:
            path = self._file(step)
            tensors |= read_tensors(path, read_meta(path))
        whole = self.folder / "moments.safetensors"
        atomic_write(whole, safetensors.torch.save(tensors))
        return whole

    def _file(self, step: int) -> Path:
        return self.folder / f"step-{step}.safetensors"


@torch.no_grad()
def look(model: WISH, sample: Sample) -> Snapshot:
    """What `model` says of a scene with masks, when it is told the scene's tags."""
    from wsislib.models.wish.live_teacher import taught

    model.eval()
    device = next(model.parameters()).device
    image = sample.image.to(device)
    framed = model.segmenter.framing([image], True)
    cams = model.cam_head(model.segmenter.look(framed), framed.padding)
    tags = Label(LabelKind.TAG, sample.label.categories.unique().to(device))
    tagged = Sample(image, sample.image_id, tags)
    (pointed,) = taught([tagged], cams, model.teacher.to(device), model.peaks)
    (found,) = model.predict([image])
    points = Label(LabelKind.POINT, pointed.label.categories, pointed.label.points)
    return Snapshot(cams.of_image(0).half().cpu(), points.to("cpu"), _kept(found.to("cpu")))


def judge(model: WISH, val: Dataset) -> dict[str, Any]:
    """Activation maps and masks against the truth of the first `JUDGED` validation scenes.

    Returns:
        `cam`: see `cam_quality`. `segm`: AP and AP50 in percent, of the student without teacher.
    """
    from wsisbook.experiments.head_objects import FirstScenes
    from wsisbook.experiments.wish_insight import cam_quality
    from wsislib.engine.evaluate import coco_ap, predict_all

    first = FirstScenes(val, JUDGED)
    device = next(model.parameters()).device
    results = predict_all(model, first, device=device, progress=False)
    ap = coco_ap(first.ground_truth(), results)
    scenes = (first[index].to(device) for index in range(len(first)))
    return {"cam": cam_quality(model, scenes), "segm": {"AP": ap.AP, "AP50": ap.AP50}}


def read_moments(path: Path) -> dict[int, dict[int, Snapshot]]:
    """Step -> image id -> what the model said, from a run's moments.safetensors.

    Raises:
        ValueError: the file is not there, or is none that a run wrote.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file; the run has no `moments`, or was not done")
    parts: dict[tuple[int, int], dict[str, Tensor]] = {}
    try:
        for name, tensor in safetensors.torch.load(path.read_bytes()).items():
            step, image_id, field = name.split("/")
            parts.setdefault((int(step), int(image_id)), {})[field] = tensor
        moments: dict[int, dict[int, Snapshot]] = {}
        for (step_, id_), fields in sorted(parts.items()):
            moments.setdefault(step_, {})[id_] = _unpacked(fields)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise ValueError(f"{path}: holds no moments ({error}); do the run again") from error
    return moments


def _kept(found: Detections) -> Detections:
    """The best detections, their masks made small."""
    best = found.scores[:MOST] >= LEAST_SCORE
    scores, categories = found.scores[:MOST][best], found.categories[:MOST][best]
    masks, boxes = found.masks[:MOST][best], found.boxes[:MOST][best]
    scale = SIDE / max(masks.shape[1:])
    if scale < 1 and len(masks):
        size = [max(1, round(side * scale)) for side in masks.shape[1:]]
        masks = interpolate(masks[None].float(), size=size, mode="area")[0] >= 0.5
    return Detections(boxes, scores, categories, masks)


def _packed(moment: Snapshot) -> dict[str, Tensor]:
    assert moment.points.points is not None
    masks = moment.found.masks
    return {
        "maps": moment.maps,
        "points": moment.points.points,
        "tags": moment.points.categories.short(),
        "boxes": moment.found.boxes,
        "scores": moment.found.scores,
        "categories": moment.found.categories.short(),
        "masks": torch.from_numpy(np.packbits(masks.flatten(1).numpy(), axis=1)),
        "mask_size": torch.tensor(masks.shape[1:], dtype=torch.int16),
    }


def _unpacked(fields: Mapping[str, Tensor]) -> Snapshot:
    height, width = fields["mask_size"].tolist()
    bits = np.unpackbits(fields["masks"].numpy(), axis=1, count=height * width)
    masks = torch.from_numpy(bits.astype(bool)).unflatten(1, (height, width))
    points = Label(LabelKind.POINT, fields["tags"].long(), fields["points"])
    found = Detections(fields["boxes"], fields["scores"], fields["categories"].long(), masks)
    return Snapshot(fields["maps"], points, found)


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


WATCHED_WISH = Experiment(
    WatchedWishConfig, run_watched_wish, WISH_EXPERIMENT.parts, WISH_EXPERIMENT.files
)
