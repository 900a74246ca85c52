"""Photographs without labels, for prediction."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from wsislib.data.images import IMAGE_SUFFIXES, image_tensor, read_image
from wsislib.data.sample import Category, Label, LabelKind, Sample


def find_images(places: Sequence[Path]) -> list[Path]:
    """Image files among `places`, folders searched one level deep, in the order of their names.

    Raises ValueError where a place does not exist, a folder holds no image, or nothing is left.
    """
    files = [file for place in places for file in _images_at(place)]
    if not files:
        raise ValueError("no image was named; give image files or folders of them")
    return list(dict.fromkeys(files))


def _images_at(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
        return
    if not place.is_dir():
        raise ValueError(f"{place}: no such file or folder")
    inside = sorted(f for f in place.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES)
    if not inside:
        raise ValueError(
            f"{place}: holds no image (looked for {', '.join(sorted(IMAGE_SUFFIXES))})"
        )
    yield from inside


class ImageFolder:
    """Unlabelled image files as a data set; every label is an empty TAG label.

    `categories` are those of the model, `ids` the image id per file (1, 2, ... if not given).
    """

    def __init__(
        self,
        files: Sequence[Path],
        categories: tuple[Category, ...],
        ids: Sequence[int] | None = None,
    ) -> None:
        self.files = tuple(files)
        self.categories = categories
        self.image_ids = tuple(ids) if ids is not None else tuple(range(1, len(files) + 1))
        if len(self.image_ids) != len(self.files):
            raise ValueError(f"{len(self.image_ids)} ids for {len(self.files)} files")

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Sample:
        """The image at `index`; raises ImageReadError naming a file that cannot be read."""
        image = image_tensor(read_image(self.files[index]))
        nothing = Label(LabelKind.TAG, torch.zeros(0, dtype=torch.int64))
        return Sample(image, self.image_ids[index], nothing)

    def records(self) -> list[dict]:
        """COCO image records without sizes: id and file name."""
        pairs = zip(self.image_ids, self.files, strict=True)
        return [{"id": id, "file_name": file.name} for id, file in pairs]

    def ground_truth(self) -> dict:
        """COCO dictionary without annotations."""
        categories = [{"id": c.id, "name": c.name} for c in self.categories]
        return {"images": self.records(), "annotations": [], "categories": categories}

    def fingerprint(self) -> str:
        """Digest of ids and file contents."""
        digest = hashlib.sha256()
        for id, file in zip(self.image_ids, self.files, strict=True):
            digest.update(f"{id}\0{file.name}\0".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        return digest.hexdigest()
