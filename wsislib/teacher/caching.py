"""The pass that fills a teacher's cache: each image's candidates are made once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from wsislib.data.mask_runs import MaskRuns
from wsislib.data.sample import Dataset, Sample
from wsislib.labels.mask_store import StorePass, blocks_of
from wsislib.models.sam.sam import CANDIDATES, Teacher
from wsislib.models.wish.prompt_head import entry_prompts
from wsislib.teacher.teacher_cache import TeacherCache


@dataclass(frozen=True)
class CacheStats:
    """What a pass has done for this process's share of a data set."""

    cache: TeacherCache  # which holds the share
    images: int  # of the share
    instances: int  # of the share, with candidates
    made: int  # images whose candidates were made now, by this process
    stored_bytes: int  # of the share's candidates and lists of keys

    @property
    def bytes_per_instance(self) -> float:
        """On disk, for all masks of an instance; 0 where there are no instances."""
        return self.stored_bytes / self.instances if self.instances else 0.0


def cache_candidates(
    dataset: Dataset,
    teacher: Teacher,
    folder: Path,
    share: tuple[int, int] = (1, 1),
    progress: bool = True,
) -> CacheStats:
    """Fill a cache with the candidates of every point and box label of a data set.

    Candidates of one image do not depend on which others are made beside it. What a GPU makes may
    differ in single pixels from what a CPU makes; what is there already is kept.

    Args:
        dataset: images whose labels are tags or masks are passed by.
        teacher: on the device where it is to run.
        folder: of the cache, which may hold other data sets' candidates as well.
        share: (i, n): the i-th of n shares, from 1.
        progress: whether to show a progress bar.

    Raises:
        ValueError: the cache is of another teacher; a label breaks the data contract (names image
            and entry); `share` is not 1 <= i <= n.
        OSError: the folder cannot be written; names the file and the way out.
    """
    part, parts = share
    if not 1 <= part <= parts:
        raise ValueError(f"share {part}/{parts}: must be i/n with 1 <= i <= n, such as 2/8")
    cache = TeacherCache(folder, teacher.fingerprint, teacher.name)
    work = _CandidatePass(cache, dataset, teacher)
    blocks = blocks_of(len(dataset))[part - 1 :: parts]
    made = work.run(blocks, progress=progress)
    lists = [cache.list_path(work.data, rows) for rows in blocks]
    files = [*lists, *map(cache.store.path, work.instances)]
    return CacheStats(
        cache,
        images=sum(map(len, blocks)),
        instances=sum(work.instances.values()),
        made=made,
        stored_bytes=sum(path.stat().st_size for path in files),
    )


class _CandidatePass(StorePass):
    """Asks a teacher about the images whose candidates are not in its cache."""

    def __init__(self, cache: TeacherCache, dataset: Dataset, teacher: Teacher) -> None:
        self.cache, self.teacher, self.data = cache, teacher, dataset.fingerprint()
        self.instances: dict[str, int] = {}  # of each key that was found or made
        super().__init__(cache.store, dataset, self.data[:16], "teach")

    def is_done(self, rows: range) -> bool:
        keys = self.cache.read_list(self.data, rows)
        return keys is not None and all(key is None or self._has(key) for key in keys)

    def make(self, rows: range) -> Iterator[bool]:
        keys = []
        for row in rows:
            sample = self.dataset[row]
            key = self.cache.key(sample)
            missing = key is not None and not self._has(key)
            if key is not None and missing:
                masks, quality = candidates_of(self.teacher, sample)
                self.store.write(key, masks, quality)
                self.instances[key] = masks.shape[0]
            keys.append(key)
            yield missing
        self.cache.write_list(self.data, rows, tuple(keys))

    def _has(self, key: str) -> bool:
        found = self.store.find(key)
        if found is not None:
            self.instances[key] = found[0].shape[0]
        return found is not None


def candidates_of(teacher: Teacher, sample: Sample) -> tuple[MaskRuns, npt.NDArray[np.float32]]:
    """A teacher's candidates for the points and boxes of one image of K entries.

    Returns masks (K, M, H, W) as runs and their predicted IoU (K, M); those of tags are empty.

    A ValueError where the label breaks the data contract (a point outside of the image, an empty
    box), or the teacher's quality is not finite, names image and entry.
    """
    sample.check()
    height, width = int(sample.image.shape[-2]), int(sample.image.shape[-1])
    count = len(sample.label)
    masks = [[MaskRuns.empty(height, width)] * CANDIDATES for _ in range(count)]
    quality = torch.zeros(count, CANDIDATES)
    embedded = teacher.embed([sample.image])
    for where, prompts in entry_prompts(sample.label):
        entries = where.nonzero().flatten().tolist()
        for entry, answer in zip(entries, teacher.answers(embedded, prompts), strict=True):
            masks[entry] = [MaskRuns.of_crop(crop, height, width) for crop in answer.crops]
            quality[entry] = answer.scores
    if not bool(torch.isfinite(quality).all()):
        entry = int((~torch.isfinite(quality)).any(dim=1).int().argmax())
        raise ValueError(
            f"image {sample.image_id}, entry {entry}: the teacher '{teacher.name}' predicts an "
            "IoU that is not finite; are its weights sound?"
        )
    parts = [mask for of_entry in masks for mask in of_entry]
    shape = (count, CANDIDATES, height, width)
    return MaskRuns.stack(parts, shape), quality.clamp(0, 1).numpy()
