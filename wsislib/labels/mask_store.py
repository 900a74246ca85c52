"""Masks on disk, one file an image, and the pass in which several processes make them.

A file is gzip, whose CRC-32 shows damage: a line of JSON (key, shape, scores), then the lengths of
the runs of equal pixels, row by row through all masks, background first. A teacher's candidates
are read 10 to 17 times as fast as from COCO's RLE, checked and decoded mask by mask.
"""

from __future__ import annotations

import gzip
import json
import math
import signal
import warnings
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from filelock import FileLock, Timeout
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from tqdm import tqdm

from wsislib.atomic import atomic_write
from wsislib.data.mask_runs import MaskRuns
from wsislib.data.rle import MAX_MASK_BYTES
from wsislib.data.sample import Dataset

BLOCK = 64  # images that one process claims at a time

StoredMasks = tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32]]
StoredRuns = tuple[MaskRuns, npt.NDArray[np.float32]]


class MaskStore:
    """Masks and scores under keys of hex digits; any number of processes may read and write.

    Files lie in sub-folders by the first two digits of their key, 256 at most.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def path(self, key: str) -> Path:
        """The file of a key."""
        return self.folder / key[:2] / f"{key}.masks.gz"

    def keys(self) -> set[str]:
        """Keys of all files; whether they are sound is seen when they are read."""
        return {path.name.partition(".")[0] for path in self.folder.glob("??/*.masks.gz")}

    def write(
        self,
        key: str,
        masks: npt.NDArray[np.bool_] | MaskRuns,
        scores: npt.NDArray[np.float32] | None = None,
    ) -> None:
        """Keep masks (..., H, W) and scores of any shape under a key, atomically.

        An OSError where the folder cannot be written names the file and the way out.
        """
        kept = masks if isinstance(masks, MaskRuns) else MaskRuns.of_masks(masks)
        flat = [] if scores is None else scores.reshape(-1).tolist()
        head = json.dumps({"key": key, "shape": kept.shape, "scores": flat})
        content = head.encode() + b"\n" + kept.stored().tobytes()
        packed = gzip.compress(content, compresslevel=6, mtime=0)
        # A power cut may leave an empty file, which is seen; flushing doubles a pass's time.
        atomic_write(self.path(key), packed, flush=False)

    def read(self, key: str) -> StoredMasks:
        """The masks (..., H, W) bool of a key and its scores (N,) float32.

        A ValueError names a file that is missing, damaged or of another key, or says that the masks
        are too many to be had as pixels.
        """
        runs, scores = self.read_runs(key)
        if math.prod(runs.shape) > MAX_MASK_BYTES:
            raise ValueError(
                f"{self.path(key)}: masks of {runs.shape} pixels are more than {MAX_MASK_BYTES} "
                "bytes; scale the image down, or cut it into tiles"
            )
        return runs.pixels(), scores

    def read_runs(self, key: str) -> StoredRuns:
        """As `read`, the masks as runs."""
        path = self.path(key)
        try:
            return _decode(path.read_bytes(), key)
        except (FileNotFoundError, ValueError, KeyError, TypeError, zlib.error) as error:
            raise ValueError(
                f"{path}: damaged or gone; the same command again (`wsis teach` for a teacher's "
                "cache) makes it anew"
            ) from error

    def find(self, key: str) -> StoredRuns | None:
        """As `read_runs`, but None where the file is missing, or damaged, which a warning says."""
        if not self.path(key).exists():
            return None
        try:
            return self.read_runs(key)
        except ValueError:
            message = f"{self.path(key)}: damaged; what it held is made again"
            warnings.warn(message, stacklevel=2)
            return None


def _decode(packed: bytes, key: str) -> StoredRuns:
    """What was written under a key; takes no more memory than one image's masks may."""
    inflate = zlib.decompressobj(31)  # gzip; an error where the checksum is another
    head, _, body = inflate.decompress(packed, MAX_MASK_BYTES).partition(b"\n")
    about: Any = json.loads(head)
    shape = tuple(about["shape"])
    if not inflate.eof or inflate.unused_data or about["key"] != key:
        raise ValueError("no masks of this key")
    masks = MaskRuns.of_stored(shape, np.frombuffer(body, "<u4"))
    return masks, np.array(about["scores"], dtype=np.float32)


def blocks_of(count: int) -> tuple[range, ...]:
    """The indices of `count` images in blocks."""
    return tuple(range(i, min(i + BLOCK, count)) for i in range(0, count, BLOCK))


class StorePass(TorchDataset):
    """A pass that makes the masks that a data set lacks in a store; subclasses say how.

    Blocks of images are claimed by file locks in the store's folder `claims`, so that any number
    of processes, or of cluster jobs on one file system, may work on one data set. What a stopped
    process has made is kept. `name` is of the data set's claims, `title` of the progress bar.
    """

    def __init__(self, store: MaskStore, dataset: Dataset, name: str, title: str) -> None:
        self.store, self.dataset, self.name, self.title = store, dataset, name, title
        self._bar: tqdm | None = None

    def is_done(self, rows: range) -> bool:
        """Whether all that a block needs is in the store and sound."""
        raise NotImplementedError

    def make(self, rows: range) -> Iterator[bool]:
        """Make what a block lacks; yields for each image whether its masks were made now."""
        raise NotImplementedError

    def run(self, blocks: Sequence[range], workers: int = 0, progress: bool = True) -> int:
        """Make what is missing in some blocks of images; returns how many were made here.

        `workers` are processes beside this one; 0 makes the masks in this one.
        """
        missing = [rows for rows in blocks if not self.is_done(rows)]
        images = sum(map(len, blocks))
        ready, made = images - sum(map(len, missing)), 0
        with tqdm(
            total=images, initial=ready, unit="image", desc=self.title,
            disable=None if progress and missing else True,  # None: where stderr is no terminal
        ) as bar:  # fmt: skip
            self._bar = None if workers else bar
            for rows, new in self._each(missing, workers):
                made, ready = made + new, ready + len(rows)
                bar.update(ready - bar.n)
            self._bar = None
        return made

    def _each(self, blocks: list[range], workers: int) -> Iterator[tuple[range, int]]:
        loader = DataLoader(
            self,
            sampler=blocks,
            num_workers=min(workers, len(blocks)),
            collate_fn=list,
            worker_init_fn=_ignore_interrupt,
            generator=torch.Generator(),  # else the loader draws from torch's global generator
        )
        claimed_by_others = []
        for ((rows, new),) in loader:
            if new is None:
                claimed_by_others.append(rows)
            else:
                yield rows, new
        # By now the others have mostly made theirs. One that was killed has left its claim.
        for rows in claimed_by_others:
            yield rows, self._claimed(rows, timeout=-1)

    def __getitem__(self, rows: range) -> tuple[range, int | None]:
        """Make one block; None in place of a number where another process has claimed it."""
        try:
            return rows, self._claimed(rows, timeout=0)
        except Timeout:
            return rows, None

    def _claimed(self, rows: range, timeout: float) -> int:
        path = self.store.folder / "claims" / f"{self.name}-{rows.start}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        made = 0
        with FileLock(path, timeout=timeout):
            if not self.is_done(rows):
                for new in self.make(rows):
                    made += new
                    if self._bar is not None:
                        self._bar.update()
            # Who opened it before and gets it after finds the work done.
            path.unlink(missing_ok=True)
        return made


def _ignore_interrupt(worker: int) -> None:
    """Ctrl-C reaches every process of the terminal; only the first one answers it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
