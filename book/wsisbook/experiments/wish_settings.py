"""Settings of part two's experiments, and the experiments themselves; the data's: `settings.py`.

RunConfig                      training: runs/config.py
  TinySamConfig
  PartialDataConfig            data and split: settings.py
    WeakLabelConfig            which training image has which kind of label
      WishConfig               the model
        WatchedWishConfig
        SamDecoderConfig
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from wsisbook.experiments.settings import (
    IN,
    PartialDataConfig,
    Start,
    check_start,
    data_files,
)
from wsisbook.runs.config import RunConfig
from wsisbook.runs.experiments import Experiment
from wsislib.data.sample import LabelKind
from wsislib.labels.budget import Mix, mix_for_budget, parse_mix
from wsislib.labels.prices import MASK_PRICE, Prices
from wsislib.models.teacher_names import PACKAGED_TEACHERS
from wsislib.strict import did_you_mean

KINDS = ("tags", "points", "boxes", "masks")  # from cheapest to dearest
BUDGET = "budget"
NEVER = -1


@dataclass(frozen=True)
class WeakLabelConfig(PartialDataConfig):
    """How the training images are labelled."""

    # One of `KINDS` for every training image; a mix such as "5290 tags + 441 boxes", whose images
    # are drawn and the others left out; or "budget", the mix that `budget` buys in `shares`.
    labels: str = "boxes"
    label_seed: int = 0  # of the random points, and of which images get which kind
    redraw: bool = False  # add the run's seed to `label_seed`: every run labels other images
    budget: float = 0.0  # what labels may cost in all; an image's tags are 1
    shares: dict[str, float] = field(default_factory=dict)  # kind -> part of the budget, sum 1
    mask_price: float = MASK_PRICE  # of an image with masks, see `labels/prices.py`
    # The dearest kind that categories in B of `split` may have, whatever their image has: "boxes"
    # is Mask^X R-CNN's setting; empty is what the image has.
    b_labels: Literal["", "tags", "points", "boxes"] = ""

    def __post_init__(self) -> None:
        if self.labels == BUDGET:
            bought(self)
        elif self.budget or self.shares:
            raise ValueError(f"budget and shares go with labels 'budget', not {self.labels!r}")
        elif self.labels not in KINDS:
            parse_mix(self.labels)
        if self.b_labels and image_kinds(self) <= set(KINDS[: KINDS.index(self.b_labels) + 1]):
            raise ValueError(
                f"b_labels is {self.b_labels!r}, but labels {self.labels!r} hold nothing dearer, "
                "so A and B would not differ; leave it out or name a cheaper kind"
            )


def bought(config: WeakLabelConfig) -> Mix:
    """What the budget of the settings buys."""
    for name in config.shares:
        if name not in KINDS:
            raise ValueError(f"shares: unknown kind {name!r}{did_you_mean(name, KINDS)}")
    shares = {LabelKind(KINDS.index(name)): share for name, share in config.shares.items()}
    return mix_for_budget(config.budget, shares, Prices(mask=config.mask_price))


def label_mix(config: WeakLabelConfig) -> Mix:
    """How many images of each kind, where `labels` is not one kind for all."""
    return bought(config) if config.labels == BUDGET else parse_mix(config.labels)


def image_kinds(config: WeakLabelConfig) -> set[str]:
    """Which of `KINDS` images are labelled in."""
    if config.labels in KINDS:
        return {config.labels}
    mix = label_mix(config)
    return {name for name in KINDS if getattr(mix, name)}


def kinds_held(config: WeakLabelConfig) -> set[str]:
    """Which of `KINDS` the labels hold, those of B among them."""
    kinds = image_kinds(config)
    if config.b_labels:
        kinds |= {min(kind, config.b_labels, key=KINDS.index) for kind in kinds}
    return kinds


@dataclass(frozen=True)
class WishConfig(WeakLabelConfig):
    """Settings of WISH, or of what it is compared with."""

    # "pseudo-masks" is Mask2Former with the teacher's best-scoring candidates as masks (points,
    # boxes or masks); "mask2former" learns from masks alone.
    method: Literal["wish", "pseudo-masks", "mask2former"] = "wish"
    builder: Literal["lab", "lite0", "r50"] = "lab"
    pretrained: bool = True  # ImageNet's weights, for "r50"
    start: Start = "imagenet"  # of "lite0", see `check_start`
    # Start the lab's backbone from the package's weights, which have seen image tags of another
    # world.
    tag_pretraining: bool = False
    # "tiny" or "photo", which ship with the package; "needed", the one of the run that the row
    # needs as `teacher`; or the path of a SAM checkpoint, relative to the data folder.
    teacher: str = "tiny"
    # Large-scale jitter of training images to windows of so many pixels, 0 is none; and how images
    # are scaled for it, where the default is that of Mask2Former's authors.
    jitter: int = 0
    jitter_range: tuple[float, float] = (0.1, 2.0)
    # Prompts, see `losses/prompts.py` and `models/wish/prompt_head.py`
    prompt_weight: float = 5.0  # of cost and loss
    prompt_distance: Literal["kl", "reverse-kl", "l2", "cosine"] = "kl"
    prompt_temperature: float = 1.0
    prompt_tokens: Literal["mean", "both", "by-kind"] = "mean"
    prompt_sees: Literal["state", "mask"] = "state"
    # Candidates, see `models/wish/candidate_choice.py`
    gate: float = 0.5  # share of the best predicted IoU that one must have; -1: no gate
    apart: float = 0.6  # share of another entry's box that one may cover; 1: any
    candidate: Literal["adaptive", "best", "largest", "smallest", "average"] = "adaptive"
    mask_cost: bool = True  # whether the matcher compares masks
    # Pseudo points, see `models/wish/pseudo_points.py`
    peak_least: float = 0.3
    peak_overlap: float = 0.5  # 1: merge none
    peak_contest: bool = True
    cam_warmup: int = 150  # steps before activation maps give pseudo points
    self_start: int = 750  # steps before predicted masks teach activation maps; -1: never

    def __post_init__(self) -> None:
        super().__post_init__()
        check_start(self.start, self.builder == "lite0", self)
        held = kinds_held(self)
        if self.method == "mask2former" and held != {"masks"}:
            raise ValueError(f"method 'mask2former' learns from masks; labels are {self.labels!r}")
        if self.method == "pseudo-masks" and "tags" in held:
            raise ValueError("method 'pseudo-masks' wants points, boxes or masks: tags have none")
        if self.gate != NEVER and not 0 <= self.gate <= 1:
            raise ValueError(f"gate is {self.gate}; it is a share in 0..1, or -1 for none")
        if not 0 <= self.apart <= 1:
            raise ValueError(f"apart is {self.apart}; it is a share in 0..1, 1 for any")
        if not (0 < self.peak_least <= 1 and 0 <= self.peak_overlap <= 1):
            raise ValueError("peak_least and peak_overlap are shares in 0..1")
        if self.cam_warmup < 0 or self.self_start < NEVER:
            raise ValueError("cam_warmup is 0 or more, self_start too or -1 for never")
        if self.jitter < 0:
            raise ValueError(f"jitter is {self.jitter}; it is a number of pixels, or 0 for none")
        if not 0 < self.jitter_range[0] <= self.jitter_range[1]:
            raise ValueError(f"jitter_range is {list(self.jitter_range)}; use 0 < from <= to")
        if self.builder == "lite0" and self.jitter != self.photo_side:
            raise ValueError(
                f"builder 'lite0' resizes images in prediction alone, so in training `jitter` must "
                f"bring them to photo_side: set jitter to {self.photo_side}, not {self.jitter}"
            )
        if self.tag_pretraining and self.builder != "lab":
            raise ValueError("tag_pretraining is for builder 'lab'; 'r50' has `pretrained`")


@dataclass(frozen=True)
class WatchedWishConfig(WishConfig):
    """Settings of a run of WISH of which snapshots are taken."""

    # How many steps are done at each snapshot, and the last step beside them; none where empty.
    moments: tuple[int, ...] = ()
    keep_student: bool = False  # publish the trained model, a few MB

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.method != "wish":
            raise ValueError(f"moments are those of method 'wish', not {self.method!r}")
        wrong = [step for step in self.moments if not 1 <= step <= self.steps]
        if wrong:
            raise ValueError(f"moments {wrong} are no steps of a training of {self.steps}")


Variant = Literal["mask-head", "embedding", "tuned", "boxes", "true-boxes", "true-points"]


@dataclass(frozen=True)
class SamDecoderConfig(WishConfig):
    """Settings of one way to get masks from a trained WISH, beside those of that WISH.

    `steps` and the optimiser are those of tuning the decoder; the other variants train nothing.
    """

    # What predicts the masks: "mask-head" is WISH as it is, "embedding" SAM's decoder on the
    # prompt head's output, "tuned" the same after tuning, "boxes" SAM on the boxes around WISH's
    # masks, "true-boxes" and "true-points" SAM on the ground truth.
    variant: Variant = "mask-head"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.method != "wish":
            raise ValueError(f"a decoder draws for method 'wish', not {self.method!r}")
        if (self.variant == "tuned") != (self.steps > 0):
            raise ValueError(
                f"variant {self.variant!r} with {self.steps} steps: 'tuned' wants some, the others "
                "train nothing and want 0"
            )


@dataclass(frozen=True)
class TinySamConfig(RunConfig):
    """Settings of a teacher's training; what is not named here is the recipe's.

    Of `RunConfig` `steps`, `batch_size`, `learning_rate`, `weight_decay`, `warmup_steps` and
    `clip_norm` are read; see `TinySamRecipe` for the others.
    """

    batch_size: int = 8
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    warmup_steps: int = 200
    clip_norm: float = 1.0
    prompts: int = 16
    start: Literal["lab_backbone", "random"] = "lab_backbone"
    held_out: int = 500


def wish_files(config: WishConfig) -> tuple[str, ...]:
    """The files of the data, and the teacher's checkpoint where one is read."""
    without_file = (*PACKAGED_TEACHERS, "needed")
    checkpoint = config.teacher not in without_file and config.method != "mask2former"
    return (*data_files(config), config.teacher) if checkpoint else data_files(config)


