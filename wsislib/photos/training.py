"""How a model of one's own photographs is trained: options, recipe, data and schedule together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from wsislib.atomic import read_json
from wsislib.data.photographs.coco import CocoDataset
from wsislib.data.photographs.validate_meaning import amounts_of
from wsislib.data.picture_cache import PictureCache
from wsislib.data.sample import Dataset, LabelKind, Sample
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
from wsislib.photos.capacity import (
    MOST_OBJECTS,
    capacity_of,
    capacity_warning,
    raise_capacity,
)
from wsislib.photos.data import holds_tags, read_photographs, weakened
from wsislib.photos.data_record import record_of
from wsislib.photos.going_on import Options, require_same_plan
from wsislib.photos.label_table import (
    LabelTable,
    count_in_file,
    table_of_masks,
    table_of_taught,
)
from wsislib.photos.own_start import OwnModel, load_own, read_own
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
GATE = Gate(min_box_iou=MIN_BOX_FIT)


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
    init: Path | None = None
    max_objects: int = 0
    allow_empty: bool = False

    def check(self) -> None:
        """Raise ValueError where options do not go together."""
        if self.from_scratch and self.start not in ("auto", "scratch"):
            raise ValueError(f"--from-scratch and --start {self.start}: give one of them")
        if self.init is not None and (self.from_scratch or self.start != "auto"):
            raise ValueError("--init says what to start from; leave out --start and --from-scratch")
        if not 0 <= self.max_objects <= MOST_OBJECTS:
            raise ValueError(f"--max-objects {self.max_objects}: give 1 to {MOST_OBJECTS}")
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

    def recipe(self, dataset: Dataset, own: OwnModel | None = None) -> Recipe:
        """The recipe of these options on `dataset`, but for what is of WISH alone.

        Raises ValueError where the start does not go with the model or is not there.
        """
        categories = tuple((c.id, c.name) for c in dataset.categories)
        if own is not None:
            return self._from_own(own, categories, dataset.fingerprint())
        choice: StartChoice = "scratch" if self.from_scratch else self.start
        start, digest = choose_start(choice, self.model, self.size)
        side = self.side
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
            max_objects=self.max_objects,
        )

    def _from_own(
        self, own: OwnModel, categories: tuple[tuple[int, str], ...], data: str
    ) -> Recipe:
        """A recipe of the form of one's own model; ValueError where options ask for another."""
        before = own.recipe
        wanted = (self.model, self.size, self.mask_head)
        if wanted != (before.model, before.size, before.mask_head):
            head = "" if before.model == "wish" else f" --mask-head {before.mask_head}"
            raise ValueError(
                f"--init {self.init} is of another network; give --model {before.model} --size "
                f"{before.size}{head}"
            )
        return replace(
            before,
            image_side=self.image_side or before.image_side,
            seed=self.seed,
            categories=categories,
            data=data,
            labels="file",
            teacher="",
            start="own",
            start_sha256=own.sha256,
            max_objects=self.max_objects or before.max_objects,
        )


@dataclass(frozen=True)
class Training:
    """What `fit` trains, and the recipe that is kept beside the weights."""

    recipe: Recipe
    model: nn.Module
    dataset: Dataset
    config: TrainConfig
    augment: Augment | None
    table: LabelTable  # how each label was read
    notes: tuple[str, ...] = ()  # that a reader should see


