"""The pass that fills a teacher's cache: each image's candidates are made once.

Portions of images are claimed by file locks, so that any number of processes, or of cluster jobs
on one file system, may work on one data set. What a stopped process has made is there for the
next one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from tqdm import tqdm

from wsislib.data.sample import Dataset, Sample
from wsislib.models.sam.prompts import Prompts
from wsislib.models.sam.sam import Teacher
from wsislib.models.wish.prompt_head import entry_prompts, in_place
from wsislib.teacher.candidate_codec import pack_candidates
from wsislib.teacher.teacher_cache import TeacherCache

_AT_ONCE = 64  # prompts that the mask decoder takes together


@dataclass(frozen=True)
class CacheStats:
    """What a pass has done for this process's share of a data set.

    Attributes:
        cache: the cache, which holds the share.
        images: of the share.
        instances: of the share, with candidates.
        made: images whose candidates were made now, by this process.
        stored_bytes: of the share's candidates and lists of keys.
    """

    cache: TeacherCache
    images: int
    instances: int
    made: int
    stored_bytes: int

    @property
    def bytes_per_instance(self) -> float:
        """On disk, for all masks of an instance; 0 where there are no instances."""
        return self.stored_bytes / self.instances if self.instances else 0.0


def teach(
    dataset: Dataset,
    teacher: Teacher,
    folder: Path,
    share: tuple[int, int] = (1, 1),
    progress: bool = True,
) -> CacheStats:
    """Fill a cache with the candidates of every point and box label of a data set.

    Candidates of one image do not depend on which others are made beside it. What a GPU makes may
    differ in single pixels from what a CPU makes; whoever was first is kept.

    Args:
        dataset: images whose labels are tags or masks are passed by.
        teacher: on the device where it is to run.
        folder: of the cache, which may hold other data sets' candidates as well.
        share: (i, n): the i-th of n shares, from 1.
        progress: whether to show a progress bar.

    Raises:
        ValueError: the cache is of another teacher; a point lies outside of its image or a box is
            empty (names image and entry); `share` is not 1 <= i <= n.
        OSError: the folder cannot be written; names the file and the way out.
    """
    part, parts = share
    if not 1 <= part <= parts:
        raise ValueError(f"share {part}/{parts}: must be i/n with 1 <= i <= n, such as 2/8")
    cache = TeacherCache(folder, teacher.fingerprint, teacher.name)
    cache.mend()
    data = dataset.fingerprint()
    blocks = cache.blocks(dataset)[part - 1 :: parts]
    images = sum(map(len, blocks))
    missing = [rows for rows in blocks if cache.noted(data, rows) is None]
    bar = tqdm(
        total=images,
        initial=images - sum(map(len, missing)),
        unit="image",
        desc="teach",
        disable=not progress or not missing,
    )
    with bar:
        made = _Pass(dataset, teacher, cache, data, bar).run(missing)
    keys = [key for rows in blocks for key in cache.noted(data, rows) or ()]
    instances, stored = cache.amount(tuple(keys))
    return CacheStats(cache, images, instances, made, stored)


def candidates_of(teacher: Teacher, sample: Sample) -> bytes:
    """A teacher's candidates for the points and boxes of one image, packed.

    Raises:
        ValueError: the label breaks the data contract (a point outside of the image, an empty
            box), or the teacher's quality is not finite; names image and entry.
    """
    sample.check()
    embedded = teacher.embed([sample.image])
    rows, masks, scores = [], [], []
    for where, prompts in entry_prompts(sample.label):
        found = [teacher.candidates(embedded, [some])[0] for some in _portions(prompts)]
        rows.append(where)
        masks.append(torch.cat([some.masks.cpu() for some in found]))
        scores.append(torch.cat([some.scores.cpu() for some in found]))
    quality = in_place(rows, scores)  # (K, M)
    if not bool(torch.isfinite(quality).all()):
        entry = int((~torch.isfinite(quality)).any(dim=1).int().argmax())
        raise ValueError(
            f"image {sample.image_id}, entry {entry}: the teacher '{teacher.name}' predicts an "
            "IoU that is not finite; are its weights sound?"
        )
    return pack_candidates(in_place(rows, masks).numpy(), quality.clamp(0, 1).float().numpy())


@dataclass(frozen=True)
class _Pass:
    """One process's work on one data set, of fingerprint `data`."""

    dataset: Dataset
    teacher: Teacher
    cache: TeacherCache
    data: str
    bar: tqdm

    def run(self, blocks: Sequence[range]) -> int:
        """Make what is missing of `blocks`; how many images had candidates made here."""
        made, claimed_by_others = 0, []
        for rows in blocks:
            try:
                made += self._claimed(rows, timeout=0)
            except Timeout:
                claimed_by_others.append(rows)
        # By now the others have mostly made theirs. One that was killed has left its claim.
        return made + sum(self._claimed(rows, timeout=-1) for rows in claimed_by_others)

    def _claimed(self, rows: range, timeout: float) -> int:
        with _claim(self.cache.folder, f"{self.data[:16]}-{rows.start}", timeout):
            self.cache.mend()
            if self.cache.noted(self.data, rows) is None:
                return self._fill(rows)
        self.bar.update(len(rows))
        return 0

    def _fill(self, rows: range) -> int:
        """Make the candidates of some images, and keep those that were made, come what may."""
        keys: list[bytes | None] = []
        made: dict[bytes, bytes] = {}
        try:
            for row in rows:
                sample = self.dataset[row]
                key = self.cache.key(sample)
                if key is not None and key not in self.cache and key not in made:
                    made[key] = candidates_of(self.teacher, sample)
                keys.append(key)
                self.bar.update()
        finally:
            if made:
                self.cache.add(made)
        self.cache.note(self.data, rows, tuple(keys))
        return len(made)


@contextmanager
def _claim(folder: Path, name: str, timeout: float) -> Iterator[None]:
    """Hold the lock of one portion, which vanishes with the process that holds it."""
    path = folder / "claims" / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path, timeout=timeout):
        yield
        # Who opened it before and gets it after finds the work done.
        path.unlink(missing_ok=True)


def _portions(prompts: Prompts) -> list[Prompts]:
    """The same prompts, not too many together; one portion at least."""
    if prompts.boxes is not None:
        return [Prompts(boxes=some) for some in prompts.boxes.split(_AT_ONCE)]
    assert prompts.points is not None
    return [Prompts(points=some) for some in prompts.points.split(_AT_ONCE)]
