"""Data sets whose weak labels carry a teacher's candidates, or masks chosen among them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import torch

from wsislib.data.sample import Category, Dataset, Label, LabelKind, Sample
from wsislib.data.transforms import tight_boxes
from wsislib.teacher.teacher_cache import TeacherCache


class TeachingDataset:
    """A data set whose points and boxes have `candidates`, read from a cache.

    Labels of tags or masks alone stay as they are. No teacher is needed here, and none is run.

    Args:
        dataset: images and labels, all of which the cache was filled for (`wsis teach`, or
            `wsislib.teacher.teach`).
        cache: of the teacher.

    Raises:
        ValueError: candidates are missing; says how many and the way out.
    """

    def __init__(self, dataset: Dataset, cache: TeacherCache) -> None:
        self._dataset, self._cache = dataset, cache
        self._keys = cache.keys(dataset)
        self.categories: tuple[Category, ...] = dataset.categories
        self.image_ids: tuple[int, ...] = dataset.image_ids

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Sample:
        """Image `index` with the candidates of its label.

        Raises:
            ValueError: a file of the cache was damaged since; names it.
        """
        sample, key = self._dataset[index], self._keys[index]
        if key is None:
            return sample
        candidates = self._cache[key]
        assert candidates.masks.shape[2:] == sample.image.shape[1:], "the key covers the image"
        return replace(sample, label=replace(sample.label, candidates=candidates))

    def ground_truth(self) -> dict:
        """The wrapped data set's truth, for evaluation only."""
        return self._dataset.ground_truth()

    def fingerprint(self) -> str:
        """Hex digest of the wrapped data set and the teacher."""
        return _digest("teaching", self._dataset.fingerprint(), self._cache.fingerprint)


class PseudoMaskDataset:
    """A data set whose every label is of masks: of each entry the teacher's best-scoring candidate.

    The baseline of WISH (Kweon and Yoon, 2025), table 1: the teacher used offline.

    Args:
        dataset: labels with candidates, such as `TeachingDataset`'s, or with masks.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self.categories: tuple[Category, ...] = dataset.categories
        self.image_ids: tuple[int, ...] = dataset.image_ids

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Sample:
        """Image `index` with pseudo masks.

        Raises:
            ValueError: its label has neither candidates nor masks; names the image.
        """
        sample = self._dataset[index]
        try:
            return replace(sample, label=pseudo_masks(sample.label))
        except ValueError as error:
            raise ValueError(f"image {sample.image_id}: {error}") from None

    def ground_truth(self) -> dict:
        """The wrapped data set's truth, for evaluation only."""
        return self._dataset.ground_truth()

    def fingerprint(self) -> str:
        """Hex digest of the wrapped data set and of what is done to it."""
        return _digest("pseudo masks", self._dataset.fingerprint())


def best_candidates(label: Label) -> tuple[torch.Tensor, torch.Tensor]:
    """Which candidate the teacher thinks best of, among those that are not empty.

    Args:
        label: with candidates.

    Returns:
        (K,) int64, the candidate of each entry; and (K,) float32, the IoU that the teacher
        predicts for it, -1 where every candidate is empty.
    """
    assert label.candidates is not None
    # As bytes: eight times as fast as `any`, and this is done for every image that is read.
    filled = label.candidates.masks.view(torch.uint8).flatten(2).amax(dim=2) > 0  # (K, M)
    best = label.candidates.quality.masked_fill(~filled, -1.0).max(dim=1)
    return best.indices, best.values


def pseudo_masks(label: Label) -> Label:
    """The label as if the teacher's best-scoring candidate of each entry were its mask.

    Entries of a partially supervised label that carry a true mask keep it. Boxes that an annotator
    gave stay; a point gets the tight box of its mask. Tags and entries whose candidates are all
    empty are left out.

    Args:
        label: with candidates; one of masks alone is returned as it is.

    Raises:
        ValueError: the label has neither.
    """
    if label.kind == LabelKind.MASK:
        return label
    true = label.has_mask
    between = (label.entry_kinds > int(LabelKind.TAG)) & ~true
    if label.candidates is None and bool(true.any()) and not bool(between.any()):
        return replace(label[true], kind=LabelKind.MASK, points=None, kinds=None)
    if label.candidates is None:
        raise ValueError(
            f"a label of kind {label.kind.name} without candidates has no pseudo masks; points "
            "and boxes get candidates from a teacher (TeachingDataset), tags cannot"
        )
    chosen, quality = best_candidates(label)
    masks = label.candidates.masks[torch.arange(len(label), device=chosen.device), chosen]
    if label.masks is not None:
        masks = torch.where(true[:, None, None], label.masks, masks)  # (K, H, W)
    keep = (quality >= 0) | true
    boxes = tight_boxes(masks)
    if label.boxes is not None:
        boxed = label.entry_kinds >= int(LabelKind.BOX)
        boxes = torch.where(boxed[:, None], label.boxes, boxes)
    return Label(LabelKind.MASK, label.categories[keep], boxes=boxes[keep], masks=masks[keep])


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
