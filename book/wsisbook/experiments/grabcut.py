"""Experiment `grabcut`: a trained detector's boxes, each segmented by GrabCut; nothing is trained.

Hu et al., Learning to Segment Every Thing, table 2, row "Faster R-CNN tested with GrabCut". With
the setting `sam` a SAM segments them instead: what somebody who has boxes would try first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict

import torch
from tqdm import tqdm

from wsisbook.experiments import training
from wsisbook.experiments.mask_heads import build_unfetched
from wsisbook.experiments.partial_data import chosen_split, data_sets
from wsisbook.experiments.settings import GrabCutConfig
from wsisbook.runs.config import digest
from wsisbook.runs.experiments import Context, Outcome
from wsislib.data.rle import encode_mask
from wsislib.data.sample import Category, Dataset, Label, LabelKind, Sample
from wsislib.engine.device import describe_device, pick_device
from wsislib.engine.operating_point import operating_point
from wsislib.engine.predict import Result
from wsislib.labels.grabcut_dataset import GrabCutDataset
from wsislib.models.sam.prompts import Prompts
from wsislib.models.sam.sam import Teacher
from wsislib.models.sam.sam_weights import load_sam


def run_grabcut(context: Context) -> Outcome:
    """Predict boxes, segment and judge them; AP of masks and boxes on A, on B and on all."""
    config: GrabCutConfig = context.config
    train_data, val = data_sets(config)
    count = len(val.categories)
    split = chosen_split(config, count, train_data)
    # Only its boxes are used; the mask branch must be there for the weights to fit.
    model = build_unfetched(config, count, "class-agnostic", context.seed)
    context.on_model(model)
    training.load_detector(model, context)
    detected = training.predict_set(context, model, val)
    data = {"val": val.fingerprint()}
    if config.sam:
        teacher = load_sam(config.sam).to(pick_device(context.device))
        data["teacher"] = teacher.fingerprint
        results = segmented_by_sam(val, detected, teacher, context.progress)
    else:
        results = segmented(val, detected, context)
    truth = val.ground_truth()
    metrics = training.average_precisions(truth, results, training.sides_of(split))
    if config.photographs:
        metrics["operating"] = operating_point(truth, results)
    return Outcome(
        # The detector knows no split, so the other direction has the same run.
        metrics={**metrics, "reversed": training.swap_splits(metrics)},
        data=data,
        device=describe_device(pick_device(context.device)),
        examples=training.examples_of(results, val.image_ids),
        notes={"split": asdict(split), "masks": len(results)},
    )


def segmented(dataset: Dataset, results: Sequence[Result], context: Context) -> list[Result]:
    """COCO results with GrabCut's mask of each box instead of their own, image by image.

    The masks are written to the run's folder, so that a run that was stopped goes on.
    """
    config: GrabCutConfig = context.config
    boxes = DetectedBoxes(dataset, results)
    cut = GrabCutDataset(
        boxes, context.folder / "grabcut", config.workers, config.iterations, config.margin,
        context.progress,
    )  # fmt: skip
    return [
        {**result, "segmentation": code}
        for index, of_image in enumerate(boxes.results)
        for result, code in zip(of_image, cut.codes(index), strict=True)
    ]


@torch.no_grad()
def segmented_by_sam(
    dataset: Dataset, results: Sequence[Result], teacher: Teacher, progress: bool = True
) -> list[Result]:
    """COCO results with the mask that SAM trusts most for each box instead of their own."""
    boxes = DetectedBoxes(dataset, results)
    drawn: list[Result] = []
    for index in tqdm(range(len(boxes)), disable=not progress, unit="image", desc="segment"):
        sample, of_image = boxes[index], boxes.results[index]
        if not of_image:
            continue
        prompts = Prompts(boxes=sample.label.boxes)
        (found,) = teacher.candidates([sample.image.to(teacher.device)], [prompts])
        rows = torch.arange(len(found), device=found.scores.device)
        masks = found.masks[rows, found.scores.argmax(1)].cpu().numpy()
        drawn += [
            {**result, "segmentation": encode_mask(mask)}
            for result, mask in zip(of_image, masks, strict=True)
        ]
    return drawn


class DetectedBoxes:
    """A data set whose labels are the boxes of COCO results about it, in place of the true ones."""

    def __init__(self, dataset: Dataset, results: Sequence[Result]) -> None:
        self._dataset = dataset
        self.categories: tuple[Category, ...] = dataset.categories
        self.image_ids: tuple[int, ...] = dataset.image_ids
        self._index = {category.id: index for index, category in enumerate(dataset.categories)}
        by_image = defaultdict(list)
        for result in results:
            by_image[result["image_id"]].append(result)
        self.results: list[list[Result]] = [by_image[i] for i in self.image_ids]

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Sample:
        sample, results = self._dataset[index], self.results[index]
        boxes = torch.tensor([r["bbox"] for r in results], dtype=torch.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]  # (N, 4) xywh to xyxy
        categories = [self._index[result["category_id"]] for result in results]
        label = Label(LabelKind.BOX, torch.tensor(categories, dtype=torch.int64), boxes=boxes)
        return Sample(sample.image, sample.image_id, label)

    def ground_truth(self) -> dict:
        """The wrapped data set's."""
        return self._dataset.ground_truth()

    def fingerprint(self) -> str:
        """Hex digest of the wrapped data set and the boxes."""
        boxes = [(r["image_id"], r["category_id"], r["bbox"]) for of in self.results for r in of]
        return digest(["detected", self._dataset.fingerprint(), boxes])
