"""Has a training learnt nothing, though every number of it was finite?

Signs that are cheap and seldom wrong: no loss has fallen since the start; and, of a few images that
were trained on, the model finds nothing at all, none of the objects, or one and the same category
where labels have several.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from torch import nn
from torchvision.ops import box_iou

from wsislib.atomic import read_json
from wsislib.data.sample import Dataset, LabelKind, Model, Sample
from wsislib.engine.history import Row
from wsislib.engine.side_effects import preserve_modes

_ROWS = 10  # of a loss in the history at least, before it says anything
_FALL = 0.97  # of a loss from the first rows to the last, at least
_IMAGES = 8
_LOWEST = 0.05  # score of a detection that counts
_OVERLAP = 0.3  # IoU of a box with a labelled one that counts as found
_OBJECTS = 8  # with boxes at least, before it says that none is found
_SHARE = 0.8  # of the labels that one category may have, where one alone is found


def training_warnings(folder: Path) -> list[str]:
    """What was said at the end of the training in `folder`."""
    path = folder / "warnings.json"
    return [str(line) for line in read_json(path)] if path.is_file() else []


def look_back(
    network: nn.Module,
    dataset: Dataset,
    rows: Sequence[Row],
    device: torch.device | str,
    began_new: bool,
) -> list[str]:
    """What is to be said at the end of a training that has learnt nothing; else nothing.

    `began_new` is False where the weights were one's own already: their losses may stay as they
    are. Other arguments as of the two functions below.
    """
    flat = flat_losses(rows) if began_new else None
    steps = int(rows[-1]["step"]) if rows else 0
    said = (flat, empty_predictions(network, dataset, device, steps))
    return [sentence for sentence in said if sentence]


def flat_losses(rows: Sequence[Row]) -> str | None:
    """A sentence where no loss has fallen over a whole training; None where one has.

    Of each loss the first tenth of its rows is compared with the last third. Rows where it is 0 are
    left out, as some begin late; one that then has few rows says nothing.
    """
    falls = []
    for name in sorted({name for row in rows for name in row if name.startswith("loss_")}):
        values = [row[name] for row in rows if row.get(name, 0.0) > 0]
        if len(values) >= _ROWS:
            then, now = values[: len(values) // 10], values[-(len(values) // 3) :]
            falls.append(sum(now) / len(now) <= _FALL * sum(then) / len(then))
    if not falls or any(falls):
        return None
    return (
        "no loss has fallen since the first steps: nothing was learnt. Try another "
        "--learning-rate (five times lower, then five times higher), and see whether --first 8 "
        "can be learnt at all"
    )


@torch.no_grad()
def empty_predictions(
    network: nn.Module, dataset: Dataset, device: torch.device | str, steps: int
) -> str | None:
    """A sentence where predictions on a few training images are empty, wrong or of one category.

    Args:
        network: obeys `Model`; on `device`.
        dataset: that it was trained on.
        device: of the network.
        steps: that it was trained for, to be said.
    """
    samples = _some_with_objects(dataset)
    if not samples:
        return None
    model = cast(Model, network)
    with preserve_modes(network, False):
        found = [model.predict([sample.image.to(device)])[0] for sample in samples]
    asked = f"on {len(samples)} of the images that it was trained on for {steps} steps"
    trusted, labelled, hits, boxed = [], [], 0, 0
    for sample, detections in zip(samples, found, strict=True):
        filled = detections.masks.flatten(1).any(1) & (detections.scores >= _LOWEST)
        # As many as there are objects: a weak tail of other categories is no sign of life.
        trusted.append(detections.categories[filled][: len(sample.label)].cpu())
        labelled.append(sample.label.categories)
        with_box = sample.label.entry_kinds >= int(LabelKind.BOX)
        if sample.label.boxes is not None and bool(with_box.any()):
            best = detections.boxes[filled][: len(sample.label)].cpu()
            overlaps = box_iou(sample.label.boxes[with_box], best)
            hits += int((overlaps > _OVERLAP).any(1).sum())
            boxed += int(with_box.sum())
    seen, true = torch.cat(trusted), torch.cat(labelled)
    if not len(seen):
        return (
            f"the model finds nothing {asked}. Train longer (--steps), or try another "
            "--learning-rate"
        )
    if boxed >= _OBJECTS and hits == 0:
        return (
            f"the model finds none of {boxed} objects {asked}. Train longer (--steps), or look "
            "whether labels and pictures belong together (`wsis data check`)"
        )
    largest = int(true.bincount().max()) / len(true)
    if min(len(seen), len(samples)) >= 4 and len(seen.unique()) == 1 and largest <= _SHARE:
        name = dataset.categories[int(seen[0])].name
        return (
            f"the model finds nothing but '{name}' {asked}, whose labels name "
            f"{len(true.unique())} categories. Train longer (--steps), or try another "
            "--learning-rate"
        )
    return None


def _some_with_objects(dataset: Dataset) -> list[Sample]:
    """Some images with objects, spread over the data set."""
    places = range(0, len(dataset), max(1, len(dataset) // (2 * _IMAGES)))
    samples: list[Sample] = []
    for place in places:
        sample = dataset[place]
        if len(sample.label) and len(samples) < _IMAGES:
            samples.append(sample)
    return samples
