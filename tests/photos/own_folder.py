"""A small folder of one's own and short trainings on it, for the tests of `wsis train`."""

import json
from pathlib import Path

from wsislib.data.world import WorldDataset, WorldSpec, export_coco
from wsislib.photos import commands as photos


def draw(place: Path, count: int = 6) -> Path:
    """A COCO-format folder of small scenes; returns the folder."""
    export_coco(WorldDataset(WorldSpec(categories=4, size=64), seed=0, count=count), place)
    return place


def train(folder: Path, out: Path, **changes: object) -> int:
    settings = {"steps": 2, "batch_size": 2, "image_side": (64, 64), "device": "cpu"}
    settings |= {"start": "scratch"} if "init" not in changes else {}
    annotations = changes.pop("annotations", folder / "annotations.json")
    return photos.train(annotations, out=out, **{**settings, **changes})


def edited(folder: Path, edit, name: str = "edited.json") -> Path:
    """A changed copy of the annotations, beside them."""
    document = json.loads((folder / "annotations.json").read_text())
    edit(document)
    (folder / name).write_text(json.dumps(document))
    return folder / name
