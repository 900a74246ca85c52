"""A user's own data on the way in: where it is, whether it is sound, whether it fits the model."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from wsislib.atomic import read_json
from wsislib.data.photographs.coco import CocoDataset
from wsislib.data.photographs.validate import check_coco
from wsislib.data.photographs.validate_report import require_trainable
from wsislib.data.sample import Dataset
from wsislib.photos.recipe import Recipe


def image_root(annotations: Path, images: Path | None) -> Path:
    """The folder of the images.

    Raises:
        ValueError: it was not given and is not beside the annotations.
    """
    root = images or annotations.parent / "images"
    if not root.is_dir():
        raise ValueError(f"{root}: no such image folder; say where the images are with --images")
    return root


def require_valid(annotations: Path, root: Path) -> None:
    """Validate the whole data set; refuse with the validator's report."""
    require_trainable(check_coco(annotations, root, progress=True))


def read_photographs(annotations: Path, root: Path, first: int | None) -> CocoDataset:
    """The data set, or the first N of its images that have instances."""
    dataset = CocoDataset(annotations, root)
    if first is None:
        return dataset
    if first < 1:
        raise ValueError(f"--first is {first}; it must be 1 or more")
    labelled = (i for place, i in enumerate(dataset.image_ids) if len(dataset[place].label))
    return CocoDataset(annotations, root, image_ids=list(islice(labelled, first)))


def require_same_categories(dataset: Dataset, recipe: Recipe, annotations: Path) -> None:
    """Raise where the file's categories are not those that the model knows."""
    known, found = set(recipe.categories), {(c.id, c.name) for c in dataset.categories}
    if known != found:
        odd = sorted(known ^ found)[:5]
        raise ValueError(
            f"{annotations}: its categories are not those the model was trained on; they differ "
            f"in {odd}. Give both files the same list of categories (ids and names)."
        )


def ids_by_name(files: list[Path], annotations: Path | None) -> list[int] | None:
    """Image ids by file name, from an annotation file.

    Raises:
        ValueError: a file is not in it.
    """
    if annotations is None:
        return None
    by_name = {Path(r["file_name"]).name: r["id"] for r in read_json(annotations)["images"]}
    strange = [file.name for file in files if file.name not in by_name]
    if strange:
        raise ValueError(f"{annotations}: has no image called {strange[0]!r} ({len(strange)} such)")
    return [by_name[file.name] for file in files]
