"""A teacher's candidates on disk, found again by what they depend on and by nothing else.

What a frozen teacher makes of a label depends on the teacher, the image and the points or boxes.
The key of an image's candidates is a digest of these three, so a changed image or label makes only
its own candidates anew, and two data sets that share images and labels share candidates. A cache
is of one teacher. Beside the candidates stands, for each data set that was taught, the list of its
images' keys, so that nobody has to read the images again to find them.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from wsislib.atomic import atomic_write, read_json, write_json
from wsislib.data.sample import Candidates, Dataset, LabelKind, Sample
from wsislib.teacher.candidate_codec import unpack_candidates
from wsislib.teacher.candidate_shards import KEY_BYTES, CandidateShards

# Raised when, and only when, the same teacher, image and label give other candidates.
_VERSION = 1
BLOCK = 64  # images whose candidates make a shard, and whose keys stand in one list
_NOTHING = "-"  # instead of a key: the image has no points or boxes to teach from

Keys = tuple[bytes | None, ...]


class TeacherCache:
    """Candidates of one teacher in one folder; any number of processes may read and add.

    Attributes:
        folder: where it lies.
        teacher: the teacher's name, for records.
        fingerprint: of the teacher's weights.
    """

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
        self.folder = Path(folder)
        about = self._about(fingerprint, teacher)
        self.teacher, self.fingerprint = str(about["teacher"]), str(about["fingerprint"])
        self._shards = CandidateShards(self.folder)

    def _about(self, fingerprint: str | None, teacher: str) -> dict[str, Any]:
        path = self.folder / "about.json"
        if not path.exists():
            if fingerprint is None:
                raise ValueError(f"{self.folder}: no teacher's cache here; `wsis teach` makes one")
            what = "a teacher's candidates; made again when deleted"
            new = {"version": _VERSION, "teacher": teacher, "fingerprint": fingerprint}
            write_json(path, {"what": what, **new})
        about: Any = read_json(path)
        keys = {"version", "teacher", "fingerprint"}
        if not isinstance(about, dict) or not keys <= set(about) or about["version"] != _VERSION:
            raise ValueError(f"{path}: not a cache of this version; delete it or use a new folder")
        if fingerprint is not None and about["fingerprint"] != fingerprint:
            raise ValueError(
                f"{self.folder}: this cache is of another teacher ({_name(about)}, wanted "
                f"{_name({'teacher': teacher, 'fingerprint': fingerprint})}); use a new folder, or "
                "the teacher that it was made with"
            )
        return about

    def key(self, sample: Sample) -> bytes | None:
        """What an image's candidates are found by; None where its label asks for none.

        Labels of points and of boxes, of whose entries some may carry more, ask for candidates,
        and so do points and boxes beside tags; tags cannot, and where every entry has its mask
        there is no need. The image enters as the 8 bits a channel that a teacher sees.
        """
        label = sample.label
        asked = label.kind in (LabelKind.POINT, LabelKind.BOX)
        if label.kind == LabelKind.TAG and label.kinds is not None:
            dear = (label.kinds == int(LabelKind.POINT)) | (label.kinds == int(LabelKind.BOX))
            asked = bool(dear.any())
        if not asked:
            return None
        pixels = (sample.image.clamp(0, 1) * 255).round().to(torch.uint8)
        about = f"{_VERSION} {self.fingerprint} {tuple(pixels.shape)} {label.kind.name}"
        digest = hashlib.sha256(about.encode())
        for field in (pixels, label.points, label.boxes, label.kinds):
            digest.update(b"-" if field is None else field.cpu().numpy().tobytes())
        return digest.digest()[:KEY_BYTES]

    def __contains__(self, key: bytes) -> bool:
        return key in self._shards

    def __getitem__(self, key: bytes) -> Candidates:
        """The candidates of a key.

        Raises:
            ValueError: they were damaged since the cache was opened; names the file.
        """
        masks, quality = unpack_candidates(self._shards[key])
        return Candidates(torch.from_numpy(masks), torch.from_numpy(quality))

    def add(self, packed: Mapping[bytes, bytes]) -> None:
        """Keep packed candidates under their keys, as one shard."""
        self._shards.add(packed)

    def mend(self) -> None:
        """Look for what others have added, and remove damaged shards, with a warning for each."""
        self._shards.refresh()
        for path in self._shards.remove_damaged():
            warnings.warn(f"{path}: damaged; what it held is made again", stacklevel=2)

    @staticmethod
    def blocks(dataset: Dataset) -> tuple[range, ...]:
        """The images of a data set in portions, as indices."""
        count = len(dataset)
        return tuple(range(i, min(i + BLOCK, count)) for i in range(0, count, BLOCK))

    def note(self, data: str, rows: range, keys: Keys) -> None:
        """Write down the keys of some images of the data set of fingerprint `data`."""
        text = "".join(f"{_NOTHING if key is None else key.hex()}\n" for key in keys)
        atomic_write(self._list(data, rows), f"{_digest(text)}\n{text}")

    def noted(self, data: str, rows: range) -> Keys | None:
        """The keys of some images; None where they or their candidates have still to be made."""
        try:
            written = self._list(data, rows).read_text(encoding="ascii")
        except (FileNotFoundError, UnicodeDecodeError):
            return None
        digest, _, text = written.partition("\n")
        lines = text.splitlines()
        if digest != _digest(text) or len(lines) != len(rows):
            return None
        keys = tuple(None if line == _NOTHING else bytes.fromhex(line) for line in lines)
        return keys if all(key is None or key in self for key in keys) else None

    def keys(self, dataset: Dataset) -> Keys:
        """The keys of all images of a data set.

        Raises:
            ValueError: not all of it was taught; says how much and the way out.
        """
        data = dataset.fingerprint()
        lists = [self.noted(data, rows) for rows in self.blocks(dataset)]
        missing = sum(found is None for found in lists)
        if missing:
            raise ValueError(
                f"{self.folder}: candidates of the teacher '{self.teacher}' are missing or damaged "
                f"in {missing} of {len(lists)} portions of this data set; `wsis teach` with the "
                "same images and labels makes them"
            )
        return tuple(key for found in lists if found is not None for key in found)

    def amount(self, keys: Keys) -> tuple[int, int]:
        """How many instances the candidates of `keys` are for, and their bytes on disk."""
        there = {key for key in keys if key is not None and key in self}
        instances = sum(self._shards.instances(key) for key in there)
        lists = len(keys) * (2 * KEY_BYTES + 1)
        return instances, lists + sum(self._shards.stored_bytes(key) for key in there)

    def _list(self, data: str, rows: range) -> Path:
        return self.folder / f"data-{data[:16]}" / f"{rows.start // BLOCK:05d}.txt"


def _name(about: Mapping[str, object]) -> str:
    return f"'{about['teacher']}', fingerprint {str(about['fingerprint'])[:12]}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()
