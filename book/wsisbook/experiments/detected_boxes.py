"""What a model found, as labels: detected boxes in place of true ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch

from wsisbook.runs.digest import digest
from wsislib.data.sample import Category, Dataset, Label, LabelKind, Sample


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
