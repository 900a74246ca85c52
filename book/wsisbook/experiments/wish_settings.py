"""Settings of experiment `wish`, and the models and labels that they name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from wsisbook.experiments.partial_data import data_files
from wsisbook.experiments.weak_labels import WeakLabelConfig, kinds_held

if TYPE_CHECKING:
    import torch

    from wsislib.data.sample import Sample
    from wsislib.engine.batches import Augment
    from wsislib.models.mask2former.mask2former import Mask2Former
    from wsislib.models.sam.sam import Teacher
    from wsislib.models.wish.builders import WishParts
    from wsislib.models.wish.wish import WISH

NEVER = -1
JITTER_RANGE = (0.1, 2.0)


@dataclass(frozen=True)
class WishConfig(WeakLabelConfig):
    """Settings of a run of WISH or of what it is compared with, beside those of its labels.

    Attributes:
        method: "wish"; "pseudo-masks" is Mask2Former with the teacher's best-scoring candidates
            as masks (points, boxes or masks); "mask2former" learns from masks alone.
        builder: "lab" or "r50"; `pretrained` is ImageNet's weights for the latter.
        tag_pretraining: start the lab's backbone from the package's weights, which have seen image
            tags of another world.
        teacher: "tiny"; "needed", the one of the run that the row needs under that name; or the
            path of a SAM checkpoint, relative to the data folder.
        jitter: large-scale jitter of training images to windows of so many pixels, scaled by
            0.1 to 2.0 as Mask2Former's authors do; 0 is none.
        prompt_weight: of prompt cost and loss.
        prompt_distance, prompt_temperature, prompt_tokens, prompt_sees: see `losses/prompts.py`
            and `models/prompt_head.py`.
        gate: share of the best predicted IoU that a candidate must have; -1 takes the gate away.
        apart: share of another entry's box that a candidate may cover, see `Gate`; 1 lets it take
            in other entries.
        candidate: how one of a prompt's candidates is chosen, see `wish/candidate_choice.py`.
        mask_cost: whether the matcher looks at masks.
        peak_least, peak_overlap, peak_contest: of pseudo points, see `wish/pseudo_points.py`;
            an overlap of 1 merges none.
        cam_warmup: steps before activation maps give pseudo points.
        self_start: steps before predicted masks teach activation maps; -1 is never.
    """

    method: Literal["wish", "pseudo-masks", "mask2former"] = "wish"
    builder: Literal["lab", "r50"] = "lab"
    pretrained: bool = True
    tag_pretraining: bool = False
    teacher: str = "tiny"
    jitter: int = 0
    prompt_weight: float = 5.0
    prompt_distance: Literal["kl", "reverse-kl", "l2", "cosine"] = "kl"
    prompt_temperature: float = 1.0
    prompt_tokens: Literal["mean", "both", "by-kind"] = "mean"
    prompt_sees: Literal["state", "mask"] = "state"
    gate: float = 0.5
    apart: float = 0.6
    candidate: Literal["adaptive", "best", "largest", "smallest", "average"] = "adaptive"
    mask_cost: bool = True
    peak_least: float = 0.3
    peak_overlap: float = 0.5
    peak_contest: bool = True
    cam_warmup: int = 150
    self_start: int = 750

    def __post_init__(self) -> None:
        super().__post_init__()
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
        if self.tag_pretraining and self.builder != "lab":
            raise ValueError("tag_pretraining is for builder 'lab'; 'r50' has `pretrained`")


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
    asked = config.teacher not in ("tiny", "needed") and config.method != "mask2former"
    return (*own, config.teacher) if asked else own


def build_model(
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
        teacher: asked by method "wish"; None for the others.
        seed: of the initial weights.
        fetch: False leaves the backbone's start weights out and keeps its form, for a checkpoint
            to fill: a backbone from ImageNet has frozen norms.
    """
    from wsislib.models.mask2former import builders as builders_mask2former
    from wsislib.models.wish import builders as builders_wish

    model: WISH | Mask2Former
    if config.method == "wish":
        assert teacher is not None
        start = None if config.self_start == NEVER else config.self_start
        build = partial(
            builders_wish.wish_lab
            if config.builder == "lab"
            else partial(builders_wish.wish_r50, pretrained=config.pretrained, fetch=fetch),
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
            category_count, seed, config.pretrained, fetch=fetch
        )
    if config.tag_pretraining and fetch:
        from wsislib.recipes.tag_pretraining import lab_backbone_weights

        segmenter.backbone.load_state_dict(lab_backbone_weights())
    return model


def wish_parts(config: WishConfig) -> WishParts:
    """What the settings vary in the model."""
    from wsislib.losses.prompts import PromptDistance
    from wsislib.models.wish.builders import WishParts
    from wsislib.models.wish.candidate_choice import Gate
    from wsislib.models.wish.pseudo_points import PeakRule

    return WishParts(
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
    """Weights for the engine: the paper's, and over them what the settings say."""
    from wsislib.models.mask2former.builders import LOSS_WEIGHTS
    from wsislib.models.wish.builders import wish_loss_weights

    wish = config.method == "wish"
    usual = wish_loss_weights(config.prompt_weight) if wish else LOSS_WEIGHTS
    return {**usual, **config.loss_weights}
