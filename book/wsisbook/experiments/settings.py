"""Settings of part one's experiments, and the experiments themselves; WISH's: `wish_settings.py`.

A settings class inherits from the class whose settings it adds to:

    RunConfig                      training: runs/config.py
      HeadObjectsConfig
      PartialDataConfig            data, and the split of the categories into A and B
        GrabCutConfig
        MaskRcnnConfig
          LargeDetectorConfig
        EmbeddingConfig
          MaskXConfig
          MaskHeadsConfig          each of its heads is a HeadSpec
            RandomSplitsConfig
            LargeHeadsConfig
        WeakLabelConfig            wish_settings.py goes on from here

This file loads no torch, because `wsis status` and `wsis plan` read settings without running
anything; what a run does is named by its place and looked up when it runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from wsisbook.runs.config import RunConfig, config_from
from wsisbook.runs.experiments import Experiment

LIST_LENGTHS = {"trainaug": 10_582, "val": 1_449}  # of VOC, for plans made without the data
GENOME_FILES = ("objects.json", "image_data.json", "VG_100K", "VG_100K_2")
SPLIT_KINDS: tuple[Literal["class-agnostic", "transfer"], ...] = ("class-agnostic", "transfer")

Builder = Literal["mask_rcnn_lab", "mask_rcnn_lite", "mask_rcnn_r50_fpn", "mask_rcnn_r101_fpn"]
TransferInputs = Literal["cls", "box", "cls+box", "random", "embedding"]
Start = Literal["imagenet", "ours"]
Activation = Literal["leaky-relu", "relu", "none"]


@dataclass(frozen=True)
class PartialDataConfig(RunConfig):
    """Which data, and which categories have masks. Files are relative to the data folder.

    The data folder is `WSIS_DATA`, else `data/` in the repository.
    """

    # "world" draws scenes. "coco" reads the four files below. "visual-genome" reads boxes of
    # `categories` synsets from the folder `genome`, masks of COCO's categories from the two
    # training files, and from `val_annotations` which images are for validation. "voc" reads the
    # lists `train_list` and `val_list` of the folder `voc`.
    data: Literal["world", "coco", "voc", "visual-genome"] = "world"
    # The world, and its scenes: images do not depend on the run's seed, as with photographs.
    categories: int = 80
    image_size: int = 96
    world_seed: int = 0
    train_seed: int = 1
    train_count: int = 6000
    val_seed: int = 2
    val_count: int = 500
    # COCO
    train_annotations: str = ""
    train_images: str = ""
    val_annotations: str = ""
    val_images: str = ""
    subsets: tuple[str, ...] = ()  # only photographs whose record has one of these as `subset`
    coco_categories: bool = False  # only COCO's own 80 categories of files that have others too
    # Only these categories of a COCO file; and of its training photographs those that hold one.
    only: tuple[str, ...] = ()
    photographs: int = 0  # how many to learn from, as one's own; fewer are part of more, 0 is all
    photograph_seed: int = 0
    photo_side: int = 160  # longest side of a photograph as the lite builders take it, pixels
    frequent: tuple[str, ...] = ()  # categories whose AP is also given, as `segm.frequent`
    voc: str = ""  # PASCAL VOC 2012, see `wsislib/data/photographs/voc.py`
    train_list: str = "trainaug"
    val_list: str = "val"
    # Visual Genome; its test images are used by no run
    genome: str = ""
    genome_test_count: int = 5000
    # "world" draws A from `a_count` and `split_seed`, "world-reversed" is the same with A and B
    # exchanged; "frequent" takes the world's `a_count` most frequent categories as A, "first" the
    # first `a_count` of any data; "by-frequency" halves the categories so that both sides have
    # about as many training instances, "by-frequency-reversed" exchanges A and B; "voc" and
    # "nonvoc" are COCO's two; "random-<size>-trial-<n>" are those of figure 3.
    split: str = "world"
    a_count: int = 20
    split_seed: int = 0


def check_start(start: Start, small: bool, config: PartialDataConfig) -> None:
    """Raise where a row may not start so.

    "imagenet" is the builder's own start. "ours", the package's start weights, has seen masks, so
    rows that study cheap labels must not take it; rows about one's own photographs may.
    """
    if start == "ours" and not (small and config.photographs):
        raise ValueError(
            "start 'ours' is for lite builders and has seen masks of photographs, a leak for a row "
            "that studies cheap labels; only rows about one's own (`photographs`) may take it"
        )


def data_files(config: PartialDataConfig) -> tuple[str, ...]:
    """The files and folders that the settings name, relative to the data folder."""
    if config.data == "world":
        return ()
    if config.data == "voc":
        return (config.voc,)
    train = (config.train_annotations, config.train_images)
    if config.data == "visual-genome":
        genome = tuple(f"{config.genome}/{name}" for name in GENOME_FILES)
        return (*genome, config.val_annotations, *train)
    return (*train, config.val_annotations, config.val_images)


@dataclass(frozen=True)
class EmbeddingConfig(PartialDataConfig):
    """Which vectors of categories the input "embedding" of weight transfer reads."""

    # Word vectors. In the world it may be empty: then its own embedding encodes the factors of a
    # category in `embedding_width` numbers, as word vectors do for photographs.
    embedding_file: str = ""
    embedding_width: int = 64


def embedding_files(config: EmbeddingConfig) -> tuple[str, ...]:
    """`data_files` and the word vectors."""
    vectors = (config.embedding_file,) if config.embedding_file else ()
    return (*data_files(config), *vectors)


@dataclass(frozen=True)
class MaskRcnnConfig(PartialDataConfig):
    """Settings of a Mask R-CNN."""

    # "end-to-end" trains everything at once. "detector" trains all but the mask branch, from boxes
    # alone. "mask-head" takes the weights of the run that it `needs` as `detector`, freezes them
    # and trains the mask branch (the paper's stage-wise training).
    stage: Literal["end-to-end", "detector", "mask-head"] = "end-to-end"
    # Which categories have masks in training; "none" is for the detector, "grabcut" GrabCut's
    # masks of all boxes, made once (by `workers` processes).
    masks: Literal["A", "all", "none", "grabcut"] = "A"
    builder: Builder = "mask_rcnn_lab"  # see wsislib.models.maskrcnn.builders
    mask_head: Literal["class-agnostic", "class-specific"] = "class-agnostic"
    pretrained: bool = True  # for the large builders
    # Begin with the weights of the run that it `needs` as `detector`: the lab's ImageNet.
    warm_start: bool = False
    start: Start = "imagenet"  # see `check_start`

    def __post_init__(self) -> None:
        check_start(self.start, self.builder == "mask_rcnn_lite", self)
        if self.warm_start and self.stage != "end-to-end":
            raise ValueError(
                f"warm_start is for stage 'end-to-end'; the stage is {self.stage!r}: leave it out"
            )


@dataclass(frozen=True)
class MaskXConfig(EmbeddingConfig):
    """Settings of a Mask^X R-CNN."""

    masks: Literal["A", "all"] = "A"  # which categories have masks in training
    builder: Literal[
        "maskx_rcnn_lab", "maskx_rcnn_lite", "maskx_rcnn_r50_fpn", "maskx_rcnn_r101_fpn"
    ] = "maskx_rcnn_lab"
    pretrained: bool = True  # for the large builders
    # Weight transfer
    inputs: TransferInputs = "cls+box"
    layers: int = 2
    activation: Activation = "leaky-relu"
    mlp_layers: int = 1  # of the MLP branch; 0 leaves it out
    stop_gradient: bool = True  # keep the mask loss from the detection weights
    warm_start: bool = False  # begin with the weights of the run that it `needs` as `detector`

    def __post_init__(self) -> None:
        _check_layers(self)


@dataclass(frozen=True)
class HeadSpec:
    """What one mask head is, as study.yml spells it out.

    heads:
      agnostic: {kind: class-agnostic}
      clsbox: {kind: transfer, inputs: cls+box}
      clsbox-mlp: {kind: transfer, inputs: cls+box, mlp_layers: 1}
      oracle: {kind: class-specific, masks: all}
      clsbox-60: {kind: transfer, a_count: 60}      # another split than the run's
    """

    # One mask map for all categories, one each, or one each by weight transfer.
    kind: Literal["class-agnostic", "class-specific", "transfer"] = "class-agnostic"
    masks: Literal["A", "all"] = "A"  # which categories have masks in training
    split: str | None = None  # None: the run's, as with the next two
    a_count: int | None = None
    split_seed: int | None = None
    # Weight transfer
    inputs: TransferInputs = "cls+box"
    layers: int = 2
    activation: Activation = "leaky-relu"
    mlp_layers: int = 0  # of the MLP branch; 0 leaves it out

    def __post_init__(self) -> None:
        _check_layers(self)


def _check_layers(config: MaskXConfig | HeadSpec) -> None:
    for name, minimum in (("layers", 1), ("mlp_layers", 0)):
        if not minimum <= getattr(config, name) <= 3:
            raise ValueError(f"{name} is {getattr(config, name)}; use {minimum} to 3")


@dataclass(frozen=True)
class MaskHeadsConfig(EmbeddingConfig):
    """Settings of heads that are trained side by side over one frozen detector.

    `clip_norm` must be 0: the norm of one gradient over all heads would tie them together.
    """

    builder: Builder = "mask_rcnn_lab"  # the detector's, as is the next
    pretrained: bool = True
    # An image to learn on, a quarter of them foreground; None leaves the builder's number. Few
    # from many images teach more than many from few.
    regions: int | None = None
    # Name -> settings of a `HeadSpec`. Rows of study.yml show one by `view: {.., prefix: <name>}`.
    heads: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.clip_norm != 0:
            raise ValueError(
                f"clip_norm is {self.clip_norm}; heads side by side are trained without, because "
                "one norm over all of them would tie them together: set it to 0"
            )
        if self.regions is not None and self.regions < 4:
            raise ValueError(
                f"regions is {self.regions}; a quarter of them is foreground, so use 4 or more"
            )
        self.specs()

    def specs(self) -> dict[str, HeadSpec]:
        """The heads by name."""
        return {name: config_from(HeadSpec, c, f"heads.{name}") for name, c in self.heads.items()}


@dataclass(frozen=True)
class RandomSplitsConfig(MaskHeadsConfig):
    """Settings of two heads on each of many splits; `heads` follow from them."""

    # "paper" takes the authors' 25 splits, which need 80 categories; "world" draws A of each size
    # anew, with the trial as its seed.
    draw: Literal["paper", "world"] = "paper"
    sizes: tuple[int, ...] = (20, 30, 40, 50, 60)  # of A; a test compares with labels/splits.py
    trials: int = 5  # splits of each size; likewise

    def __post_init__(self) -> None:
        if self.heads:
            raise ValueError("heads follow from `sizes` and `trials` here; leave `heads` out")
        if not self.sizes or len(set(self.sizes)) < len(self.sizes):
            raise ValueError(f"sizes are {list(self.sizes)}; give different sizes of A, at least 1")
        if self.trials < 1:
            raise ValueError(f"trials is {self.trials}; it must be 1 or more")
        super().__post_init__()

    def split_names(self) -> dict[str, tuple[int, int]]:
        """Split -> (size of A, trial), trials outside as in the authors' code."""
        trials = range(1, self.trials + 1)
        return {f"random-{n}-trial-{t}": (n, t) for t in trials for n in self.sizes}

    def specs(self) -> dict[str, HeadSpec]:
        """Two heads a split, called `<split>-<kind>`."""
        return {
            f"{name}-{kind}": (
                HeadSpec(kind=kind, split=name)
                if self.draw == "paper"
                else HeadSpec(kind=kind, split="world", a_count=size, split_seed=trial)
            )
            for name, (size, trial) in self.split_names().items()
            for kind in SPLIT_KINDS
        }


