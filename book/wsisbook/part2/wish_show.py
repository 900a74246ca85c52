"""What the chapters on WISH show of its runs: a student, its snapshots, what a batch holds."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from wsisbook.experiments.mask_rcnn import train_config
from wsisbook.experiments.partial_data import data_sets
from wsisbook.experiments.watched_wish import MOMENTS
from wsisbook.experiments.weak_labels import weak_data
from wsisbook.experiments.wish_moments import Snapshot, read_moments
from wsisbook.experiments.wish_settings import WishConfig, build_model, loss_weights
from wsisbook.reading import RowResults
from wsislib.data.sample import Dataset, LabelKind, Sample
from wsislib.engine.train import fit
from wsislib.labels.weaken import weaken
from wsislib.models.wish.label_completion import add_pseudo_labels
from wsislib.models.wish.targets import wish_targets
from wsislib.models.wish.wish import WISH

KIND_NAMES = {kind: kind.name.lower() for kind in LabelKind}


def moments_of(row: RowResults, seed: int = 0) -> dict[int, dict[int, Snapshot]]:
    """Step -> image id -> what a run predicted for a validation scene; empty if not run."""
    file = row.folder(seed) / MOMENTS
    return read_moments(file) if file.is_file() else {}


def moment_frame(rows: Mapping[str, RowResults], seed: int = 0) -> pd.DataFrame:
    """Numbers of every moment, a line each; `rows` is what to call a row -> the row.

    Columns: `row`, `step`, `hits`, `found`, `points`, `objects` (the last two an image), `AP` and
    `AP50`. Rows that were not run are not there.
    """
    lines: list[dict[str, Any]] = []
    for title, row in rows.items():
        metrics = row.metrics(seed) or {}
        for step, found in metrics.get("moments", {}).items():
            if step != "last":
                lines.append({"row": title, "step": int(step), **found["cam"], **found["segm"]})
    columns = ["row", "step", "hits", "found", "points", "objects", "AP", "AP50"]
    return pd.DataFrame(lines, columns=columns)


def one_of_each(data: Dataset, first: int = 0, seed: int = 0) -> list[Sample]:
    """Four images in a row, told by a tag, points, boxes and masks."""
    generator = torch.Generator().manual_seed(seed)
    samples = [data[first + place] for place in range(len(LabelKind))]
    return [
        replace(sample, label=weaken(sample.label, kind, generator))
        for sample, kind in zip(samples, LabelKind, strict=True)
    ]


def batch_table(batch: Iterable[Sample]) -> pd.DataFrame:
    """Every tensor that a batch holds, a line an image: the shape of each field, or nothing."""
    lines = []
    for sample in batch:
        line = {"image": sample.image_id, "told by": KIND_NAMES[sample.label.kind]}
        for name in ("categories", "points", "boxes", "masks", "candidates"):
            line[name] = _shape(getattr(sample.label, name))
        lines.append(line)
    return pd.DataFrame(lines).set_index("image")


def instance_table(model: WISH, batch: Sequence[Sample]) -> pd.DataFrame:
    """What labels of any kind become before queries are matched: a line an instance.

    The model's activation maps give tags their points, whatever its count of steps.
    """
    with torch.no_grad():
        cams = model.activation_maps([sample.image for sample in batch])
        complete = add_pseudo_labels(batch, cams, model.teacher, model.peaks)
        targets = wish_targets(complete, model.prompt_head, model.teacher, model.gate)
    assert targets.allowed is not None
    candidates = [masks for image in targets.masks for masks in image]  # N of (M, H, W)
    return pd.DataFrame(
        {
            "image": np.repeat(targets.image_ids, targets.counts),
            "told by": [KIND_NAMES[LabelKind(kind)] for kind in targets.kinds.tolist()],
            "category": targets.categories.tolist(),
            "candidates that may be learnt": targets.allowed.sum(1).tolist(),
            "their pixels": [
                ", ".join(str(int(mask.sum())) for mask in masks[allowed])
                for masks, allowed in zip(candidates, targets.allowed, strict=True)
            ],
            "numbers in Z": [token.numel() for token in targets.prompts],
        }
    )


def kind_columns(history: pd.DataFrame, statistic: str) -> dict[str, pd.Series]:
    """Kind of label -> a logged statistic of it by step, for the kinds that have it."""
    by_step, columns = (
        history.set_index("step"),
        {n: f"{n}.{statistic}" for n in KIND_NAMES.values()},
    )
    return {name: by_step[c].dropna() for name, c in columns.items() if c in history}


def _shape(field: Any) -> str:
    if field is None:
        return "nothing"
    tensor: Tensor = field if isinstance(field, Tensor) else field.masks
    return " x ".join(str(side) for side in tensor.shape)


# A student for pages of a clone in which the run was not made.
SHORT = WishConfig(
    labels="200 points + 200 boxes", categories=20, train_count=400, val_count=1, batch_size=8,
    optimiser="adamw", learning_rate=0.001, weight_decay=0.05, warmup_steps=10, schedule="cosine",
    clip_norm=1.0, tag_pretraining=True, self_start=-1,
)  # fmt: skip


def student_for(
    scale: str, seed: int, steps: int, table: str = "wish-moments", row: str = "everything"
) -> tuple[WISH, str]:
    """The student that a run of the study kept and what it is; without that run, a short one."""
    from wsisbook.experiments.wish_student import load_student

    try:
        return load_student(scale, seed, table, row), f"the student of a run at {scale} scale"
    except ValueError as missing:
        instead = f"instead, one after {steps} steps taken here, so its answers are crude"
        return short_student(steps, seed), f"{missing}\n{instead}"


def short_student(steps: int, seed: int, config: WishConfig | None = None) -> WISH:
    """Train the lab's WISH (`config` or `SHORT`); a step takes half a second on one core."""
    from wsisbook.experiments.wish import teacher_of

    config = replace(config or SHORT, steps=steps, checkpoint_every=steps)
    train, _ = data_sets(config)
    model = build_model(config, len(train.categories), teacher_of(config), seed)
    assert isinstance(model, WISH)
    settings = replace(train_config(config, seed), loss_weights=loss_weights(config))
    data = weak_data(config, train, seed)
    with tempfile.TemporaryDirectory() as folder:
        fit(model, data, settings, Path(folder), device="cpu", progress=False)
    return model.eval()
