"""Experiment `wish`: one model from tags, points, boxes and masks, and what it is compared with.

Kweon and Yoon, WISH (2025), tables 1 and 3. The teacher's candidates for points and boxes are made
once and stored in build/teacher, where runs with the same labels find them.

Experiment `tiny_sam`: a teacher with a training of its own length, for runs that need one. How
much a student loses under a teacher that has learnt less is an ablation of WISH.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from wsisbook.experiments import training
from wsisbook.experiments.partial_data import chosen_split, data_sets
from wsisbook.experiments.wish_insight import cam_quality, teacher_quality
from wsisbook.experiments.wish_settings import (
    KINDS,
    NEVER,
    TinySamConfig,
    WeakLabelConfig,
    WishConfig,
    label_mix,
)
from wsisbook.recipes.tag_pretraining import lab_backbone_weights
from wsisbook.recipes.tiny_sam_recipe import TinySamRecipe, train_tiny_sam
from wsisbook.runs.experiments import Context, Outcome
from wsisbook.runs.paths import cache_folder, data_folder
from wsislib.atomic import read_json
from wsislib.data.sample import Dataset, LabelKind
from wsislib.data.transforms import large_scale_jitter
from wsislib.engine.batches import Augment
from wsislib.engine.device import describe_device, pick_device
from wsislib.engine.side_effects import AfterStep
from wsislib.engine.weights import sidecar
from wsislib.labels.budget import draw_kinds
from wsislib.labels.datasets import WeakDataset
from wsislib.losses.prompts import PromptDistance
from wsislib.models.mask2former import builders as builders_mask2former
from wsislib.models.mask2former.mask2former import Mask2Former
from wsislib.models.sam import sam_weights
from wsislib.models.sam.sam import Teacher
from wsislib.models.wish import builders as builders_wish
from wsislib.models.wish.candidate_choice import Gate
from wsislib.models.wish.pseudo_points import PeakRule
from wsislib.models.wish.wish import WISH
from wsislib.teacher.caching import cache_candidates
from wsislib.teacher.teaching import PseudoMaskDataset, TeachingDataset

INSIGHT_IMAGES = 200  # training images that teacher and activation maps are judged on


def run_wish(context: Context, after_step: AfterStep | None = None) -> Outcome:
    """Train and judge one model; AP of masks and boxes. `after_step` is called by `fit`.

    Beside `segm.all` and `bbox.all` (also `A` and `B`, where B has cheaper labels) the metrics
    have `teacher` (IoU of its candidates with the truth, by kind of label) and, of WISH, `cam`
    (how often pseudo points hit); see `wish_insight.py`.
    """
    config: WishConfig = context.config
    train_data, val = data_sets(config)
    count = len(train_data.categories)
    teacher = teacher_of(config, context.needs)
    model = build_wish_model(config, count, teacher, context.seed)
    context.on_model(model)
    weak = weak_data(config, train_data, context.seed)
    labelled: Dataset = weak
    if teacher is not None:
        labelled = taught_data(weak, teacher.to(pick_device(context.device)), context.progress)
    # "pseudo-masks" is the teacher used offline: its best-scoring candidates are the labels.
    learnt = PseudoMaskDataset(labelled) if config.method == "pseudo-masks" else labelled
    fitted = training.train_model(
        context, model, learnt, loss_weights(config), augment=jitter(config), after_step=after_step
    )
    results = training.predict_set(context, model, val)
    sides = training.sides_of(chosen_split(config, count, train_data)) if config.b_labels else {}
    sides = {**sides, **training.frequent_side(config, val)}
    metrics = training.average_precisions(val.ground_truth(), results, sides)
    data = {"train": learnt.fingerprint(), "val": val.fingerprint()}
    if teacher is not None:
        data["teacher"] = teacher.fingerprint
    notes = {
        "images_by_kind": {kind.name.lower(): weak.kinds.count(kind) for kind in LabelKind},
        "teacher": "none" if teacher is None else teacher.name,
    }
    return training.record(
        context, fitted, learnt, val,
        {**metrics, **_insight(model, train_data, weak, labelled)}, notes,
        data=data, examples=training.examples_of(results, val.image_ids),
    )  # fmt: skip


def weak_data(config: WeakLabelConfig, train_data: Dataset, seed: int = 0) -> WeakDataset:
    """Images with masks turned into images with the labels that the settings give them.

    `seed` is the run's, for `redraw`.
    """
    label_seed = config.label_seed + (seed if config.redraw else 0)
    kinds: list[LabelKind | None]
    if config.labels in KINDS:
        kinds = [LabelKind(KINDS.index(config.labels))] * len(train_data)
    else:
        kinds = draw_kinds(label_mix(config), len(train_data), label_seed)
    ceilings = None  # the dearest kind of each category
    if config.b_labels:
        count = len(train_data.categories)
        in_b = set(chosen_split(config, count, train_data).b)
        low = LabelKind(KINDS.index(config.b_labels))
        ceilings = [low if category in in_b else LabelKind.MASK for category in range(count)]
    return WeakDataset(train_data, kinds, label_seed, ceilings=ceilings)


def teacher_of(config: WishConfig, needs: Mapping[str, Path] | None = None) -> Teacher | None:
    """The teacher that the settings name; None where masks alone are learnt from.

    `needs` are the folders of the runs that the row needs by name, for the teacher "needed".

    Raises:
        ValueError: the teacher is not there, or "needed" and no run `teacher` among the needs.
    """
    if config.method == "mask2former":
        return None
    if config.teacher == "needed":
        if not needs or "teacher" not in needs:
            raise ValueError(
                "teacher is 'needed', so the row must declare the run that trains it as `teacher` "
                "under `needs`"
            )
        return sam_weights.load_tiny_sam(needs["teacher"] / "checkpoints")
    packaged = config.teacher in ("tiny", "photo")
    return sam_weights.load_sam(config.teacher if packaged else data_folder() / config.teacher)


def taught_data(weak: WeakDataset, teacher: Teacher, progress: bool = True) -> Dataset:
    """The images with the teacher's candidates, from build/teacher or made now."""
    if not {LabelKind.POINT, LabelKind.BOX}.intersection(weak.entry_kinds):
        return weak
    folder = cache_folder() / "teacher" / teacher.fingerprint[:16]
    return TeachingDataset(weak, cache_candidates(weak, teacher, folder, progress=progress).cache)