@dataclass(frozen=True)
class LargeDetectorConfig(MaskRcnnConfig):
    """Settings of a detector of very many categories, from boxes alone.

    A run that it `needs` as `start` gives it all weights but those of the categories: in the lab
    a detector of fewer categories plays the part of ImageNet.
    """

    stage: Literal["end-to-end", "detector", "mask-head"] = "detector"
    masks: Literal["A", "all", "none"] = "none"
    score_threshold: float = 0.05  # 0..1, detections below it are left out
    detections: int = 100  # the most there can be in an image

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.stage, self.masks) != ("detector", "none"):
            raise ValueError(
                "large_detector trains a detector from boxes alone, so stage is 'detector' and "
                "masks 'none'; `mask_rcnn` does the others"
            )
        _check_detections(self)


@dataclass(frozen=True)
class LargeHeadsConfig(MaskHeadsConfig):
    """Settings of heads over a `large_detector`."""

    score_threshold: float = 0.05  # as of the detector, as is the next
    detections: int = 100
    gallery: int = 24  # categories of B at each distance to A that pictures show one instance of

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_detections(self)
        for name, spec in self.specs().items():
            if (spec.split, spec.a_count, spec.split_seed) != (None, None, None):
                raise ValueError(f"heads.{name}: heads share the run's split here; name none")


