"""Experiment `mask_heads`: mask heads side by side over one frozen detector.

Hu et al., Learning to Segment Every Thing, section 4.2, stage-wise training. Features and regions
are computed once a step for all heads, and detections once an image, so a table of ablations
costs little more than one of its rows. A head comes out as in a run of its own.

One mask head as study.yml spells it out, and the branch that it becomes.

heads:
  agnostic: {kind: class-agnostic}
  clsbox: {kind: transfer, inputs: cls+box}
  clsbox-mlp: {kind: transfer, inputs: cls+box, mlp_layers: 1}
  oracle: {kind: class-specific, masks: all}
  clsbox-60: {kind: transfer, a_count: 60}      # another split than the run's

What several heads find in the same regions of a whole data set.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch
from tqdm import tqdm

from wsisbook.experiments.embedding import EmbeddingConfig, embedding_files, embedding_of
from wsisbook.experiments.frozen_detector import load_detector
from wsisbook.experiments.mask_rcnn import coco_stats, examples_of, swap_splits, train_config
from wsisbook.experiments.partial_data import PartialDataConfig, data_files, data_sets, named_split
from wsisbook.runs.config import config_from
from wsisbook.runs.experiments import Context, Experiment, Outcome
from wsislib.engine.predict import as_results, encode_masks

if TYPE_CHECKING:
    from torch import Tensor

    from wsislib.data.sample import Dataset
    from wsislib.labels.splits import Split
    from wsislib.models.maskrcnn.detector import Detector
    from wsislib.models.maskrcnn.mask_branch import MaskBranch
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
    from wsislib.models.maskrcnn.builders_maskx import LAB_MLP_POOL
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


BuildMaskRCNN = Callable[[Literal["class-agnostic", "class-specific"]], "MaskRCNN"]


@dataclass(frozen=True)
class HeadSpec:
    """What one mask head is.

    Attributes:
        kind: one mask map for all categories, one each, or one each by weight transfer.
        masks: whose masks it learns from: of "A" or of "all" categories.
        split, a_count, split_seed: as of the run, where the head has another split than it.
        inputs, layers, activation: of weight transfer. "embedding" is the world's, or the
            run's `embedding_file`.
        mlp_layers: of the MLP branch; 0 leaves it out.
    """

    kind: Literal["class-agnostic", "class-specific", "transfer"] = "class-agnostic"
    masks: Literal["A", "all"] = "A"
    split: str | None = None
    a_count: int | None = None
    split_seed: int | None = None
    inputs: Literal["cls", "box", "cls+box", "random", "embedding"] = "cls+box"
    layers: int = 2
    activation: Literal["leaky-relu", "relu", "none"] = "leaky-relu"
    mlp_layers: int = 0

    def __post_init__(self) -> None:
        for name, least in (("layers", 1), ("mlp_layers", 0)):
            if not least <= getattr(self, name) <= 3:
                raise ValueError(f"{name} is {getattr(self, name)}; use {least} to 3")

    def split_of(self, config: PartialDataConfig, category_count: int) -> Split:
        """Who is in A and who in B, for this head."""
        return named_split(
            config.split if self.split is None else self.split,
            config.a_count if self.a_count is None else self.a_count,
            config.split_seed if self.split_seed is None else self.split_seed,
            category_count,
        )

    def branch(
        self,
        build: BuildMaskRCNN,
        detector: Detector,
        embedding: Tensor | None,
        mlp_pool: int,
        seed: int,
    ) -> MaskBranch:
        """The head over `detector`, with the initial weights that it has in a model of its own.

        Args:
            build: makes a Mask R-CNN whose mask branch is taken.
            detector: whose box predictor weight transfer reads.
            embedding: (C, D), for `inputs` "embedding".
            mlp_pool: see `MaskMLP`.
            seed: of the initial weights of transfer and MLP.
        """
        from wsislib.models.maskrcnn.builders_maskx import add_mlp_branch, transfer_predictor

        model = build("class-specific" if self.kind == "class-specific" else "class-agnostic")
        if self.kind == "transfer":
            model.mask.predictor = transfer_predictor(
                detector.roi.box_predictor,
                model.mask.width,
                self.inputs,
                self.layers,
                self.activation,
                embedding=embedding if self.inputs == "embedding" else None,
                seed=seed,
            )
        if self.mlp_layers:
            add_mlp_branch(model, self.mlp_layers, mlp_pool, seed)
        return model.mask


class HeadResults:
    """COCO results of several heads, which differ in nothing but the masks.

    What is equal is kept once, so that fifty heads do not need fifty times the memory.

    Attributes:
        heads: their names.
    """

    def __init__(self, heads: tuple[str, ...]) -> None:
        self.heads = heads
        self._shared: list[dict[str, Any]] = []
        self._masks: dict[str, list[dict[str, Any]]] = {name: [] for name in heads}

    def add(self, shared: list[dict[str, Any]], masks: dict[str, list[dict[str, Any]]]) -> None:
        """Take one image's results with the masks of any head, and every head's mask codes."""
        self._shared += shared
        for name in self.heads:
            assert len(masks[name]) == len(shared)
            self._masks[name] += masks[name]

    def of(self, name: str) -> list[dict[str, Any]]:
        """COCO results of one head."""
        return [
            {**result, "segmentation": code}
            for result, code in zip(self._shared, self._masks[name], strict=True)
        ]


def predict_heads(
    model: MaskHeads,
    dataset: Dataset,
    *,
    device: torch.device,
    batch_size: int = 8,
    progress: bool = True,
) -> HeadResults:
    """What every head finds in every image, from one pass of the detector, in float32.

    The model is moved to `device` and left in evaluation mode.
    """
    model.to(device).eval()
    results = HeadResults(tuple(model.heads))
    with (
        torch.inference_mode(),
        tqdm(total=len(dataset), disable=not progress, unit="image", desc="predict") as bar,
    ):
        for start in range(0, len(dataset), batch_size):
            samples = [dataset[i] for i in range(start, min(start + batch_size, len(dataset)))]
            each = model.predict_each([sample.image.to(device) for sample in samples])
            for place, sample in enumerate(samples):
                own = {name: found[place] for name, found in each.items()}
                first = next(iter(own.values()))
                shared = as_results(first, sample.image_id, dataset.categories)
                codes = {
                    name: encode_masks(found.masks) if shared else [] for name, found in own.items()
                }
                results.add(shared, codes)
            bar.update(len(samples))
    return results


def _parts(config: MaskHeadsConfig) -> tuple[str, ...]:
    return (config.data, "labels", "mask_rcnn", "transfer", "engine", "evaluation")


def _files(config: MaskHeadsConfig) -> tuple[str, ...]:
    return (*data_files(config), *embedding_files(config))


MASK_HEADS = Experiment(MaskHeadsConfig, run_mask_heads, _parts, _files)
