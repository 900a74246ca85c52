"""Experiment `mask_heads`: mask heads side by side over one frozen detector.

Hu et al., Learning to Segment Every Thing, section 4.2, stage-wise training. Features and regions
are computed once a step for all heads, and detections once an image, so a table of ablations
costs little more than one of its rows. A head comes out as in a run of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from wsisbook.experiments.embedding import EmbeddingConfig, embedding_files, embedding_of
from wsisbook.experiments.frozen_detector import load_detector
from wsisbook.experiments.head_spec import HeadSpec
from wsisbook.experiments.mask_rcnn import coco_stats, examples_of, swap_splits, train_config
from wsisbook.experiments.partial_data import data_files, data_sets
from wsisbook.runs.config import config_from
from wsisbook.runs.experiments import Context, Experiment, Outcome

if TYPE_CHECKING:
    from wsisbook.experiments.head_results import HeadResults
    from wsislib.data.sample import Dataset
    from wsislib.labels.splits import Split
    from wsislib.models.maskrcnn.mask_heads import MaskHeads
    from wsislib.models.maskrcnn.mask_rcnn import MaskRCNN

EXAMPLE_SCORE = 0.5  # pictures show what is above it


@dataclass(frozen=True)
class MaskHeadsConfig(EmbeddingConfig):
    """Settings of heads that are trained side by side, beside those of their data.

    `clip_norm` must be 0: the norm of one gradient over all heads would tie them together.

    Attributes:
        builder: which Mask R-CNN the heads and the detector are those of; `pretrained` must be
            as it was for the detector.
        regions: how many an image to learn on, a quarter of them foreground; None leaves the
            builder's. Few from many images teach more than many from few.
        heads: name -> settings, see `HeadSpec`. Rows of study.yml show them by
            `view: {.., prefix: <name>}`.
    """

    builder: Literal["mask_rcnn_lab", "mask_rcnn_r50_fpn", "mask_rcnn_r101_fpn"] = "mask_rcnn_lab"
    pretrained: bool = True
    regions: int | None = None
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


def run_mask_heads(context: Context) -> Outcome:
    """Train and judge the heads; metrics of each are under its name."""
    from wsisbook.experiments.head_results import predict_heads
    from wsislib.engine.device import describe_device, pick_device
    from wsislib.engine.train import fit
    from wsislib.labels.datasets import PartialDataset

    config: MaskHeadsConfig = context.config
    if not config.heads:
        raise ValueError("no mask head is given; name at least one under `heads`")
    train, val = data_sets(config)
    splits = {n: s.split_of(config, len(train.categories)) for n, s in config.specs().items()}
    learnt = learnt_categories(config, splits)
    members = sorted({category for own in learnt.values() for category in own})
    labelled = PartialDataset(train, members)
    model = build_heads(config, train, learnt, context.seed)
    context.on_model(model)
    load_detector(model, context)
    device = pick_device(context.device)
    fitted = fit(
        model, labelled, train_config(config, context.seed), context.folder,
        device=device, progress=context.progress,
    )  # fmt: skip
    results = predict_heads(model, val, device=device, progress=context.progress)
    splitless = {name for name, spec in config.specs().items() if spec.masks == "all"}
    checkpoints = context.folder / "checkpoints"
    return Outcome(
        metrics=head_metrics(val.ground_truth(), results, splits, splitless),
        data={"train": labelled.fingerprint(), "val": val.fingerprint()},
        device=describe_device(device),
        examples=[
            {**example, "head": name}
            for name in results.heads
            for example in examples_of(results.of(name), val.image_ids)
            if example["score"] >= EXAMPLE_SCORE
        ],
        files={"history.csv": context.folder / "history.csv"},
        weights={name: checkpoints / name for name in ("final.safetensors", "final.json")},
        peak_memory_mib=fitted.peak_memory_mib,
        notes={
            "training_seconds": round(fitted.seconds, 1),
            "heads": len(config.heads),
            "splits": {name: asdict(split) for name, split in splits.items()},
        },
    )


def learnt_categories(
    config: MaskHeadsConfig, splits: Mapping[str, Split]
) -> dict[str, tuple[int, ...]]:
    """Head -> the categories whose masks it learns from."""
    return {
        name: splits[name].a if spec.masks == "A" else tuple(range(len(splits[name])))
        for name, spec in config.specs().items()
    }


def build_heads(
    config: MaskHeadsConfig, train: Dataset, learnt: Mapping[str, tuple[int, ...]], seed: int
) -> MaskHeads:
    """The heads that the settings name, with initial weights from the run's seed."""
    import torch

    from wsislib.models.maskrcnn import builders
    from wsislib.models.maskrcnn.builders import LAB_MLP_POOL
    from wsislib.models.maskrcnn.mask_heads import MaskHeads

    count, lab = len(train.categories), config.builder == "mask_rcnn_lab"

    def build(kind: Literal["class-agnostic", "class-specific"]) -> MaskRCNN:
        if lab:
            return builders.mask_rcnn_lab(count, kind, seed)
        # The detector's weights come from its run, so ImageNet's need not be fetched.
        make = getattr(builders, config.builder)
        return make(count, kind, seed, pretrained=config.pretrained, fetch=False)

    specs = config.specs()
    wanted = any(spec.kind == "transfer" and spec.inputs == "embedding" for spec in specs.values())
    embedding = embedding_of(config, train) if wanted else None
    detector = build("class-agnostic")
    heads = {
        name: spec.branch(build, detector, embedding, LAB_MLP_POOL if lab else 1, seed)
        for name, spec in specs.items()
    }
    if config.regions is not None:
        detector.roi.fg_bg_sampler.batch_size_per_image = config.regions
    rows = {name: torch.isin(torch.arange(count), torch.tensor(a)) for name, a in learnt.items()}
    return MaskHeads(detector, heads, rows)


