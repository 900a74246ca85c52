"""A data set whose masks are GrabCut's: made from boxes and pixels, never from true masks.

Hu et al., Learning to Segment Every Thing, table 2, row "Mask R-CNN trained with GrabCut masks".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from wsislib.atomic import write_json
from wsislib.data.rle import encode_mask
from wsislib.data.sample import Dataset, Label, LabelKind, Sample
from wsislib.labels.datasets import DatasetView, digest_of
from wsislib.labels.grabcut import ITERATIONS, MARGIN, check_settings, grabcut_mask
from wsislib.labels.mask_store import MaskStore, StorePass, blocks_of

# Raised when, and only when, the same boxes and settings give other masks: what is kept on disk
# is then made anew.
_VERSION = 1


class GrabCutDataset(DatasetView):
    """The images and boxes of a data set with a mask by GrabCut for every instance.

    The masks are made here, for all images; or read, where they were made before from the same
    data with the same settings and OpenCV. What was made before a kill stays.

    Args:
        dataset: whose labels have boxes. True masks are not read, except by `ground_truth`.
        folder: masks are kept below it, under a name of their own, and read from there; an
            OSError where it cannot be written.
        workers: processes beside this one that make masks; 0 makes them here.
        iterations, margin: as for `grabcut_mask`; a ValueError where they are out of range.
        progress: whether to show a progress bar.
    """

    def __init__(
        self,
        dataset: Dataset,
        folder: Path,
        workers: int = 0,
        iterations: int = ITERATIONS,
        margin: float = MARGIN,
        progress: bool = True,
    ) -> None:
        check_settings(iterations, margin)
        super().__init__(dataset)
        about = {
            "what": "masks by GrabCut; made again when deleted",
            "version": _VERSION,
            "opencv": cv2.__version__,
            "data": dataset.fingerprint(),
            "iterations": iterations,
            "margin": margin,
        }
        self._digest = digest_of(about)
        self._store = MaskStore(Path(folder) / self._digest[:16])
        self._keys = [digest_of([self._digest, image])[:32] for image in self.image_ids]
        write_json(self._store.folder / "about.json", about)
        work = _GrabCutPass(self._store, dataset, self._keys, iterations, margin)
        work.run(blocks_of(len(dataset)), workers, progress)

    def label(self, sample: Sample, index: int) -> Label:
        """Boxes as they were and masks by GrabCut (kind MASK)."""
        masks = torch.from_numpy(self._store.read(self._keys[index])[0])
        held = sample.label
        return Label(LabelKind.MASK, held.categories, boxes=held.boxes, masks=masks)

    def codes(self, index: int) -> list[dict[str, Any]]:
        """The masks of image `index` as compressed run-length codes, in its label's order."""
        return [encode_mask(mask) for mask in self._store.read(self._keys[index])[0]]

    def fingerprint(self) -> str:
        """Hex digest of the wrapped data set, the settings and OpenCV's version."""
        return self._digest


class _GrabCutPass(StorePass):
    """Cuts every box of the images whose masks are not in the store."""

    def __init__(
        self, store: MaskStore, dataset: Dataset, keys: list[str], iterations: int, margin: float
    ) -> None:
        super().__init__(store, dataset, "images", "GrabCut")
        self.keys, self.iterations, self.margin = keys, iterations, margin

    def is_done(self, rows: range) -> bool:
        return all(self.store.find(self.keys[row]) is not None for row in rows)

    def make(self, rows: range) -> Iterator[bool]:
        for row in rows:
            missing = self.store.find(self.keys[row]) is None
            if missing:
                self.store.write(self.keys[row], self._cut(self.dataset[row]))
            yield missing

    def _cut(self, sample: Sample) -> np.ndarray:
        """(K, H, W) bool; a ValueError where an entry has no box."""
        label = sample.label
        if label.boxes is None or bool((label.entry_kinds < LabelKind.BOX).any()):
            raise ValueError(
                f"image {sample.image_id}: not every entry of its {label.kind.name} label has a "
                "box, which GrabCut starts from"
            )
        pixels = (sample.image * 255).round().to(torch.uint8)  # (3, H, W)
        image = np.ascontiguousarray(pixels.permute(1, 2, 0).cpu().numpy())  # (H, W, 3)
        masks = np.zeros((len(label), *image.shape[:2]), dtype=bool)
        for mask, box in zip(masks, label.boxes.tolist(), strict=True):
            mask[:] = grabcut_mask(image, box, self.iterations, self.margin)
        return masks
