"""How a model of one's own photographs is trained: options, recipe, data and schedule together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from wsislib.data.sample import Dataset
from wsislib.engine.config import TrainConfig
from wsislib.engine.device import pick_device
from wsislib.models.sam import sam_weights
from wsislib.models.sam.sam import Teacher
from wsislib.models.wish.builders import WishParts, wish_loss_weights, wish_r50, wish_small
from wsislib.models.wish.candidate_choice import Gate
from wsislib.models.wish.wish import WISH
from wsislib.photos.data import read_mixed, read_photographs
from wsislib.photos.recipe import MaskHead, ModelName, Recipe, Size
from wsislib.teacher.caching import cache_candidates
from wsislib.teacher.teaching import TeachingDataset

WISH_RATES = {"small": 5e-4, "r50": 1e-4}  # learning rates, for batches of 16
MASK_RCNN_RATE = 0.02

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

    def check(self) -> None:
        """Raise ValueError where options do not go together."""
        if self.model == "wish":
            if self.mask_head != "class-agnostic":
                raise ValueError("--mask-head is of a Mask R-CNN; WISH has one mask for each query")
            if self.size not in WISH_RATES:
                raise ValueError(f"--size {self.size}: WISH comes in {' and '.join(WISH_RATES)}")
        elif self.labels != "file" or self.teacher != "tiny":
            raise ValueError("--labels and --teacher are of WISH; add --model wish")

    def recipe(self, dataset: Dataset) -> Recipe:
        """The recipe of a Mask R-CNN of these options on `dataset`."""
        small = self.size == "small"
        pretrained = not small and not self.from_scratch  # no weights exist for the small one
        side = self.image_side or ((240, 320) if small else (800, 1333))
        categories = tuple((c.id, c.name) for c in dataset.categories)
        data = dataset.fingerprint()
        return Recipe(self.size, self.mask_head, pretrained, side, self.seed, categories, data)


@dataclass(frozen=True)
class Training:
    """What `fit` trains, and the recipe that is kept beside the weights."""

    recipe: Recipe
    model: nn.Module
    dataset: Dataset
    config: TrainConfig


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
        dataset: Dataset = read_photographs(annotations, images, first)
        recipe = options.recipe(dataset)
        recipe.save(out)
        return Training(recipe, recipe.build(), dataset, mask_rcnn_config(options))
    teacher = sam_weights.load_sam(options.teacher)
    dataset = read_mixed(annotations, images, options.labels, options.seed, first)
    name = options.teacher if options.teacher == "tiny" else teacher.fingerprint
    recipe = replace(options.recipe(dataset), model="wish", labels=options.labels, teacher=name)
    recipe.save(out)
    stats = cache_candidates(dataset, teacher.to(pick_device(device)), out / "candidates")
    model = build_wish(recipe, teacher, options.steps)
    with_candidates = TeachingDataset(dataset, stats.cache)
    return Training(recipe, model, with_candidates, wish_config(recipe, options))


def build_wish(recipe: Recipe, teacher: Teacher, steps: int) -> WISH:
    """The WISH that is trained for `steps` steps by a frozen SAM."""
    count, side, seed = len(recipe.categories), recipe.image_side, recipe.seed
    # Activation maps learn alone at first; predicted masks supervise them from half-way on.
    alone, late = steps // 10, steps // 2
    # One's own labels are of several kinds as a rule, so each kind has prompt tokens of its own.
    parts = WishParts(gate=Gate(min_box_iou=MIN_BOX_FIT), tokens="by-kind")
    if recipe.size == "small":
        return wish_small(count, teacher, parts, alone, late, seed, side)
    return wish_r50(count, teacher, parts, alone, late, seed, recipe.pretrained, side)


def mask_rcnn_config(options: TrainOptions) -> TrainConfig:
    """How a Mask R-CNN of one's own is trained: SGD along a cosine."""
    rate = MASK_RCNN_RATE if options.learning_rate is None else options.learning_rate
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


def wish_config(recipe: Recipe, options: TrainOptions) -> TrainConfig:
    """How a WISH of one's own is trained: Mask2Former's way, along a cosine."""
    published = recipe.size != "small"
    rate = WISH_RATES[recipe.size] if options.learning_rate is None else options.learning_rate
    return replace(
        mask_rcnn_config(options),
        optimiser="adamw",
        learning_rate=rate,
        weight_decay=0.05,
        decay_norms=not published,
        warmup_steps=min(50, options.steps // 10),
        clip_norm=0.01 if published else 1.0,
        loss_weights=wish_loss_weights(),
        lr_factors={"segmenter.backbone.": 0.1} if published else {},
    )
