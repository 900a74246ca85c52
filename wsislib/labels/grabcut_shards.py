"""GrabCut's masks of a whole data set: made once, in several processes, kept in shards.

A shard is a text file that holds a line for each of its images: image id, height, width, and a
compressed run-length code for each instance. Before the lines stands their SHA-256. Shards are
whole or absent, so what a killed process has made is there for the next one.
"""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from filelock import FileLock
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from tqdm import tqdm

from wsislib.atomic import atomic_write, write_json
from wsislib.data.rle import encode_mask
from wsislib.data.sample import Dataset, LabelKind, Sample
from wsislib.labels.grabcut import grabcut_mask


@dataclass(frozen=True)
class CutBoxes(TorchDataset):
    """The work: every box of every image, as one list of lines a shard.

    Attributes:
        dataset: where images and boxes come from; masks of its labels are not looked at.
        iterations, margin: as for `grabcut_mask`.
        folder: where shards are kept; None keeps none.
        shard_images: images in a shard.
    """

    dataset: Dataset
    iterations: int
    margin: float
    folder: Path | None
    shard_images: int

    def rows(self, shard: int) -> range:
        """The images of a shard, as indices of the data set."""
        first = shard * self.shard_images
        return range(first, min(first + self.shard_images, len(self.dataset)))

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.shard_images)

    def __getitem__(self, shard: int) -> tuple[int, list[str]]:
        """The number of the shard and its lines, which are on disk by then."""
        lines = [self._line(self.dataset[row]) for row in self.rows(shard)]
        if self.folder is not None:
            text = "".join(f"{line}\n" for line in lines)
            atomic_write(self._file(shard), f"{_digest(text)}\n{text}")
        return shard, lines

    def kept(self, shard: int) -> list[str] | None:
        """The lines of a shard on disk; None where it is missing or damaged."""
        if self.folder is None:
            return None
        try:
            digest, _, text = self._file(shard).read_text(encoding="ascii").partition("\n")
        except (FileNotFoundError, UnicodeDecodeError):
            return None
        lines = text.splitlines()
        wanted = [str(self.dataset.image_ids[row]) for row in self.rows(shard)]
        whole = digest == _digest(text) and [line.split(" ")[0] for line in lines] == wanted
        return lines if whole else None

    def _file(self, shard: int) -> Path:
        assert self.folder is not None
        return self.folder / f"{shard:05d}.txt"

    def _line(self, sample: Sample) -> str:
        boxes = _boxes_of(sample)
        pixels = (sample.image * 255).round().to(torch.uint8)  # (3, H, W)
        image = np.ascontiguousarray(pixels.permute(1, 2, 0).cpu().numpy())  # (H, W, 3)
        parts = [str(sample.image_id), *map(str, image.shape[:2])]
        for box in boxes.tolist():
            mask = grabcut_mask(image, box, self.iterations, self.margin)
            parts.append(encode_mask(mask)["counts"])
        return " ".join(parts)


def cut_lines(work: CutBoxes, workers: int, about: dict, progress: bool) -> list[str]:
    """One line an image, in order: those on disk, and the others made now.

    Args:
        work: what to cut.
        workers: processes beside this one; 0 does it here.
        about: written into the folder, for people who wonder what it holds.
        progress: whether to show a progress bar.

    Raises:
        OSError: the folder cannot be written; names the file and the way out.
        ValueError: an image cannot be read or has no boxes; names it.
    """
    if work.folder is not None:
        write_json(work.folder / "about.json", about)
    with _alone(work.folder):
        shards = {shard: work.kept(shard) for shard in range(len(work))}
        missing = [shard for shard, lines in shards.items() if lines is None]
        there = sum(len(lines) for lines in shards.values() if lines is not None)
        bar = tqdm(
            total=len(work.dataset), initial=there, unit="image", desc="GrabCut",
            disable=not progress or not missing,
        )  # fmt: skip
        with bar:
            for shard, lines in _made(work, missing, workers):
                shards[shard] = lines
                bar.update(len(lines))
    return [line for lines in shards.values() for line in lines or ()]


def _made(work: CutBoxes, missing: list[int], workers: int) -> Iterator[tuple[int, list[str]]]:
    """The missing shards, each made in one of the processes."""
    loader = DataLoader(
        work,
        sampler=missing,
        num_workers=min(workers, len(missing)),
        collate_fn=list,
        worker_init_fn=_start_worker,
        generator=torch.Generator(),  # else the loader draws from torch's global generator
    )
    for batch in loader:  # of one
        yield from batch


@contextmanager
def _alone(folder: Path | None) -> Iterator[None]:
    """One process at a time makes the shards of a folder; the others then find them made."""
    if folder is None:
        yield
        return
    with FileLock(folder / "making.lock"):
        yield


def _start_worker(worker: int) -> None:
    """Ctrl-C reaches every process of the terminal; only the first one answers it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)


def _boxes_of(sample: Sample) -> torch.Tensor:
    """(K, 4) the boxes of all entries; a ValueError where one has none."""
    label = sample.label
    lowest = label.kind if label.kinds is None or not len(label) else int(label.kinds.min())
    if label.boxes is None or lowest < LabelKind.BOX:
        raise ValueError(
            f"image {sample.image_id}: not every entry of its {label.kind.name} label has a box, "
            "which GrabCut starts from"
        )
    return label.boxes


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()