def prepare(
    annotations: Path, images: Path | None, first: int | None, options: TrainOptions, out: Path,
    device: str, given: Options | None = None,
) -> Training:  # fmt: skip
    """Check and read the data, build the model; for WISH, cache the teacher's candidates in `out`.

    `given` are the options as commands in messages should repeat them.

    Raises:
        ValueError: a fault in data, options or teacher, before anything is written; or `out` holds
            a model of another recipe.
    """
    options.check()
    own = None if options.init is None else read_own(options.init)
    if own is not None and options.image_side is None:
        options = replace(options, image_side=own.recipe.image_side)
    masks = options.model == "mask-rcnn"
    source = read_photographs(
        annotations, images, first, weakest=LabelKind.BOX if masks else LabelKind.TAG,
        allow_empty=options.allow_empty,
    ).within(options.pictures(out))  # fmt: skip
    if masks:
        table = table_of_masks(source)
        require_something(table.in_file, annotations, options)
        recipe = options.recipe(source, own)
        model = recipe.build(weights_follow=own is not None)  # weights may be out of reach
        notes = _start_and_capacity(model, model, own, recipe, source)
        config = mask_rcnn_config(recipe, options)
        _begin(recipe, source, config, out, annotations, given)
        return Training(recipe, model, source, config, jitter_of(recipe), table, notes)
    teacher = sam_weights.load_sam(options.teacher)
    dataset = weakened(source, options.labels, options.seed)
    require_something(count_in_file(source, dataset.image_ids), annotations, options)
    name = options.teacher if options.teacher in PACKAGED_TEACHERS else teacher.fingerprint
    recipe = replace(options.recipe(dataset, own), labels=options.labels, teacher=name)
    wish = build_wish(recipe, teacher, options.steps)
    notes = _start_and_capacity(wish, wish.segmenter, own, recipe, source)
    config = wish_config(recipe, options, holds_tags(dataset))
    _begin(recipe, source, config, out, annotations, given)
    stats = cache_candidates(dataset, teacher.to(pick_device(device)), out / "candidates")
    taught = TeachingDataset(dataset, stats.cache)
    table = _kept_table(out) or table_of_taught(source, taught, GATE)
    return Training(recipe, wish, taught, config, jitter_of(recipe), table, notes)


def require_something(held: Mapping[str, int], annotations: Path, options: TrainOptions) -> None:
    """Raise ValueError where the labels `held` cannot teach the model that is asked for."""
    learnt = sum(held.values()) - held["crowd"]
    if learnt == 0 and not options.allow_empty:
        raise ValueError(
            f"{annotations}: the images to train on hold no object: nothing to learn from. Label "
            "some, or say --allow-empty if images without objects are meant"
        )
    if options.model == "mask-rcnn" and learnt and not held["masks"]:
        raise ValueError(
            f"{annotations}: none of the {learnt} annotations has a mask, and a Mask R-CNN learns "
            "masks from masks alone: it would find boxes, with useless masks. --model wish learns "
            "masks from boxes"
        )


def _start_and_capacity(
    model: nn.Module, network: nn.Module, own: OwnModel | None, recipe: Recipe, source: CocoDataset
) -> tuple[str, ...]:
    """Put one's own weights in; what a reader should know of them and of many objects."""
    names = tuple(name for _, name in recipe.categories)
    notes = [] if own is None else load_own(model, own, names)
    members = {i: source.annotations_of(i) for i in source.image_ids}
    many = capacity_warning(amounts_of(members), capacity_of(network))
    return (*notes, *([f"warning: {many}"] if many else []))


def _begin(
    recipe: Recipe, source: CocoDataset, config: TrainConfig, out: Path, annotations: Path,
    given: Options | None,
) -> None:  # fmt: skip
    """Write the recipe, or refuse a folder that was begun with another one or another plan."""
    recipe.save(out, record_of(source))
    require_same_plan(out, config, annotations, given or {})


def _kept_table(out: Path) -> LabelTable | None:
    """The table of an earlier start of the same training."""
    path = out / "labels.json"
    return LabelTable(**read_json(path)) if path.is_file() else None


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
    parts = WishParts(gate=GATE, tokens="by-kind")
    settings = (count, teacher, parts, alone, late, seed)
    if recipe.size != "small":
        wish = wish_r50(*settings, recipe.pretrained, side, recipe.start == "imagenet")
    elif recipe.pretrained:
        wish = wish_lite(*settings, side, fetch=recipe.start == "imagenet")
    else:
        wish = wish_small(*settings, side)
    load_start(wish.segmenter, recipe.start, recipe.model, recipe.mask_head)
    raise_capacity(wish.segmenter, recipe.max_objects, seed)
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
