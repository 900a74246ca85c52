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

from wsisbook.experiments.partial_data import data_sets
from wsisbook.experiments.training import train_config
from wsisbook.experiments.watched_wish import MOMENTS, Snapshot, load_student, read_moments
from wsisbook.experiments.wish import build_wish_model, loss_weights, teacher_of, weak_data
from wsisbook.experiments.wish_settings import WishConfig
from wsisbook.part2.matching_trace import labelled_by
from wsisbook.part2.prompt_space import tokens_of
from wsisbook.reading import RowResults
from wsislib.data.sample import Dataset, LabelKind, Sample
from wsislib.engine.train import fit
from wsislib.losses.prompts import PromptDistance
from wsislib.models.sam.prompts import prompts_of
from wsislib.models.sam.sam import Teacher
from wsislib.models.wish.label_completion import add_pseudo_labels
from wsislib.models.wish.prompt_head import Tokens
from wsislib.models.wish.targets import wish_targets
from wsislib.models.wish.wish import WISH

LAST = 5  # logged lines of a history that count as its end
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
    lines: list[dict[str, Any]] = [
        {"row": title, "step": int(step), **found["cam"], **found["segm"]}
        for title, row in rows.items()
        for step, found in (row.metrics(seed) or {}).get("moments", {}).items()
        if step != "last"
    ]
    columns = ["row", "step", "hits", "found", "points", "objects", "AP", "AP50"]
    return pd.DataFrame(lines, columns=columns)


def one_of_each(data: Dataset, first: int = 0, seed: int = 0) -> list[Sample]:
    """Four images in a row, labelled by a tag, points, boxes and masks."""
    generator = torch.Generator().manual_seed(seed)
    return [labelled_by(data[first + k], kind, generator) for k, kind in enumerate(LabelKind)]


def batch_table(batch: Iterable[Sample]) -> pd.DataFrame:
    """Every tensor that a batch holds, a line an image: the shape of each field, or nothing."""
    fields = ("categories", "points", "boxes", "masks", "candidates")
    lines = {
        sample.image_id: [KIND_NAMES[sample.label.kind]]
        + [_shape(getattr(sample.label, name)) for name in fields]
        for sample in batch
    }
    frame = pd.DataFrame.from_dict(lines, orient="index", columns=["label", *fields])
    return frame.rename_axis("image")


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
            "label": [KIND_NAMES[LabelKind(kind)] for kind in targets.kinds.tolist()],
            "category": targets.categories.tolist(),
            "allowed candidates": targets.allowed.sum(1).tolist(),
            "their pixels": [
                ", ".join(str(int(mask.sum())) for mask in masks[allowed])
                for masks, allowed in zip(candidates, targets.allowed, strict=True)
            ],
            "numbers in Z": [token.numel() for token in targets.prompts],
        }
    )


def kind_columns(history: pd.DataFrame, statistic: str) -> dict[str, pd.Series]:
    """Kind of label -> a logged statistic of it by step, for the kinds that have it."""
    by_step = history.set_index("step")
    columns = {name: f"{name}.{statistic}" for name in KIND_NAMES.values()}
    return {name: by_step[c].dropna() for name, c in columns.items() if c in history}


def _shape(field: Any) -> str:
    if field is None:
        return "nothing"
    tensor: Tensor = field if isinstance(field, Tensor) else field.masks
    return " x ".join(str(side) for side in tensor.shape)


def constant_baseline(
    teacher: Teacher, weak: Dataset, distance: PromptDistance, tokens: Tokens = "mean",
    count: int = 200,
) -> float:  # fmt: skip
    """Mean distance of prompts from one constant prediction for all of them.

    The constant is the mean of all tokens, which for KL from prediction to target is the best there
    is. The first `count` images are looked at, labelled by points, boxes or masks.

    Raises:
        ValueError: no image has a prompt.
    """
    tokens_by_image = []
    for index in range(min(count, len(weak))):
        sample = weak[index]
        if len(sample.label) and sample.label.kind != LabelKind.TAG:
            size = (int(sample.image.shape[-2]), int(sample.image.shape[-1]))
            tokens_by_image.append(tokens_of(teacher, prompts_of(sample.label), size, tokens))
    if not tokens_by_image:
        raise ValueError("no image has points, boxes or masks: there is no prompt to predict")
    targets = torch.cat(tokens_by_image)  # (N, T, D)
    return float(distance(targets.mean(0, keepdim=True).expand_as(targets), targets).mean())


def prompt_learnt(rows: Sequence[RowResults], seed: int = 0, count: int = 200) -> pd.DataFrame:
    """Distances of prompt heads from their targets at the end of training, and of a constant.

    A line a row (labels of points, boxes or masks) under its title, with means a layer of the
    decoder; that of the prompt head is missing where the run is.
    """
    lines = {}
    for row in rows:
        config = row.config
        teacher = teacher_of(config)
        assert teacher is not None
        weak = weak_data(config, row.data_sets()[0], seed)
        distance = PromptDistance(config.prompt_distance, config.prompt_temperature)
        constant = constant_baseline(teacher, weak, distance, config.prompt_tokens, count)
        lines[row.title] = {"constant predictor": constant}
        history = row.history(seed)
        if history is not None:
            model = build_wish_model(config, len(weak.categories), teacher, seed, fetch=False)
            assert isinstance(model, WISH)
            layers = len(model.segmenter.query_decoder.layers) + 1
            end = history["loss_prompt"].dropna().tail(LAST).mean()
            lines[row.title]["prompt head"] = float(end) / layers
    return pd.DataFrame.from_dict(lines, orient="index")


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
    try:
        return load_student(scale, seed, table, row), f"the student of a run at {scale} scale"
    except ValueError as missing:
        instead = f"instead, one after {steps} steps trained here, so its predictions are crude"
        return short_student(steps, seed), f"{missing}\n{instead}"


def short_student(steps: int, seed: int, config: WishConfig | None = None) -> WISH:
    """Train the lab's WISH (`config` or `SHORT`); a step takes half a second on one core."""
    config = replace(config or SHORT, steps=steps, checkpoint_every=steps)
    train, _ = data_sets(config)
    model = build_wish_model(config, len(train.categories), teacher_of(config), seed)
    assert isinstance(model, WISH)
    settings = replace(train_config(config, seed), loss_weights=loss_weights(config))
    data = weak_data(config, train, seed)
    with tempfile.TemporaryDirectory() as folder:
        fit(model, data, settings, Path(folder), device="cpu", progress=False)
    return model.eval()
