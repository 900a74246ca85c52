"""Experiment `large_detector`: a detector of thousands of categories, from boxes alone.

Hu et al., Learning to Segment Every Thing, section 5, first stage. Its parts are those of
`mask_rcnn`; one thing differs. A softmax over thousands of categories gives small scores, so the
threshold under which detections are dropped is a setting, the same for all rows of a table.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from wsisbook.experiments.mask_rcnn import MaskRcnnConfig, build_model, coco_stats, train_config
from wsisbook.experiments.partial_data import chosen_split, data_files, data_sets
from wsisbook.runs.experiments import Context, Experiment, Outcome

if TYPE_CHECKING:
    from wsislib.labels.splits import Split
    from wsislib.models.maskrcnn.detector import Detector

# What a detector of other categories cannot give: masks, and weights of its own categories.
_OWN = ("mask.", "heads.", "roi.box_predictor.")


@dataclass(frozen=True)
class LargeDetectorConfig(MaskRcnnConfig):
    """Settings of a detector of very many categories, beside those of `mask_rcnn`.

    A run that it `needs` as `start` gives it all weights but those of the categories: in the lab
    a detector of fewer categories plays the part of ImageNet.

    Attributes:
        score_threshold: detections below it are left out, 0..1.
        detections: the most there can be in an image.
    """

    stage: Literal["end-to-end", "detector", "mask-head"] = "detector"
    masks: Literal["A", "all", "none"] = "none"
    score_threshold: float = 0.05
    detections: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.stage, self.masks) != ("detector", "none"):
            raise ValueError(
                "large_detector trains a detector from boxes alone, so stage is 'detector' and "
                "masks 'none'; `mask_rcnn` does the others"
            )
        check_test(self.score_threshold, self.detections)


def check_test(score_threshold: float, detections: int) -> None:
    """Raise ValueError unless detections can be chosen so."""
    if not 0 <= score_threshold < 1:
        raise ValueError(f"score_threshold is {score_threshold}; it must be 0 or more, below 1")
    if detections < 1:
        raise ValueError(f"detections is {detections}; at least 1 an image is wanted")


def run_large_detector(context: Context) -> Outcome:
    """Train and judge a detector; box AP on A, on B and on all."""
    from wsislib.data.sample import LabelKind
    from wsislib.engine.device import describe_device, pick_device
    from wsislib.engine.evaluate import predict_all
    from wsislib.engine.train import fit
    from wsislib.labels.datasets import WeakDataset

    config: LargeDetectorConfig = context.config
    train, val = data_sets(config)
    split = chosen_split(config, len(train.categories))
    model = build_model(config, len(train.categories), context.seed)
    context.on_model(model)
    if "start" in context.needs:
        init_from(model, context.needs["start"])
    boxes = WeakDataset(train, [LabelKind.BOX] * len(train), seed=0)
    device = pick_device(context.device)
    fitted = fit(
        model, boxes, train_config(config, context.seed), context.folder,
        device=device, progress=context.progress,
    )  # fmt: skip
    set_test(model, config.score_threshold, config.detections)
    results = predict_all(model, val, device=device, progress=context.progress)
    checkpoints = context.folder / "checkpoints"
    return Outcome(
        metrics={"bbox": box_metrics(val.ground_truth(), results, split)},
        data={"train": boxes.fingerprint(), "val": val.fingerprint()},
        device=describe_device(device),
        files={"history.csv": context.folder / "history.csv"},
        weights={name: checkpoints / name for name in ("final.safetensors", "final.json")},
        peak_memory_mib=fitted.peak_memory_mib,
        notes={"training_seconds": round(fitted.seconds, 1), "split": asdict(split)},
    )


def init_from(model: Detector, folder: Path) -> None:
    """Take all weights but those of the categories from the run in `folder`.

    Raises:
        ValueError: it trained another kind of model.
    """
    from wsislib.engine.weights import load_weights

    load_weights(folder / "checkpoints" / "final.safetensors", model, skip=_OWN)


def set_test(model: Detector, score_threshold: float, detections: int) -> None:
    """Say which detections `model` keeps; in training it keeps none."""
    model.roi.score_thresh, model.roi.detections_per_img = score_threshold, detections


def box_metrics(
    ground_truth: dict[str, Any], results: list[dict[str, Any]], split: Split
) -> dict[str, dict[str, float]]:
    """The twelve numbers for boxes on A, on B and on all."""
    from wsislib.engine.evaluate import coco_ap

    sides = {"all": None, "A": split.a, "B": split.b}
    return {
        side: coco_stats(coco_ap(ground_truth, results, categories=members, iou_type="bbox"))
        for side, members in sides.items()
        if members != ()
    }


def _parts(config: LargeDetectorConfig) -> tuple[str, ...]:
    return (config.data, "labels", "mask_rcnn", "engine", "evaluation")


LARGE_DETECTOR = Experiment(LargeDetectorConfig, run_large_detector, _parts, data_files)