def head_metrics(
    ground_truth: dict,
    results: HeadResults,
    splits: Mapping[str, Split],
    splitless: Collection[str] = (),
) -> dict[str, Any]:
    """All twelve numbers of masks and boxes for each head, on each side of its split.

    Returns:
        `{head: {"segm": {"A": {"AP": ..}, "B": .., "all": ..}, "bbox": ..,
        "per_category": {"segm": {category: AP}}}}`. Heads that learn from all masks know no split:
        they carry `"reversed"`, the same with A and B exchanged.
    """
    from wsislib.engine.evaluate import coco_ap

    boxes: dict[tuple[int, ...] | None, dict[str, float]] = {}  # the same for heads of one split
    metrics: dict[str, Any] = {}
    for head in results.heads:
        found = results.of(head)
        sides = {"all": None, "A": splits[head].a, "B": splits[head].b}
        own: dict[str, Any] = {"segm": {}, "bbox": {}}
        for side, members in sides.items():
            if members == ():
                continue
            masks = coco_ap(ground_truth, found, categories=members)
            own["segm"][side] = coco_stats(masks)
            if members is None:
                own["per_category"] = {"segm": dict(masks.per_category)}
            if members not in boxes:
                judged = coco_ap(ground_truth, found, categories=members, iou_type="bbox")
                boxes[members] = coco_stats(judged)
            own["bbox"][side] = boxes[members]
        if head in splitless:
            own["reversed"] = swap_splits(own)
        metrics[head] = own
    return metrics


def _parts(config: MaskHeadsConfig) -> tuple[str, ...]:
    return (config.data, "labels", "mask_rcnn", "transfer", "engine", "evaluation")


def _files(config: MaskHeadsConfig) -> tuple[str, ...]:
    return (*data_files(config), *embedding_files(config))


MASK_HEADS = Experiment(MaskHeadsConfig, run_mask_heads, _parts, _files)
