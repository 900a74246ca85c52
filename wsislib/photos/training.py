"""How a model of one's own photographs is trained: options, recipe, data and schedule together."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from wsislib.data.picture_cache import PictureCache
from wsislib.data.sample import Dataset, Sample
from wsislib.data.transforms import large_scale_jitter
from wsislib.engine.batches import Augment
from wsislib.engine.config import TrainConfig
from wsislib.engine.device import pick_device
from wsislib.models.sam import sam_weights
from wsislib.models.sam.sam import Teacher
from wsislib.models.teacher_names import DEFAULT_TEACHER, PACKAGED_TEACHERS
from wsislib.models.wish.builders import (
    WishParts,
    wish_lite,
    wish_loss_weights,
    wish_r50,
    wish_small,
)
from wsislib.models.wish.candidate_choice import Gate
from wsislib.models.wish.wish import WISH
from wsislib.photos.data import holds_tags, read_mixed, read_photographs
from wsislib.photos.recipe import MaskHead, ModelName, Recipe, Size
from wsislib.photos.starts import StartChoice, choose_start, load_start
from wsislib.teacher.caching import cache_candidates
from wsislib.teacher.teaching import TeachingDataset

WISH_RATES = {"small": 5e-4, "r50": 1e-4}  # learning rates, for batches of 16
MASK_RCNN_RATE = 0.02
# Of models on EfficientNet-Lite: the backbone knows photographs already and learns more slowly.
LITE_RATE = 3e-4  # of a Mask R-CNN, with AdamW
LITE_BACKBONE = 0.3
# Activation maps begin from nothing; as in the study. Without tags they teach nobody.
CAM_FACTOR = 40.0
JITTER = (0.6, 1.4)  # of the longest side
LEAST_SIDE = 1024  # pixels: no photograph is scaled below this before training

# Nobody knows how good a teacher is on one's own images, so a candidate whose box does not fit the
# labelled box this well is left out, and the box itself is learnt.
MIN_BOX_FIT = 0.7


@dataclass(frozen=True)
class TrainOptions:
    """The options of `wsis train`; see there."""

    model: ModelName
    labels: str
    teacher: str
    size: Size
    mask_head: MaskHead
    from_scratch: bool
    image_side: tuple[int, int] | None
    steps: int
    batch_size: int
    learning_rate: float | None
    seed: int
    checkpoint_every: int
    start: StartChoice = "auto"

    def check(self) -> None:
        """Raise ValueError where options do not go together."""
        if self.from_scratch and self.start not in ("auto", "scratch"):
            raise ValueError(f"--from-scratch and --start {self.start}: give one of them")
        if self.model == "wish":
            if self.mask_head != "class-agnostic":
                raise ValueError("--mask-head is of a Mask R-CNN; WISH has one mask for each query")
            if self.size not in WISH_RATES:
                raise ValueError(f"--size {self.size}: WISH comes in {' and '.join(WISH_RATES)}")
        elif self.labels != "file" or self.teacher != DEFAULT_TEACHER:
            raise ValueError("--labels and --teacher are of WISH; add --model wish")

    @property
    def side(self) -> tuple[int, int]:
        """Shortest side wanted and longest side allowed, in pixels."""
        return self.image_side or ((240, 320) if self.size == "small" else (800, 1333))

    def pictures(self, out: Path) -> PictureCache:
        """Where photographs larger than any that the model sees are kept, scaled down."""
        jitter = JITTER[1] if self.size == "small" else 1.0
        return PictureCache(out / "pictures", max(LEAST_SIDE, math.ceil(jitter * self.side[1])))

    def recipe(self, dataset: Dataset) -> Recipe:
        """The recipe of these options on `dataset`, but for what is of WISH alone.

        Raises ValueError where the start does not go with the model or is not there.
        """
        choice: StartChoice = "scratch" if self.from_scratch else self.start
        start, digest = choose_start(choice, self.model, self.size)
        side = self.side
        categories = tuple((c.id, c.name) for c in dataset.categories)
        return Recipe(
            self.size,
            self.mask_head,
            start != "scratch",
            side,
            self.seed,
            categories,
            dataset.fingerprint(),
            self.model,
            start=start,
            start_sha256=digest,
        )


@dataclass(frozen=True)
class Training:
    """What `fit` trains, and the recipe that is kept beside the weights."""

    recipe: Recipe
    model: nn.Module
    dataset: Dataset
    config: TrainConfig
    augment: Augment | None


def prepare(
    annotations: Path, images: Path | None, first: int | None, options: TrainOptions, out: Path,
    device: str,
) -> Training:  # fmt: skip
    """Check and read the data, build the model; for WISH, cache the teacher's candidates in `out`.

    Raises:
        ValueError: a fault in data, options or teacher, before anything is written; or `out` holds
            a model of another recipe.
    """
    options.check()
    if options.model == "mask-rcnn":
        read = read_photographs(annotations, images, first)
        dataset: Dataset = read.within(options.pictures(out))
        recipe = options.recipe(dataset)
        detector = recipe.build()  # before anything is written: weights may be out of reach
        recipe.save(out)
        config = mask_rcnn_config(recipe, options)
        return Training(recipe, detector, dataset, config, jitter_of(recipe))
    teacher = sam_weights.load_sam(options.teacher)
    dataset = read_mixed(
        annotations, images, options.labels, options.seed, first, options.pictures(out)
    )
    name = options.teacher if options.teacher in PACKAGED_TEACHERS else teacher.fingerprint
    recipe = replace(options.recipe(dataset), labels=options.labels, teacher=name)
    recipe.save(out)
    stats = cache_candidates(dataset, teacher.to(pick_device(device)), out / "candidates")
    model = build_wish(recipe, teacher, options.steps)
    with_candidates = TeachingDataset(dataset, stats.cache)
    config = wish_config(recipe, options, holds_tags(dataset))
    return Training(recipe, model, with_candidates, config, jitter_of(recipe))


def jitter_of(recipe: Recipe) -> Augment | None:
    """Large-scale jitter for models on EfficientNet-Lite, which leave training images as they are.

    Their Mask R-CNN is built to do so too: a few hundred photographs show objects at few sizes, and
    a detector that brings every image back to one size would undo the jitter. The other models
    resize by themselves.
    """
    if recipe.size != "small" or not recipe.pretrained:
        return None
    longest = recipe.image_side[1]

    def jitter(sample: Sample, generator: torch.Generator) -> Sample:
        return large_scale_jitter(sample, longest, *JITTER, generator)

    return jitter


def build_wish(recipe: Recipe, teacher: Teacher, steps: int) -> WISH:
    """The WISH that is trained for `steps` steps by a frozen SAM."""
    count, side, seed = len(recipe.categories), recipe.image_side, recipe.seed
    # Activation maps learn alone at first; predicted masks supervise them from half-way on.
    alone, late = steps // 10, steps // 2
    # One's own labels are of several kinds as a rule, so each kind has prompt tokens of its own.
    parts = WishParts(gate=Gate(min_box_iou=MIN_BOX_FIT), tokens="by-kind")
    settings = (count, teacher, parts, alone, late, seed)
    if recipe.size != "small":
        wish = wish_r50(*settings, recipe.pretrained, side)
    elif recipe.pretrained:
        wish = wish_lite(*settings, side, fetch=recipe.start == "imagenet")
    else:
        wish = wish_small(*settings, side)
    load_start(wish.segmenter, recipe.start, recipe.model, recipe.mask_head)
    return wish


def mask_rcnn_config(recipe: Recipe, options: TrainOptions) -> TrainConfig:
    """How a Mask R-CNN of one's own is trained: SGD, on EfficientNet-Lite AdamW; a cosine."""
    sgd = _shared_config(options, MASK_RCNN_RATE)
    if recipe.size != "small" or not recipe.pretrained:
        return sgd
    return replace(
        _shared_config(options, LITE_RATE),
        optimiser="adamw",
        weight_decay=0.05,
        clip_norm=1.0,
        lr_factors={"backbone.body.": LITE_BACKBONE},
    )