def _check_detections(config: LargeDetectorConfig | LargeHeadsConfig) -> None:
    score = config.score_threshold
    if not 0 <= score < 1:
        raise ValueError(f"score_threshold is {score}; it must be 0 or more, below 1")
    if config.detections < 1:
        raise ValueError(f"detections is {config.detections}; at least 1 an image is needed")


@dataclass(frozen=True)
class GrabCutConfig(PartialDataConfig):
    """Settings of a run that segments a detector's boxes by GrabCut, in `workers` processes."""

    sam: Literal["", "tiny", "photo"] = ""  # a SAM of the package instead of GrabCut

    builder: Builder = "mask_rcnn_lab"  # the detector's, as is the next
    pretrained: bool = True
    iterations: int = 5  # see `wsislib.labels.grabcut.grabcut_mask`, as for the next
    margin: float = 1.0
    workers: int = 1  # processes beside this one; 0 segments here

    def __post_init__(self) -> None:
        from wsislib.labels.grabcut import check_settings  # loads OpenCV, for these rows only

        check_settings(self.iterations, self.margin)


@dataclass(frozen=True)
class HeadObjectsConfig(RunConfig):
    """Settings of a comparison of trained heads, object by object."""

    # Head -> the label, under `needs`, of the run that trained it. The label "heads" names the run
    # whose split says who is in B.
    heads: dict[str, str] = field(default_factory=dict)
    scenes: int = 120  # the first so many of the validation data
    min_score: float = 0.5  # 0..1, detections below it are left out
    least_overlap: float = 0.45  # IoU of the boxes of two objects that count as lying in one

    def __post_init__(self) -> None:
        if self.scenes < 1:
            raise ValueError(f"scenes is {self.scenes}; look at one at least")


