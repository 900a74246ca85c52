"""A teacher's candidates on disk, found by all that they depend on and by nothing else.

What a frozen teacher predicts for a label depends on the teacher, the image and the points or
boxes. The key of an image's candidates is a digest of these three, so a changed image or label
makes only its own candidates anew, and data sets that share images and labels share candidates. A
cache is of one teacher. Lists of keys stand beside the candidates, for each data set, so that its
images need not be read to find them.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch

from wsislib.atomic import atomic_write, read_json, write_json
from wsislib.data.sample import Candidates, Dataset, LabelKind, Sample
from wsislib.labels.mask_store import MaskStore, blocks_of

# Raised when, and only when, the same teacher, image and label give other candidates.
_VERSION = 1
_KEY_DIGITS = 32

Keys = tuple[str | None, ...]  # None: the image has no points or boxes


class TeacherCache:
    """Candidates of one teacher in one folder; any number of processes may read and add."""

    def __init__(self, folder: Path, fingerprint: str | None = None, teacher: str = "") -> None:
        """Open a cache, or begin one where `folder` holds none.

        Args:
            folder: of the cache.
            fingerprint: of the teacher whose candidates are wanted; None takes what is there.
            teacher: its name.

        Raises:
            ValueError: the cache is of another teacher or version, or there is none and no
                teacher was named.
            OSError: the folder cannot be written; names the file and the way out.
        """
        self.store = MaskStore(folder)  # the candidates, a file for each image
        path = self.store.folder / "about.json"
        if not path.exists():
            if fingerprint is None:
                raise ValueError(f"{folder}: no teacher's cache here; `wsis teach` makes one")
            what = "a teacher's candidates; made again when deleted"
            new = {"version": _VERSION, "teacher": teacher, "fingerprint": fingerprint}
            write_json(path, {"what": what, **new})
        about: Any = read_json(path)
        keys = {"version", "teacher", "fingerprint"}
        if not isinstance(about, dict) or not keys <= set(about) or about["version"] != _VERSION:
            raise ValueError(f"{path}: not a cache of this version; delete it or use a new folder")
        if fingerprint is not None and about["fingerprint"] != fingerprint:
            raise ValueError(
                f"{folder}: this cache is of another teacher ({_name(about)}, wanted "
                f"{_name({'teacher': teacher, 'fingerprint': fingerprint})}); use a new folder, or "
                "the teacher that it was made with"
            )
        self.teacher, self.fingerprint = str(about["teacher"]), str(about["fingerprint"])

    def key(self, sample: Sample) -> str | None:
        """The key of an image's candidates; None where its label needs none.

        Candidates are made for points and boxes, also where they stand beside tags. Tags cannot
        have any, and where every entry has its mask there is no need. The image enters as the 8
        bits a channel that a teacher sees.
        """
        label = sample.label
        prompted = label.kind in (LabelKind.POINT, LabelKind.BOX)
        if label.kind == LabelKind.TAG:
            prompted = not {LabelKind.POINT, LabelKind.BOX}.isdisjoint(label.entry_kinds.tolist())
        if not prompted:
            return None
        pixels = (sample.image.clamp(0, 1) * 255).round().to(torch.uint8)
        about = f"{_VERSION} {self.fingerprint} {tuple(pixels.shape)} {label.kind.name}"
        digest = hashlib.sha256(about.encode())
        for field in (pixels, label.points, label.boxes, label.kinds):
            digest.update(b"-" if field is None else field.cpu().numpy().tobytes())
        return digest.hexdigest()[:_KEY_DIGITS]

    def __getitem__(self, key: str) -> Candidates:
        """The candidates of a key; a ValueError names the file that is missing or damaged."""
        masks, quality = self.store.read(key)
        quality = quality.reshape(masks.shape[:2])
        return Candidates(torch.from_numpy(masks), torch.from_numpy(quality))

    def write_list(self, data: str, rows: range, keys: Keys) -> None:
        """Write down the keys of some images of the data set of fingerprint `data`."""
        atomic_write(self.list_path(data, rows), "".join(f"{key or '-'}\n" for key in keys))

    def read_list(self, data: str, rows: range) -> Keys | None:
        """The keys of some images; None where they were not written, or are damaged."""
        try:
            lines = self.list_path(data, rows).read_text(encoding="ascii").split("\n")
        except (FileNotFoundError, UnicodeDecodeError):
            return None
        whole = len(lines) == len(rows) + 1 and lines[-1] == ""
        return tuple(None if line == "-" else line for line in lines[:-1]) if whole else None

    def keys(self, dataset: Dataset) -> Keys:
        """The keys of all images; a ValueError where some have no candidates says the way out."""
        data, present = dataset.fingerprint(), {None, *self.store.keys()}
        lists = [self.read_list(data, rows) for rows in blocks_of(len(dataset))]
        missing = sum(keys is None or not present.issuperset(keys) for keys in lists)
        if missing:
            raise ValueError(
                f"{self.store.folder}: candidates of the teacher '{self.teacher}' are missing or "
                f"damaged in {missing} of {len(lists)} portions of this data set; `wsis teach` "
                "with the same images and labels makes them"
            )
        return tuple(key for keys in lists for key in keys or ())

    def list_path(self, data: str, rows: range) -> Path:
        """The file with the keys of some images of a data set."""
        return self.store.folder / f"data-{data[:16]}" / f"{rows.start:07d}.keys"


def _name(about: dict[str, Any]) -> str:
    return f"'{about['teacher']}', fingerprint {str(about['fingerprint'])[:12]}"
