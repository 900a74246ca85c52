"""Moments of a training of WISH: what it says of a few scenes, and how well, at some steps.

A clone of the book holds no checkpoints. So a run may publish what the chapters look at: of its
first validation scenes the activation maps, the pseudo points and the predicted masks, and numbers
on more of them. Each moment is written to the run's own folder when it comes, and all of them are
one file in the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from wsislib.atomic import atomic_write
from wsislib.data.sample import Dataset, Detections, Label, LabelKind, Sample
from wsislib.engine.weights import read_meta, read_tensors, write_tensors

if TYPE_CHECKING:
    from wsislib.models.wish.wish import WISH

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
    from wsislib.models.wish.label_completion import add_pseudo_labels

    model.eval()
    device = next(model.parameters()).device
    image = sample.image.to(device)
    cams = model.activation_maps([image])
    tags = Label(LabelKind.TAG, sample.label.categories.unique().to(device))
    tagged = Sample(image, sample.image_id, tags)
    (pointed,) = add_pseudo_labels([tagged], cams, model.teacher.to(device), model.peaks)
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
