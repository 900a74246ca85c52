"""Pictures of cases: one object, or two in one box, as several heads outline them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from torch import Tensor

from wsisbook.experiments.head_objects import Case, Pair
from wsisbook.part1.crops import Crop, crop_grid
from wsislib.data.sample import Dataset


def case_figure(cases: Sequence[Case], truth: Dataset, heads: Mapping[str, str]) -> Figure | str:
    """Return one line a case: the scene, the truth, each head's mask with its IoU below.

    Args:
        cases: in the order of the lines; "no case" is returned where there are none.
        truth: the validation data.
        heads: title -> head.
    """
    if not cases:
        return "no case"
    rows = []
    for case in cases:
        image = _image(truth, case)
        row = [Crop(image, case.box), Crop(image, case.box, [case.truth])]
        row += [
            Crop(image, case.box, [case.masks[head]], f"IoU {case.iou(head):.2f}")
            for head in heads.values()
        ]
        rows.append(row)
    names = [f"{truth.categories[case.category].name}\nseed {case.seed}" for case in cases]
    return crop_grid(rows, ["scene", "truth", *heads], names)


def pair_figure(pairs: Sequence[Pair], truth: Dataset, heads: Mapping[str, str]) -> Figure | str:
    """Return one line a pair: the scene, both true masks, both masks of each head.

    Below each head: how much its two masks overlap each other.

    Args:
        pairs: in the order of the lines; "no case" is returned where there are none.
        truth: the validation data.
        heads: title -> head.
    """
    if not pairs:
        return "no case"
    rows = []
    for pair in pairs:
        image, two = _image(truth, pair.first), (pair.first, pair.second)
        box = _around(pair.first.box, pair.second.box)
        row = [Crop(image, box), Crop(image, box, [case.truth for case in two])]
        row += [
            Crop(
                image, box, [case.masks[head] for case in two], f"in common {pair.alike(head):.0%}"
            )
            for head in heads.values()
        ]
        rows.append(row)
    names = [
        f"{truth.categories[pair.first.category].name}\n{truth.categories[pair.second.category].name}"
        for pair in pairs
    ]
    return crop_grid(rows, ["scene", "truth", *heads], names)


def _image(truth: Dataset, case: Case) -> Tensor:
    return truth[truth.image_ids.index(case.image_id)].image


def _around(first: Sequence[float], second: Sequence[float]) -> list[float]:
    low = [min(pair) for pair in zip(first[:2], second[:2], strict=True)]
    return low + [max(pair) for pair in zip(first[2:], second[2:], strict=True)]
