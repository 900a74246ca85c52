"""A data set whose masks are GrabCut's: made from boxes and pixels, never from true masks.

Hu et al., Learning to Segment Every Thing, table 2, row "Mask R-CNN trained with GrabCut masks".
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import cv2
import torch

from wsislib.data.rle import decode_segmentation
from wsislib.data.sample import Category, Dataset, Label, LabelKind, Sample
from wsislib.labels.grabcut import ITERATIONS, MARGIN, check_settings
from wsislib.labels.grabcut_shards import CutBoxes, cut_lines

# Raised when, and only when, the same boxes and settings give other masks: what is kept on disk
# is then made anew.
_VERSION = 1
_SHARD_IMAGES = 64  # some seconds of work for the lab's scenes, some minutes for photographs


class GrabCutDataset:
    """The images and boxes of a data set with a mask by GrabCut for every instance.

    The masks are made here, when the data set is, for all images; or read, where they were made
    before from the same data with the same settings and OpenCV. What was made before a kill stays.

    Args:
        dataset: whose labels have boxes. True masks are not read, except by `ground_truth`.
        folder: masks are kept below it, under a name of their own; None keeps them in memory
            only. Anything in it may be deleted.
        workers: processes beside this one that make masks; 0 makes them here.
        iterations, margin: as for `grabcut_mask`.
        progress: whether to show a progress bar.

    Raises:
        ValueError: a setting is out of range, or a label has no boxes; names the image.
        OSError: the folder cannot be written; names the file and the way out.
    """

    def __init__(
        self,
        dataset: Dataset,
        folder: Path | None,
        workers: int = 0,
        iterations: int = ITERATIONS,
        margin: float = MARGIN,
        progress: bool = True,
    ) -> None:
        check_settings(iterations, margin)
        self._dataset = dataset
        self.categories: tuple[Category, ...] = dataset.categories
        self.image_ids: tuple[int, ...] = dataset.image_ids
        about = {
            "what": "masks by GrabCut; made again when deleted",
            "version": _VERSION,
            "opencv": cv2.__version__,
            "data": dataset.fingerprint(),
            "iterations": iterations,
            "margin": margin,
        }
        self._digest = hashlib.sha256(json.dumps(about).encode()).hexdigest()
        place = None if folder is None else Path(folder) / self._digest[:16]
        work = CutBoxes(dataset, iterations, margin, place, _SHARD_IMAGES)
        self._lines = cut_lines(work, workers, about, progress)

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Sample:
        """Image `index` with boxes as they were and masks by GrabCut (kind MASK)."""
        sample = self._dataset[index]
        codes = self.codes(index)
        height, width = sample.image.shape[1:]
        masks = torch.zeros(len(codes), height, width, dtype=torch.bool)
        for mask, code in zip(masks, codes, strict=True):
            mask.copy_(torch.from_numpy(decode_segmentation(code, height, width)))
        label, boxes = sample.label, sample.label.boxes
        return Sample(
            sample.image,
            sample.image_id,
            Label(LabelKind.MASK, label.categories, boxes=boxes, masks=masks),
        )

    def codes(self, index: int) -> list[dict[str, Any]]:
        """The masks of image `index` as compressed run-length codes, in its label's order."""
        _, height, width, *counts = self._lines[index].split(" ")
        return [{"size": [int(height), int(width)], "counts": each} for each in counts]

    def ground_truth(self) -> dict:
        """The wrapped data set's truth, for evaluation only."""
        return self._dataset.ground_truth()

    def fingerprint(self) -> str:
        """Hex digest of the wrapped data set, the settings and OpenCV's version."""
        return self._digest
