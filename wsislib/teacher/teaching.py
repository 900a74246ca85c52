"""Data sets whose weak labels carry a teacher's candidates, or masks chosen among them."""

from __future__ import annotations

from dataclasses import replace

import torch

from wsislib.data.sample import Dataset, Label, LabelKind, Sample
from wsislib.data.transforms import tight_boxes
from wsislib.labels.datasets import DatasetView, digest_of
from wsislib.labels.mask_store import StoredRuns
from wsislib.teacher.teacher_cache import TeacherCache


class TeachingDataset(DatasetView):
    """A data set whose points and boxes have `candidates`, read from a cache.

    Labels of tags or masks alone stay as they are. No teacher is run here: `wsis teach` or
    `cache_candidates` has filled the cache. A ValueError where candidates are missing.
    """

    def __init__(self, dataset: Dataset, cache: TeacherCache) -> None:
        super().__init__(dataset)
        self._cache, self._keys = cache, cache.keys(dataset)

    def label(self, sample: Sample, index: int) -> Label:
        """The label with its candidates; a ValueError names a file that was damaged since."""
        key = self._keys[index]
        if key is None:
            return sample.label
        candidates = self._cache[key]
        assert candidates.masks.shape[2:] == sample.image.shape[1:], "the key covers the image"
        return replace(sample.label, candidates=candidates)

    def runs(self, index: int) -> tuple[Sample, StoredRuns | None]:
        """Image `index` with its label as annotated; its candidates (K, M, H, W) as runs.

        Beside these their scores (K * M,); None where the label needs no candidates.
        """
        key = self._keys[index]
        return self._dataset[index], None if key is None else self._cache.store.read_runs(key)

    def fingerprint(self) -> str:
        """Hex digest of the wrapped data set and the teacher."""
        return digest_of(["teaching", self._dataset.fingerprint(), self._cache.fingerprint])


class PseudoMaskDataset(DatasetView):
    """A data set of masks: for each entry the teacher's candidate with the best score.

    The baseline of WISH (Kweon and Yoon, 2025), table 1: the teacher used offline. The labels of
    the wrapped data set have candidates, such as `TeachingDataset`'s, or masks.
    """

    def label(self, sample: Sample, index: int) -> Label:
        """See `pseudo_masks`; a ValueError where the label has neither candidates nor masks."""
        return pseudo_masks(sample.label)

    def fingerprint(self) -> str:
        """Hex digest of the wrapped data set and of what is done to it."""
        return digest_of(["pseudo masks", self._dataset.fingerprint()])


def best_candidates(label: Label) -> tuple[torch.Tensor, torch.Tensor]:
    """The candidate that the teacher scores best for each entry, among those that are not empty.

    Returns (K,) int64, the candidate of each entry of a label with candidates; and (K,) float32,
    the IoU that the teacher predicts for it, -1 where every candidate is empty.
    """
    assert label.candidates is not None
    # As bytes: eight times as fast as `any`, and every image that is read comes through here.
    filled = label.candidates.masks.view(torch.uint8).flatten(2).amax(dim=2) > 0  # (K, M)
    best = label.candidates.quality.masked_fill(~filled, -1.0).max(dim=1)
    return best.indices, best.values


def pseudo_masks(label: Label) -> Label:
    """A label of kind MASK with the teacher's best-scoring candidate as the mask of each entry.

    Entries that carry a true mask keep it. Boxes that an annotator gave stay; a point gets the
    tight box of its mask. Tags and entries whose candidates are all empty are left out. A label of
    masks alone is returned as it is; a ValueError where it has neither masks nor candidates.
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
