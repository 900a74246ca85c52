"""Data sets with weaker labels: one label kind per image, or masks of some categories only.

Both wrap a data set whose labels are masks and pass on its ground truth for evaluation only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from wsislib.data.sample import Category, Dataset, Label, LabelKind, Sample
from wsislib.labels.weaken import PointChoice, partial, weaken, weaken_each


class DatasetView:
    """Images and ground truth of a data set, or of its images `rows`, with other labels.

    Subclasses give the labels.
    """

    def __init__(self, dataset: Dataset, rows: Sequence[int] | None = None) -> None:
        self._dataset = dataset
        self._rows = range(len(dataset)) if rows is None else tuple(rows)
        self.categories: tuple[Category, ...] = dataset.categories
        self.image_ids = tuple(dataset.image_ids[row] for row in self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        """Image `index` with its label here; a ValueError names an image that can have none."""
        sample = self._dataset[self._rows[index]]
        try:
            return replace(sample, label=self.label(sample, index))
        except ValueError as error:
            raise ValueError(f"image {sample.image_id}: {error}") from error

    def label(self, sample: Sample, index: int) -> Label:
        """The label here of `sample`, which is image `index` of this data set."""
        raise NotImplementedError

    def ground_truth(self) -> dict:
        """The wrapped data set's ground truth, for evaluation only."""
        return self._dataset.ground_truth()

    def fingerprint(self) -> str:
        """Hex digest of the wrapped data set and of what changes its labels."""
        raise NotImplementedError


class WeakDataset(DatasetView):
    """A data set in which every image is labelled in one kind, or not at all.

    The random point of an instance depends on the seed and the image alone, not on the order in
    which images are read: an image keeps its points from epoch to epoch and across workers.

    Args:
        dataset: its labels must be of the same or a stronger kind.
        kinds: one per image of `dataset`, in its order; None leaves the image out.
        seed: 0 or more; of the random points.
        point: as for `weaken`.
        ceilings: the strongest kind that each category may have, whatever its image has; None is
            masks for all. An image of a stronger kind then holds entries of several kinds.

    Raises:
        ValueError: a wrong number of kinds or ceilings, no image, or a negative seed.
    """

    def __init__(
        self,
        dataset: Dataset,
        kinds: Sequence[LabelKind | None],
        seed: int,
        point: PointChoice = "random",
        ceilings: Sequence[LabelKind] | None = None,
    ) -> None:
        if len(kinds) != len(dataset):
            raise ValueError(
                f"{len(kinds)} kinds for {len(dataset)} images; give one kind (or None) per image"
            )
        if seed < 0:
            raise ValueError(f"seed is {seed}; it must be 0 or more")
        chosen = [(i, LabelKind(kind)) for i, kind in enumerate(kinds) if kind is not None]
        if not chosen:
            raise ValueError("no image is labelled: every kind is None")
        if ceilings is not None and len(ceilings) != len(dataset.categories):
            raise ValueError(
                f"{len(ceilings)} ceilings for {len(dataset.categories)} categories; give one each"
            )
        super().__init__(dataset, [row for row, _ in chosen])
        self._seed, self._point = seed, point
        self._ceilings = None if ceilings is None else torch.tensor([int(c) for c in ceilings])
        self.kinds = tuple(kind for _, kind in chosen)

    @property
    def entry_kinds(self) -> frozenset[LabelKind]:
        """Kinds that entries may have: those of the images, at most the ceilings."""
        held = [LabelKind.MASK] if self._ceilings is None else self._ceilings.unique().tolist()
        tops = [LabelKind(top) for top in held]
        return frozenset(min(kind, top) for kind in set(self.kinds) for top in tops)

    def label(self, sample: Sample, index: int) -> Label:
        """The weak label of image `index`: no mask is in it unless it is of kind MASK."""
        kind, generator = self.kinds[index], image_generator(self._seed, sample.image_id)
        if self._ceilings is None:
            return weaken(sample.label, kind, generator, self._point)
        kinds = self._ceilings[sample.label.categories].clamp(max=int(kind))
        return weaken_each(sample.label, kinds.to(torch.uint8), generator, self._point)

    def ground_truth(self) -> dict:
        """The wrapped data set's ground truth of the labelled images, for evaluation only."""
        truth = self._dataset.ground_truth()
        kept = set(self.image_ids)
        return {
            **truth,
            "images": [image for image in truth["images"] if image["id"] in kept],
            "annotations": [a for a in truth["annotations"] if a["image_id"] in kept],
        }

    def fingerprint(self) -> str:
        """Hex digest of the wrapped data set, kinds, ceilings, the seed and the point choice."""
        kinds = [int(kind) for kind in self.kinds]
        rows = list(self._rows)
        ceilings = [] if self._ceilings is None else [self._ceilings.tolist()]
        about = (self._dataset.fingerprint(), rows, kinds, self._seed, self._point, *ceilings)
        return digest_of(["weak", *about])


class PartialDataset(DatasetView):
    """A data set with boxes of all categories and masks of some: the supervision of Mask^X R-CNN.

    The labels of `dataset` must be masks; `mask_categories` are indices 0..C-1 of A, at least one.
    """

    def __init__(self, dataset: Dataset, mask_categories: Sequence[int]) -> None:
        count = len(dataset.categories)
        outside = sorted(c for c in mask_categories if not 0 <= c < count)
        if outside or not len(mask_categories):
            raise ValueError(
                f"mask_categories must name at least one of the categories 0..{count - 1}; "
                f"got {outside or 'none'}"
            )
        super().__init__(dataset)
        self._held = torch.zeros(count, dtype=torch.bool)  # (C,)
        self._held[list(mask_categories)] = True

    def label(self, sample: Sample, index: int) -> Label:
        """Boxes for every instance and masks for those of A."""
        return partial(sample.label, self._held)

    def fingerprint(self) -> str:
        """Hex digest of the wrapped data set and A."""
        held = self._held.nonzero().flatten().tolist()
        return digest_of(["partial", self._dataset.fingerprint(), held])


def image_generator(seed: int, image_id: int) -> torch.Generator:
    """The generator of one image: a function of seed and image id (both 0 or more) alone."""
    state = np.random.SeedSequence([seed, image_id]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))


def digest_of(what: object) -> str:
    """Hex SHA-256 of what JSON can say."""
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()