def small_wish(config: WishConfig) -> WishConfig:
    """Settings of a dry run: every branch from the first step, one image or more for each kind."""
    held = [name for name in KINDS if name in kinds_held(config)]
    count = max(config.train_count, len(held))
    start = min(0, config.self_start)  # -1 is never
    small = replace(config, train_count=count, cam_warmup=0, self_start=start)
    if config.labels in KINDS:
        return small
    shares = [len(range(place, count, len(held))) for place in range(len(held))]
    mix = " + ".join(f"{share} {name}" for share, name in zip(shares, held, strict=True))
    return replace(small, labels=mix, budget=0.0, shares={})


def _wish_parts(config: WishConfig) -> tuple[str, ...]:
    tags = ("pseudo_points",) if "tags" in kinds_held(config) else ()
    return (config.data, "labels", "wish", *tags, "engine", "evaluation")


WISH_EXPERIMENT = Experiment(
    WishConfig, IN + "wish:run_wish", _wish_parts, wish_files, small=small_wish
)
WATCHED_WISH = replace(
    WISH_EXPERIMENT, config=WatchedWishConfig, run=IN + "watched_wish:run_watched_wish"
)
SAM_DECODER = replace(
    WISH_EXPERIMENT, config=SamDecoderConfig, run=IN + "sam_decoder:run_sam_decoder"
)
TINY_SAM = Experiment(
    TinySamConfig, IN + "wish:run_tiny_sam", lambda config: ("world", "wish", "engine")
)