def build_wish_model(
    config: WishConfig,
    category_count: int,
    teacher: Teacher | None,
    seed: int,
    fetch: bool = True,
) -> WISH | Mask2Former:
    """The model that the settings name, with initial weights from the run's seed.

    Args:
        config: the settings.
        category_count: C, "no object" not counted.
        teacher: for method "wish"; None for the others.
        seed: of the initial weights.
        fetch: False leaves out the backbone's start weights, which a checkpoint will fill; its
            form stays (a backbone from ImageNet has frozen norms).
    """
    more: dict[str, Any] = {}
    if config.builder == "r50":
        more = {"pretrained": config.pretrained, "fetch": fetch}
    elif config.builder == "lite0":
        more = {"image_side": (config.photo_side, config.photo_side), "fetch": fetch}
    name = {"lite0": "lite"}.get(config.builder, config.builder)
    model: WISH | Mask2Former
    segmenter: Any  # a Mask2Former; its backbone is one of several classes
    if config.method == "wish":
        assert teacher is not None
        build_wish = getattr(builders_wish, f"wish_{name}")
        start = None if config.self_start == NEVER else config.self_start
        parts = wish_parts(config)
        model = build_wish(category_count, teacher, parts, config.cam_warmup, start, seed, **more)
        segmenter = model.segmenter
    else:
        segmenter = model = getattr(builders_mask2former, f"mask2former_{name}")(
            category_count, seed, **more
        )
    if config.tag_pretraining and fetch:
        segmenter.backbone.load_state_dict(lab_backbone_weights())
    return model


def wish_parts(config: WishConfig) -> builders_wish.WishParts:
    """What the settings vary in the model."""
    return builders_wish.WishParts(
        prompt_weight=config.prompt_weight,
        distance=PromptDistance(config.prompt_distance, config.prompt_temperature),
        tokens=config.prompt_tokens,
        sees=config.prompt_sees,
        gate=None if config.gate == NEVER else Gate(config.gate, max_overlap=config.apart),
        choice=config.candidate,
        mask_cost=config.mask_cost,
        peaks=PeakRule(
            threshold=config.peak_least,
            overlap=config.peak_overlap,
            exclusive=config.peak_contest,
        ),
    )


def loss_weights(config: WishConfig) -> dict[str, float]:
    """Weights for the engine: the paper's, and over them those of the settings."""
    published = builders_mask2former.LOSS_WEIGHTS
    if config.method == "wish":
        published = builders_wish.wish_loss_weights(config.prompt_weight)
    return {**published, **config.loss_weights}


def jitter(config: WishConfig) -> Augment | None:
    """The augmentation that the settings name, beside the mirror."""
    if config.jitter == 0:
        return None
    return lambda sample, draws: large_scale_jitter(
        sample, config.jitter, *config.jitter_range, draws
    )


def _insight(
    model: WISH | Mask2Former, train_data: Dataset, weak: WeakDataset, labelled: Dataset
) -> dict[str, Any]:
    """Teacher and activation maps against the truth, on the first training images."""
    rows: Sequence[int] = range(min(INSIGHT_IMAGES, len(labelled)))
    true = [train_data[train_data.image_ids.index(weak.image_ids[row])] for row in rows]
    pairs = ((labelled[row], sample) for row, sample in zip(rows, true, strict=True))
    metrics: dict[str, Any] = {}
    if quality := teacher_quality(pairs):
        metrics["teacher"] = quality
    if isinstance(model, WISH):
        device = next(model.parameters()).device
        metrics["cam"] = cam_quality(model, (sample.to(device) for sample in true))
    return metrics


def run_tiny_sam(context: Context) -> Outcome:
    """Train a tiny SAM and judge it; metrics are under `teacher`, by world."""
    known = {field.name for field in fields(TinySamRecipe)}
    names = [field.name for field in fields(TinySamConfig) if field.name in known]
    recipe = TinySamRecipe(
        **{name: getattr(context.config, name) for name in names}, seed=context.seed
    )
    device = pick_device(context.device)
    path = train_tiny_sam(recipe, context.folder, str(device), context.progress)
    manifest: dict[str, Any] = read_json(sidecar(path))
    return Outcome(
        metrics={"teacher": manifest["quality"]},
        data={"train": manifest["scenes_sha256"]},
        device=describe_device(device),
        files={"history.csv": context.folder / "history.csv"},
        weights={path.name: path, sidecar(path).name: sidecar(path)},
        notes={"training_seconds": manifest["training_seconds"]},
    )
