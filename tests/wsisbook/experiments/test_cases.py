"""Cases: who was found, by which rule, and what the heads drew there."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from wsisbook.experiments.head_objects import (
    Case,
    box_iou,
    case_frame,
    cases_of,
    of_categories,
    once_each,
    overlap,
    pairs_of,
)
from wsisbook.part1.gallery import case_figure, pair_figure
from wsislib.data.rle import encode_mask
from wsislib.data.sample import Category, Label, LabelKind, Sample

SIDE = 24


def rectangle(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    mask[y0:y1, x0:x1] = True
    return mask


@dataclass
class Scenes:
    """Two scenes: two objects of category 0 and one of 1 nearly in the first's box; then one."""

    categories = (Category(10, "ring"), Category(20, "disc"))
    image_ids = (7, 9)
    boxes = {
        7: [((2, 2, 10, 10), 0), ((14, 14, 22, 22), 0), ((3, 2, 11, 10), 1)],
        9: [((4, 4, 12, 12), 1)],
    }

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Sample:
        own = self.boxes[self.image_ids[index]]
        masks = torch.from_numpy(np.stack([rectangle(*box) for box, _ in own]))
        label = Label(
            LabelKind.MASK,
            torch.tensor([category for _, category in own]),
            boxes=torch.tensor([box for box, _ in own], dtype=torch.float32),
            masks=masks,
        )
        return Sample(torch.full((3, SIDE, SIDE), 0.5), self.image_ids[index], label)


def result(image: int, category: int, box: tuple, score: float, mask: np.ndarray | None) -> dict:
    x0, y0, x1, y1 = box
    mask = rectangle(*box) if mask is None else mask
    return {
        "image_id": image, "category_id": category, "bbox": [x0, y0, x1 - x0, y1 - y0],
        "score": score, "segmentation": encode_mask(mask),
    }  # fmt: skip


def found(*entries: tuple, masks: Mapping[int, np.ndarray] | None = None) -> list[dict]:
    return [result(*entry, (masks or {}).get(n)) for n, entry in enumerate(entries)]


FIRST, SECOND, OTHER = (2, 2, 10, 10), (14, 14, 22, 22), (3, 2, 11, 10)


def test_an_object_is_found_under_its_own_name_only() -> None:
    results = found((7, 10, FIRST, 0.9), (7, 20, SECOND, 0.8), (9, 20, FIRST, 0.7))
    (case,) = cases_of(Scenes(), {"head": results}, seed=3, scenes=2)
    assert (case.seed, case.image_id, case.instance, case.category) == (3, 7, 0, 0)
    assert case.box == FIRST and case.score == 0.9
    assert case.iou("head") == 1.0
    # The last one overlaps its object's box by 36 / 92 only.
    assert box_iou(FIRST, (4, 4, 12, 12)) == pytest.approx(36 / 92)


def test_the_better_score_takes_the_object_and_no_object_is_taken_twice() -> None:
    results = found((7, 10, (2, 2, 10, 9), 0.6), (7, 10, FIRST, 0.9), (7, 10, (1, 2, 10, 10), 0.5))
    (case,) = cases_of(Scenes(), {"head": results}, seed=0, scenes=2)
    assert case.score == 0.9


def test_scenes_beyond_the_first_are_left_out() -> None:
    results = found((9, 20, (4, 4, 12, 12), 0.9))
    assert len(cases_of(Scenes(), {"head": results}, 0, scenes=2)) == 1
    assert cases_of(Scenes(), {"head": results}, 0, scenes=1) == []
    assert cases_of(Scenes(), {"head": []}, 0, 2) == cases_of(Scenes(), {}, 0, 2) == []


def two_heads() -> list[Case]:
    entries = (7, 10, FIRST, 0.9), (7, 20, OTHER, 0.8)
    both = rectangle(2, 2, 11, 10)
    blind = found(*entries, masks={0: both, 1: both})
    return cases_of(Scenes(), {"blind": blind, "seeing": found(*entries)}, 0, 2)


def test_the_gain_is_the_difference_in_overlap_with_the_truth() -> None:
    first, second = two_heads()
    assert first.iou("blind") == pytest.approx(64 / 72)
    assert first.gain("blind", "seeing") == pytest.approx(1 - 64 / 72)
    frame = case_frame([first, second], ["blind", "seeing"])
    assert frame["seeing"].tolist() == [1.0, 1.0] and frame["category"].tolist() == [0, 1]
    assert of_categories([first, second], {1}) == [second]
    assert list(case_frame([], ["blind"]).columns)[-1] == "blind"


def test_a_head_that_does_not_know_the_category_draws_one_mask_for_two_objects() -> None:
    (pair,) = pairs_of(two_heads(), Scenes(), min_overlap=0.45)
    assert pair.boxes == pytest.approx(56 / 72)
    assert pair.alike("blind") == 1.0 and pair.alike("seeing") == pytest.approx(56 / 72)
    assert pairs_of(two_heads(), Scenes(), min_overlap=0.8) == []
    assert pairs_of(two_heads()[:1], Scenes(), min_overlap=0.1) == []


def test_each_object_is_shown_once_from_the_first_seed_that_found_it() -> None:
    results = {"head": found((7, 10, FIRST, 0.9))}
    seeds = [case for seed in (2, 0) for case in cases_of(Scenes(), results, seed, 2)]
    assert [case.seed for case in once_each(seeds)] == [2]
    assert pairs_of(seeds, Scenes(), 0.0) == [], "an object is no pair with itself"


def test_heads_of_two_runs_are_not_compared() -> None:
    one, other = found((7, 10, FIRST, 0.9)), found((7, 10, FIRST, 0.8))
    with pytest.raises(ValueError, match="'a' and 'b' have different detections"):
        cases_of(Scenes(), {"a": one, "b": other}, 0, 2)


def test_empty_masks_overlap_nothing() -> None:
    nothing = np.zeros((3, 3), dtype=bool)
    assert overlap(nothing, nothing) == 0.0 == box_iou((1, 1, 1, 1), (1, 1, 1, 1))


def test_pictures_name_what_they_show() -> None:
    heads = {"class-agnostic": "blind", "transfer": "seeing"}
    figure = case_figure(two_heads(), Scenes(), heads)
    assert [axes.get_title() for axes in figure.axes[:4]] == [
        "scene", "ground truth", "class-agnostic", "transfer",
    ]  # fmt: skip
    assert [axes.get_xlabel() for axes in figure.axes[2:4]] == ["IoU 0.89", "IoU 1.00"]
    assert figure.axes[4].get_ylabel() == "disc\nseed 0"
    pairs = pair_figure(pairs_of(two_heads(), Scenes(), 0.4), Scenes(), heads)
    assert [axes.get_xlabel() for axes in pairs.axes[2:]] == ["overlap 100%", "overlap 78%"]
    assert case_figure([], Scenes(), heads) == pair_figure([], Scenes(), heads) == "no case"