def _parts(*names: str) -> Callable[[Any], tuple[str, ...]]:
    return lambda config: (config.data, "labels", *names)


def _mask_rcnn_parts(config: MaskRcnnConfig) -> tuple[str, ...]:
    masks = ("grabcut",) if config.masks == "grabcut" else ()
    return (config.data, "labels", *masks, "mask_rcnn", "engine", "evaluation")


def _large_parts(config: LargeHeadsConfig) -> tuple[str, ...]:
    masks = ("coco",) if config.data == "visual-genome" else ()
    return (*_transfer_parts(config), *masks)


_transfer_parts = _parts("mask_rcnn", "transfer", "engine", "evaluation")
_grabcut_parts = _parts("grabcut", "mask_rcnn", "evaluation")

IN = "wsisbook.experiments."
MASK_RCNN = Experiment(MaskRcnnConfig, IN + "mask_rcnn:run_mask_rcnn", _mask_rcnn_parts, data_files)
MASKX = Experiment(MaskXConfig, IN + "mask_rcnn:run_maskx", _transfer_parts, embedding_files)
MASK_HEADS = Experiment(
    MaskHeadsConfig, IN + "mask_heads:run_mask_heads", _transfer_parts, embedding_files
)
RANDOM_SPLITS = Experiment(
    RandomSplitsConfig, IN + "random_splits:run_random_splits", _transfer_parts, data_files
)
LARGE_DETECTOR = Experiment(
    LargeDetectorConfig, IN + "large:run_large_detector", _mask_rcnn_parts, data_files
)
LARGE_HEADS = Experiment(
    LargeHeadsConfig, IN + "large:run_large_heads", _large_parts, embedding_files
)
GRABCUT = Experiment(GrabCutConfig, IN + "grabcut:run_grabcut", _grabcut_parts, data_files)
HEAD_OBJECTS = Experiment(
    HeadObjectsConfig,
    IN + "head_objects:run_head_objects",
    lambda config: ("evaluation",),  # those of the trained heads come with what it needs
)
