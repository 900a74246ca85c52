"""A tiny data set of blobs, drawn by numpy alone, and a builder of mask labels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from wsislib.data.sample import Category, Label, LabelKind, Sample


def mask_label(masks: np.ndarray, categories: list[int]) -> Label:
    held = torch.from_numpy(np.asarray(masks, dtype=bool))
    boxes = []
    for mask in held.numpy():
        rows, columns = np.nonzero(mask)
        boxes.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    return Label(
        LabelKind.MASK,
        torch.tensor(categories, dtype=torch.int64),
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        masks=held,
    )


class Blobs:
    """Six images of 20 x 24 with two to three rectangles with a bite, in four categories."""

    def __init__(self) -> None:
        self.categories = tuple(Category(10 * (i + 1), f"kind {i}") for i in range(4))
        self.image_ids = (3, 5, 8, 13, 21, 34)

    def __len__(self) -> int:
        return len(self.image_ids)

    def __getitem__(self, index: int) -> Sample:
        random = np.random.default_rng([7, self.image_ids[index]])
        count = int(random.integers(2, 4))
        masks = np.zeros((count, 20, 24), dtype=bool)
        for mask in masks:
            y, x = int(random.integers(0, 10)), int(random.integers(0, 12))
            h, w = int(random.integers(3, 10)), int(random.integers(3, 12))
            mask[y : y + h, x : x + w] = True
            mask[y + 1, x + 1] = False
        image = torch.from_numpy(random.random((3, 20, 24), dtype=np.float32))
        categories = random.integers(0, 4, size=count).tolist()
        return Sample(image, self.image_ids[index], mask_label(masks, categories))

    def ground_truth(self) -> dict:
        return {
            "images": [{"id": i, "height": 20, "width": 24} for i in self.image_ids],
            "annotations": [{"id": n, "image_id": i} for n, i in enumerate(self.image_ids, 1)],
            "categories": [{"id": c.id, "name": c.name} for c in self.categories],
        }

    def fingerprint(self) -> str:
        return "blobs"


@pytest.fixture
def blobs() -> Blobs:
    return Blobs()


@pytest.fixture
def make_label() -> Callable[[np.ndarray, list[int]], Label]:
    return mask_label
