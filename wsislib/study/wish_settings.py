"""Settings of experiment `wish`, and the models and labels that they name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from wsislib.study.partial_data import PartialDataConfig, data_files

if TYPE_CHECKING:
    import torch

    from wsislib.data.sample import Dataset, LabelKind, Sample
    from wsislib.engine.batches import Augment
    from wsislib.labels.datasets import WeakDataset
    from wsislib.models.builders_wish import WishParts
    from wsislib.models.mask2former import Mask2Former
    from wsislib.models.sam import Teacher
    from wsislib.models.wish import WISH

KINDS = ("tags", "points", "boxes", "masks")
NEVER = -1
JITTER_RANGE = (0.1, 2.0)


@dataclass(frozen=True)
class WishConfig(PartialDataConfig):
    """Settings of a run of WISH or of what it is compared with, beside those of its data.

    Attributes:
        labels: "tags", "points", "boxes" or "masks" for every training image; or a mix such as
            "5290 tags + 441 boxes", whose images are drawn and the others left out.
        label_seed: of the random points, and of which images get which kind.
        method: "wish"; "pseudo-masks" is Mask2Former with the teacher's best-scoring candidates
            as masks (points, boxes or masks); "mask2former" learns from masks alone.
        builder: "lab" or "r50"; `pretrained` is ImageNet's weights for the latter.
        tag_pretraining: start the lab's backbone from the package's weights, which have seen image
            tags of another world.
        teacher: "tiny", or the path of a SAM checkpoint, relative to the data folder.
        jitter: large-scale jitter of training images to windows of so many pixels, scaled by
            0.1 to 2.0 as Mask2Former's authors do; 0 is none.
        prompt_weight: of prompt cost and loss.
        prompt_distance, prompt_temperature, prompt_tokens: see `losses/prompts.py` and
            `models/prompt_head.py`.
        gate: share of the best predicted IoU that a candidate must have; -1 takes the gate away.
        cam_warmup: steps before activation maps give pseudo points.
        self_start: steps before predicted masks teach activation maps; -1 is never.
    """

    labels: str = "boxes"
    label_seed: int = 0
    method: Literal["wish", "pseudo-masks", "mask2former"] = "wish"
    builder: Literal["lab", "r50"] = "lab"
    pretrained: bool = True
    tag_pretraining: bool = False
    teacher: str = "tiny"
    jitter: int = 0
    prompt_weight: float = 5.0
    prompt_distance: Literal["kl", "reverse-kl", "l2"] = "kl"
    prompt_temperature: float = 1.0
    prompt_tokens: Literal["mean", "both"] = "mean"
    gate: float = 0.5
    cam_warmup: int = 150
    self_start: int = 750

    def __post_init__(self) -> None:
        from wsislib.labels.budget import parse_mix

        if self.labels in KINDS:
            held = {self.labels}
        else:
            mix = parse_mix(self.labels)
            held = {name for name in KINDS if getattr(mix, name)}
        if self.method == "mask2former" and held != {"masks"}:
            raise ValueError(f"method 'mask2former' learns from masks; labels are {self.labels!r}")
        if self.method == "pseudo-masks" and "tags" in held:
            raise ValueError("method 'pseudo-masks' wants points, boxes or masks: tags have none")
        if self.gate != NEVER and not 0 <= self.gate <= 1:
            raise ValueError(f"gate is {self.gate}; it is a share in 0..1, or -1 for none")
        if self.cam_warmup < 0 or self.self_start < NEVER:
            raise ValueError("cam_warmup is 0 or more, self_start too or -1 for never")
        if self.jitter < 0:
            raise ValueError(f"jitter is {self.jitter}; it is a number of pixels, or 0 for none")
        if self.tag_pretraining and self.builder != "lab":
            raise ValueError("tag_pretraining is for builder 'lab'; 'r50' has `pretrained`")


def weak_data(config: WishConfig, train: Dataset) -> WeakDataset:
    """The training images with the labels that the settings give them."""
    from wsislib.data.sample import LabelKind
    from wsislib.labels.budget import draw, parse_mix
    from wsislib.labels.datasets import WeakDataset

    kinds: list[LabelKind | None]
    if config.labels in KINDS:
        kinds = [LabelKind(KINDS.index(config.labels))] * len(train)
    else:
        kinds = draw(parse_mix(config.labels), len(train), config.label_seed)
    return WeakDataset(train, kinds, config.label_seed)


def jitter(config: WishConfig) -> Augment | None:
    """The augmentation that the settings name, beside the mirror."""
    from wsislib.data.transforms import large_scale_jitter

    if config.jitter == 0:
        return None

    def augment(sample: Sample, generator: torch.Generator) -> Sample:
        return large_scale_jitter(sample, config.jitter, *JITTER_RANGE, generator)

    return augment


def wish_files(config: WishConfig) -> tuple[str, ...]:
    """The files of the data, and the teacher's where one is asked."""
    own = data_files(config)
    asked = config.teacher != "tiny" and config.method != "mask2former"
    return (*own, config.teacher) if asked else own


def build_model(
    config: WishConfig, category_count: int, teacher: Teacher | None, seed: int
) -> WISH | Mask2Former:
    """The model that the settings name, with initial weights from the run's seed."""
    from wsislib.models import builders_mask2former, builders_wish

    model: WISH | Mask2Former
    if config.method == "wish":
        assert teacher is not None
        start = None if config.self_start == NEVER else config.self_start
        build = partial(
            builders_wish.wish_lab
            if config.builder == "lab"
            else partial(builders_wish.wish_r50, pretrained=config.pretrained),
            cam_warmup=config.cam_warmup,
            self_start=start,
            seed=seed,
        )
        model = build(category_count, teacher, wish_parts(config))
        segmenter = model.segmenter
    elif config.builder == "lab":
        segmenter = model = builders_mask2former.mask2former_lab(category_count, seed)
    else:
        segmenter = model = builders_mask2former.mask2former_r50(
            category_count, seed, config.pretrained
        )
    if config.tag_pretraining:
        from wsislib.models.tag_pretraining import lab_backbone_weights

        segmenter.backbone.load_state_dict(lab_backbone_weights())
    return model


def wish_parts(config: WishConfig) -> WishParts:
    """What the settings vary in the model."""
    from wsislib.losses.prompts import PromptDistance
    from wsislib.models.builders_wish import WishParts
    from wsislib.models.wish_targets import Gate

    return WishParts(
        prompt_weight=config.prompt_weight,
        distance=PromptDistance(config.prompt_distance, config.prompt_temperature),
        tokens=config.prompt_tokens,
        gate=None if config.gate == NEVER else Gate(config.gate),
    )


def loss_weights(config: WishConfig) -> dict[str, float]:
    """Weights for the engine: the paper's, and over them what the settings say."""
    from wsislib.models.builders_mask2former import LOSS_WEIGHTS
    from wsislib.models.builders_wish import wish_loss_weights

    wish = config.method == "wish"
    usual = wish_loss_weights(config.prompt_weight) if wish else LOSS_WEIGHTS
    return {**usual, **config.loss_weights}
