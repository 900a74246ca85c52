"""Experiment `grabcut`: a trained detector's boxes, each painted by GrabCut; nothing is trained.

Hu et al., Learning to Segment Every Thing, table 2, row "Faster R-CNN tested with GrabCut".

What a model found, as labels: detected boxes in place of true ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

from wsisbook.experiments.frozen_detector import load_detector
from wsisbook.experiments.mask_rcnn import average_precisions, examples_of, swap_splits
from wsisbook.experiments.partial_data import PartialDataConfig, chosen_split, data_files, data_sets
from wsisbook.runs.config import digest
from wsisbook.runs.experiments import Context, Experiment, Outcome
from wsislib.data.sample import Category, Dataset, Label, LabelKind, Sample

if TYPE_CHECKING:
    from wsislib.data.sample import Dataset
    from wsislib.models.maskrcnn.mask_rcnn import MaskRCNN


@dataclass(frozen=True)
class GrabCutConfig(PartialDataConfig):
    """Settings of a run that paints a detector's boxes, beside those of its data.

    Attributes:
        builder: which Mask R-CNN the detector is that of; `pretrained` must be as it was there.
        iterations, margin: see `wsislib.labels.grabcut.grabcut_mask`.
        workers: processes beside this one that paint; 0 paints here.
    """

    builder: Literal["mask_rcnn_lab", "mask_rcnn_r50_fpn", "mask_rcnn_r101_fpn"] = "mask_rcnn_lab"
    pretrained: bool = True
    iterations: int = 5
    margin: float = 1.0
    workers: int = 1

    def __post_init__(self) -> None:
        from wsislib.labels.grabcut import check_settings

        check_settings(self.iterations, self.margin)


def run_grabcut(context: Context) -> Outcome:
    """Predict boxes, paint them and judge both; AP of masks and boxes on A, on B and on all."""
    from wsislib.engine.device import describe_device, pick_device
    from wsislib.engine.predict import predict_all

    config: GrabCutConfig = context.config
    _, val = data_sets(config)
    split = chosen_split(config, len(val.categories))
    model = _detector(config, len(val.categories), context.seed)
    context.on_model(model)
    load_detector(model, context)
    device = pick_device(context.device)
    found = predict_all(model, val, device=device, progress=context.progress)
    results = painted(val, found, context)
    metrics = average_precisions(val.ground_truth(), results, {"A": split.a, "B": split.b})
    return Outcome(
        # The detector knows no split, so the other direction has the same run.
        metrics={**metrics, "reversed": swap_splits(metrics)},
        data={"val": val.fingerprint()},
        device=describe_device(device),
        examples=examples_of(results, val.image_ids),
        notes={"split": asdict(split), "masks": len(results)},
    )


def painted(
    dataset: Dataset, results: Sequence[dict[str, Any]], context: Context
) -> list[dict[str, Any]]:
    """COCO results with GrabCut's mask of each box instead of their own, image by image.

    What is painted is kept in the run's folder, so that a run that was stopped goes on.
    """
    from wsislib.labels.grabcut_dataset import GrabCutDataset

    config: GrabCutConfig = context.config
    boxes = DetectedBoxes(dataset, results)
    cut = GrabCutDataset(
        boxes, context.folder / "grabcut", config.workers, config.iterations, config.margin,
        context.progress,
    )  # fmt: skip
    return [
        {**result, "segmentation": code}
        for index, own in enumerate(boxes.results)
        for result, code in zip(own, cut.codes(index), strict=True)
    ]


def _detector(config: GrabCutConfig, category_count: int, seed: int) -> MaskRCNN:
    """The model whose box part is loaded; its mask branch paints nothing that is kept."""
    from wsislib.models.maskrcnn import builders

    if config.builder == "mask_rcnn_lab":
        return builders.mask_rcnn_lab(category_count, "class-agnostic", seed)
    build = getattr(builders, config.builder)
    # The weights come from the detector's run, so ImageNet's need not be fetched.
    return build(category_count, "class-agnostic", seed, pretrained=config.pretrained, fetch=False)


class DetectedBoxes:
    """A data set whose labels are the boxes that a model found, in place of the true ones.

    Args:
        dataset: where images come from; its labels are not looked at.
        results: COCO results about them.
    """

    def __init__(self, dataset: Dataset, results: Sequence[dict[str, Any]]) -> None:
        self._dataset = dataset
        self.categories: tuple[Category, ...] = dataset.categories
        self.image_ids: tuple[int, ...] = dataset.image_ids
        self._index = {category.id: index for index, category in enumerate(dataset.categories)}
        by_image = defaultdict(list)
        for result in results:
            by_image[result["image_id"]].append(result)
        self.results: list[list[dict[str, Any]]] = [by_image[i] for i in self.image_ids]

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Sample:
        sample, own = self._dataset[index], self.results[index]
        boxes = torch.tensor([result["bbox"] for result in own], dtype=torch.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]  # (N, 4) xywh to xyxy
        categories = [self._index[result["category_id"]] for result in own]
        label = Label(LabelKind.BOX, torch.tensor(categories, dtype=torch.int64), boxes=boxes)
        return Sample(sample.image, sample.image_id, label)

    def ground_truth(self) -> dict:
        """The wrapped data set's truth."""
        return self._dataset.ground_truth()

    def fingerprint(self) -> str:
        """Hex digest of the wrapped data set and the boxes."""
        found = [(r["image_id"], r["category_id"], r["bbox"]) for own in self.results for r in own]
        return digest(["detected", self._dataset.fingerprint(), found])


def _parts(config: GrabCutConfig) -> tuple[str, ...]:
    return (config.data, "labels", "grabcut", "mask_rcnn", "evaluation")


GRABCUT = Experiment(GrabCutConfig, run_grabcut, _parts, data_files)