def _shared_config(options: TrainOptions, usual_rate: float) -> TrainConfig:
    rate = usual_rate if options.learning_rate is None else options.learning_rate
    return TrainConfig(
        steps=options.steps,
        batch_size=options.batch_size,
        learning_rate=rate,
        schedule="cosine",
        warmup_steps=min(100, options.steps // 10),
        warmup_factor=0.01,
        clip_norm=5.0,
        seed=options.seed,
        checkpoint_every=options.checkpoint_every,
        log_every=10,
    )


def wish_config(recipe: Recipe, options: TrainOptions, tags: bool) -> TrainConfig:
    """How a WISH of one's own is trained: Mask2Former's way, along a cosine.

    `tags` says whether labels hold tags, which wait for the activation maps.
    """
    published = recipe.size != "small"
    factors = {"segmenter.backbone.": 0.1} if published else {}
    if not published and recipe.pretrained:
        factors = {"segmenter.backbone.": LITE_BACKBONE}
        factors |= {"cam_head.": CAM_FACTOR} if tags else {}
    return replace(
        _shared_config(options, WISH_RATES[recipe.size]),
        optimiser="adamw",
        weight_decay=0.05,
        decay_norms=not published,
        warmup_steps=min(50, options.steps // 10),
        clip_norm=0.01 if published else 1.0,
        loss_weights=wish_loss_weights(),
        lr_factors=factors,
    )
