"""Experiment `wish`: one model from tags, points, boxes and masks, and what it is compared with.

Kweon and Yoon, WISH (2025), tables 1 and 3. The teacher's candidates for points and boxes are made
once and kept in build/teacher, where runs with the same labels find them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wsisbook.experiments.mask_rcnn import average_precisions, examples_of, train_config
from wsisbook.experiments.partial_data import chosen_split, data_sets
from wsisbook.experiments.weak_labels import kinds_held, weak_data
from wsisbook.experiments.wish_settings import (
    WishConfig,
    build_model,
    jitter,
    loss_weights,
    wish_files,
)
from wsisbook.runs.experiments import Context, Experiment, Outcome
from wsisbook.runs.paths import cache_folder, data_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from wsislib.data.sample import Dataset, Sample
    from wsislib.engine.looking import AfterStep
    from wsislib.labels.datasets import WeakDataset
    from wsislib.models.mask2former.mask2former import Mask2Former
    from wsislib.models.sam.sam import Teacher
    from wsislib.models.wish.wish import WISH

LOOKED_AT = 200  # images that teacher and activation maps are judged on


def run_wish(context: Context, after_step: AfterStep | None = None) -> Outcome:
    """Train and judge one model; AP of masks and boxes.

    `after_step` looks at it while it trains, see `fit`.

    Beside `segm.all` and `bbox.all` (also `A` and `B`, where B has cheaper labels) the metrics
    have `teacher` (IoU of its candidates with the truth, by kind of label) and, of WISH, `cam`
    (how often pseudo points hit); see `wish_insight.py`.
    """
    from wsislib.engine.device import describe_device, pick_device
    from wsislib.engine.evaluate import predict_all
    from wsislib.engine.train import fit

    config: WishConfig = context.config
    device = pick_device(context.device)
    train, val = data_sets(config)
    teacher = teacher_of(config, context.needs)
    model = build_model(config, len(train.categories), teacher, context.seed)
    context.on_model(model)
    weak = weak_data(config, train, context.seed)
    labelled = weak if teacher is None else taught_data(weak, teacher.to(device), context.progress)
    learnt = pseudo_masked(labelled) if config.method == "pseudo-masks" else labelled
    settings = replace(train_config(config, context.seed), loss_weights=loss_weights(config))
    fitted = fit(
        model,
        learnt,
        settings,
        context.folder,
        device=device,
        augment=jitter(config),
        progress=context.progress,
        after_step=after_step,
    )
    results = predict_all(model, val, device=device, progress=context.progress)
    checkpoints = context.folder / "checkpoints"
    return Outcome(
        metrics={
            **average_precisions(
                val.ground_truth(), results, _sides(config, len(train.categories))
            ),
            **_insight(model, train, weak, labelled),
        },
        data={
            "train": learnt.fingerprint(),
            "val": val.fingerprint(),
            **({} if teacher is None else {"teacher": teacher.fingerprint}),
        },
        device=describe_device(device),
        examples=examples_of(results, val.image_ids),
        files={"history.csv": context.folder / "history.csv"},
        weights={name: checkpoints / name for name in ("final.safetensors", "final.json")},
        peak_memory_mib=fitted.peak_memory_mib,
        notes=_notes(fitted.seconds, teacher, weak),
    )


def teacher_of(config: WishConfig, needs: Mapping[str, Path] | None = None) -> Teacher | None:
    """The teacher that the settings name; None where masks alone are learnt from.

    Args:
        config: the settings.
        needs: name -> folder of the runs that the row needs, for the teacher "needed".

    Raises:
        ValueError: the teacher is not there, or "needed" and no run `teacher` among the needs.
    """
    if config.method == "mask2former":
        return None
    from wsislib.models.sam.sam_weights import load_sam, load_tiny_sam

    if config.teacher == "needed":
        if not needs or "teacher" not in needs:
            raise ValueError(
                "teacher is 'needed', so the row must declare the run that trains it as `teacher` "
                "under `needs`"
            )
        return load_tiny_sam(needs["teacher"] / "checkpoints")
    return load_sam("tiny" if config.teacher == "tiny" else data_folder() / config.teacher)


def taught_data(weak: WeakDataset, teacher: Teacher, progress: bool = True) -> Dataset:
    """The images with the teacher's candidates, from build/teacher or made now."""
    from wsislib.data.sample import LabelKind
    from wsislib.teacher.caching import cache_candidates
    from wsislib.teacher.teaching import TeachingDataset

    if not {LabelKind.POINT, LabelKind.BOX}.intersection(weak.entry_kinds):
        return weak
    folder = cache_folder() / "teacher" / teacher.fingerprint[:16]
    return TeachingDataset(weak, cache_candidates(weak, teacher, folder, progress=progress).cache)


def pseudo_masked(labelled: Dataset) -> Dataset:
    """The teacher used offline: of each entry the candidate with the highest predicted IoU."""
    from wsislib.teacher.teaching import PseudoMaskDataset

    return PseudoMaskDataset(labelled)


def _sides(config: WishConfig, category_count: int) -> dict[str, Sequence[int]]:
    """A and B, where they have other labels."""
    if not config.b_labels:
        return {}
    split = chosen_split(config, category_count)
    return {"A": split.a, "B": split.b}


def _insight(
    model: WISH | Mask2Former, train: Dataset, weak: WeakDataset, labelled: Dataset
) -> dict[str, Any]:
    """Teacher and activation maps against the truth, on the first training images."""
    from wsisbook.experiments.wish_insight import cam_quality, teacher_quality
    from wsislib.models.wish.wish import WISH

    rows = range(min(LOOKED_AT, len(labelled)))
    true: list[Sample] = [train[train.image_ids.index(weak.image_ids[row])] for row in rows]
    pairs = ((labelled[row], sample) for row, sample in zip(rows, true, strict=True))
    metrics: dict[str, Any] = {}
    if quality := teacher_quality(pairs):
        metrics["teacher"] = quality
    if isinstance(model, WISH):
        device = next(model.parameters()).device
        metrics["cam"] = cam_quality(model, (sample.to(device) for sample in true))
    return metrics


def _notes(seconds: float, teacher: Teacher | None, weak: WeakDataset) -> dict[str, Any]:
    from wsislib.data.sample import LabelKind

    counts = {kind.name.lower(): weak.kinds.count(kind) for kind in LabelKind}
    name = "none" if teacher is None else teacher.name
    return {"training_seconds": round(seconds, 1), "images_by_kind": counts, "teacher": name}


def _parts(config: WishConfig) -> tuple[str, ...]:
    tags = ("pseudo_points",) if "tags" in kinds_held(config) else ()
    return (config.data, "labels", "wish", *tags, "engine", "evaluation")


WISH_EXPERIMENT = Experiment(WishConfig, run_wish, _parts, wish_files)
