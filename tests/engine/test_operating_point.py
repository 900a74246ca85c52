"""How many objects are found at a score where half of what is predicted is right."""

import numpy as np
import pytest

from wsislib.data.rle import encode_mask
from wsislib.engine.operating_point import operating_point


def code(column: int) -> dict:
    mask = np.zeros((20, 100), dtype=bool)
    mask[:, column : column + 10] = True
    return encode_mask(mask)


def truth(*columns: int, crowd: tuple[int, ...] = ()) -> dict:
    entries = [
        {"image_id": 1, "category_id": 3, "segmentation": code(c), "iscrowd": int(c in crowd)}
        for c in columns
    ]
    return {"annotations": entries}


def result(column: int, score: float, category: int = 3) -> dict:
    return {"image_id": 1, "category_id": category, "segmentation": code(column), "score": score}


def test_the_lowest_score_that_is_right_half_of_the_time() -> None:
    given = [result(0, 0.9), result(50, 0.8), result(70, 0.7), result(20, 0.6), result(80, 0.5)]
    point = operating_point(truth(0, 20, 40, 60), given)
    # 0 and 20 are right, 50 and 70 are not, with an overlap of nothing; 4 predictions, 2 right.
    assert point == {"recall": 0.5, "precision": 0.5, "score": 0.6}


def test_an_object_is_found_once_and_categories_are_apart() -> None:
    twice = operating_point(truth(0), [result(0, 0.9), result(1, 0.8)])
    assert twice["recall"] == 1.0
    assert twice["precision"] == pytest.approx(0.5)
    other = operating_point(truth(0), [result(0, 0.9, category=4)])
    assert other == {"recall": 0.0, "precision": 0.0, "score": 0.0}


def test_crowds_nothing_and_nobody() -> None:
    assert operating_point(truth(0, 20, crowd=(20,)), [result(0, 0.9)])["recall"] == 1.0
    assert operating_point(truth(0), [])["recall"] == 0.0
    assert operating_point(truth(), [result(0, 0.9)])["recall"] == 0.0
