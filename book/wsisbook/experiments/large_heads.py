"""Experiment `large_heads`: mask heads for thousands of categories, from the masks of eighty.

Hu et al., Learning to Segment Every Thing, section 5, second stage: heads learn over the frozen
detector from the masks of A and are then used on all categories. With Visual Genome the masks are
COCO's, and the detector is cut to COCO's categories while they are learnt
(`experiments/category_subset.py`).
The heads are judged on detections and, where there are true masks, in true boxes as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wsisbook.experiments.frozen_detector import load_detector
from wsisbook.experiments.large_detector import check_test, set_test
from wsisbook.experiments.mask_heads import MASK_HEADS, MaskHeadsConfig, build_heads
from wsisbook.experiments.mask_rcnn import train_config
from wsisbook.experiments.partial_data import chosen_split, data_sets
from wsisbook.runs.experiments import Context, Experiment, Outcome

if TYPE_CHECKING:
    import torch

    from wsisbook.experiments.category_subset import BoxRows
    from wsislib.data.sample import Dataset
    from wsislib.labels.splits import Split
    from wsislib.models.maskrcnn.mask_heads import MaskHeads

TRUE_BOXES = "true_boxes.csv"


@dataclass(frozen=True)
class LargeHeadsConfig(MaskHeadsConfig):
    """Settings of heads over a `large_detector`, beside those of `mask_heads`.

    Attributes:
        score_threshold: detections below it are left out, 0..1.
        detections: the most there can be in an image.
        gallery: of how many categories without masks, at each distance to those with masks, one
            instance's masks are kept for pictures.
    """

    score_threshold: float = 0.05
    detections: int = 100
    gallery: int = 24

    def __post_init__(self) -> None:
        super().__post_init__()
        check_test(self.score_threshold, self.detections)
        for name, spec in self.specs().items():
            if (spec.split, spec.a_count, spec.split_seed) != (None, None, None):
                raise ValueError(f"heads.{name}: heads share the run's split here; name none")


def run_large_heads(context: Context) -> Outcome:
    """Train the heads on the masks of A and judge them; metrics of each are under its name."""
    from wsisbook.experiments.large_results import judge_large
    from wsislib.engine.device import describe_device, pick_device
    from wsislib.engine.train import fit
    from wsislib.labels.datasets import PartialDataset

    config: LargeHeadsConfig = context.config
    if not config.heads:
        raise ValueError("no mask head is given; name at least one under `heads`")
    train, val = data_sets(config)
    split = chosen_split(config, len(train.categories))
    learnt = learnt_from(config, split)
    model = build_heads(config, train, learnt, context.seed)
    context.on_model(model)
    load_detector(model, context)
    masks, rows = _masks(config, train, model, split)
    labelled = PartialDataset(masks, sorted({c for own in learnt.values() for c in own}))
    device = pick_device(context.device)
    fitted = fit(
        model, labelled, train_config(config, context.seed), context.folder,
        device=device, progress=context.progress,
    )  # fmt: skip
    weights = _whole(model, rows, context.folder, device)
    set_test(model, config.score_threshold, config.detections)
    judged = judge_large(model, val, split, config, device=device, progress=context.progress)
    return Outcome(
        metrics=judged.metrics,
        data={"train": labelled.fingerprint(), "val": val.fingerprint()},
        device=describe_device(device),
        examples=judged.examples,
        files={
            "history.csv": context.folder / "history.csv",
            **judged.write(context.folder / TRUE_BOXES),
        },
        weights={f"final{end}": weights.with_suffix(end) for end in (".safetensors", ".json")},
        peak_memory_mib=fitted.peak_memory_mib,
        notes={"training_seconds": round(fitted.seconds, 1), "split": asdict(split)},
    )


def learnt_from(config: LargeHeadsConfig, split: Split) -> Mapping[str, tuple[int, ...]]:
    """Head -> the categories whose masks it learns from."""
    everyone = tuple(range(len(split)))
    return {n: split.a if s.masks == "A" else everyone for n, s in config.specs().items()}


def _masks(
    config: LargeHeadsConfig, train: Dataset, model: MaskHeads, split: Split
) -> tuple[Dataset, BoxRows | None]:
    """The data with masks, and the detector's rows where it was cut to the categories of A."""
    if config.data != "visual-genome":
        return train, None
    from wsisbook.experiments.category_subset import keep_first_categories
    from wsisbook.experiments.genome_data import coco_masks

    if split.a != tuple(range(len(split.a))) or any(
        spec.masks != "A" for spec in config.specs().values()
    ):
        raise ValueError(
            "masks of Visual Genome are those of COCO's categories, which are its first: use "
            "split 'first' with a_count 80 and heads with masks of A"
        )
    masks = coco_masks(config)
    if len(masks.categories) != len(split.a):
        raise ValueError(f"a_count is {len(split.a)}, but COCO has {len(masks.categories)}: use it")
    return masks, keep_first_categories(model, len(split.a))


def _whole(model: MaskHeads, rows: BoxRows | None, folder: Path, device: torch.device) -> Path:
    """The weights of the model with all of its categories; of several processes one writes."""
    from wsisbook.experiments.category_subset import restore_categories
    from wsislib.engine.distributed import join_process_group
    from wsislib.engine.weights import read_meta, save_weights

    trained = folder / "checkpoints" / "final.safetensors"
    if rows is None:
        return trained
    restore_categories(model, rows)
    whole = folder / "whole" / trained.name
    team = join_process_group(device)
    if team.is_main:
        save_weights(whole, model, {"trained": read_meta(trained)["sha256"]})
    team.barrier()
    return whole


def _parts(config: LargeHeadsConfig) -> tuple[str, ...]:
    masks = ("coco",) if config.data == "visual-genome" else ()
    return (*MASK_HEADS.parts(config), *masks)


LARGE_HEADS = Experiment(LargeHeadsConfig, run_large_heads, _parts, MASK_HEADS.files)
