from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsislib.data.sample import LabelKind
from wsislib.labels.budget import (
    Mix,
    cost,
    draw_kinds,
    equal_cost_mixes,
    mix_for_budget,
    parse_mix,
)
from wsislib.labels.prices import Prices

TAG, POINT, BOX, MASK = LabelKind
VOC = 10_582  # images of VOC 2012 trainaug; WISH's budget


def test_the_default_prices_are_those_of_the_paper_and_of_our_derivation() -> None:
    prices = Prices()
    assert [prices.of(kind) for kind in (TAG, POINT, BOX)] == [1, 6, 12]
    assert prices.of(MASK) == 136
    assert abs(prices.of(MASK) - 12 * 79.2 / 7) < 0.5
    assert Prices(mask=65).of(MASK) == 65
    for wrong in (0, -1, math.nan, math.inf):
        with pytest.raises(ValueError, match="price of a mask"):
            Prices(mask=wrong)


def test_the_published_mixes_cost_the_same_budget() -> None:
    costs = {
        text: cost(parse_mix(text)) for text in ("10582 tags", "882 boxes", "5290 tags + 441 boxes")
    }
    assert costs == {"10582 tags": 10582, "882 boxes": 10584, "5290 tags + 441 boxes": 10582}


def test_the_budget_of_the_paper_gives_its_counts_exactly() -> None:
    assert mix_for_budget(VOC, {TAG: 1}) == Mix(tags=10_582)
    assert mix_for_budget(VOC, {BOX: 1}) == Mix(boxes=882)
    assert mix_for_budget(VOC, {TAG: 0.5, BOX: 0.5}) == Mix(tags=5_290, boxes=441)


def test_the_counts_of_the_rows_without_published_numbers() -> None:
    """Counts inferred from the prices; rounding may move one by an image."""
    inferred = {
        "points": (0, 1_763, 0),
        "tags-points": (5_291, 882, 0),
        "points-boxes": (0, 882, 441),
        "tags-points-boxes": (3_527, 588, 294),
    }
    mixes = equal_cost_mixes(VOC)
    assert set(mixes) == {*inferred, "tags", "boxes", "tags-boxes"}
    for name, counts in inferred.items():
        ours = (mixes[name].tags, mixes[name].points, mixes[name].boxes)
        assert all(abs(a - b) <= 1 for a, b in zip(ours, counts, strict=True)), (name, ours)


@settings(max_examples=80, deadline=None)
@given(
    budget=st.integers(500, 100_000),
    parts=st.dictionaries(st.sampled_from(list(LabelKind)), st.integers(1, 9), min_size=1),
)
def test_a_mix_misses_its_budget_by_half_the_cheapest_label_at_most(budget, parts) -> None:
    total = sum(parts.values())
    shares = {kind: part / total for kind, part in parts.items()}
    prices = Prices()
    try:
        mix = mix_for_budget(budget, shares, prices)
    except ValueError as error:
        assert "buys no image" in str(error)
        return
    cheapest = min(prices.of(kind) for kind in parts)
    assert abs(cost(mix, prices) - budget) <= cheapest / 2
    for kind, share in shares.items():
        if prices.of(kind) > cheapest:
            assert abs(mix.count(kind) * prices.of(kind) - share * budget) <= prices.of(kind) / 2


@pytest.mark.parametrize(
    ("text", "mix"),
    [
        ("5290 tags + 441 boxes", Mix(tags=5290, boxes=441)),
        ("10,582 tags", Mix(tags=10_582)),
        ("1 mask+2 Points", Mix(masks=1, points=2)),
        (" 0 tags + 1 box ", Mix(boxes=1)),
    ],
)
def test_mixes_are_read_and_written(text: str, mix: Mix) -> None:
    assert parse_mix(text) == mix
    assert parse_mix(str(mix)) == mix


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("5 boxs", "did you mean 'boxes'"),
        ("5 scribbles", "unknown kind 'scribbles'"),
        ("-5 tags", "-5 tags; a count is 0 or more"),
        ("5 tags + 6 tags", "named twice"),
        ("tags", "cannot read 'tags'"),
        ("5 tags +", "cannot read ''"),
        ("1.5 tags", "cannot read '1.5 tags'"),
        ("", "cannot read ''"),
        ("0 tags", "mix of no images"),
    ],
)
def test_unreadable_mixes_say_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_mix(text)


def test_wrong_counts_and_shares_are_refused() -> None:
    for wrong in (-1, 1.5, True):
        with pytest.raises(ValueError, match="a count is a whole number"):
            Mix(tags=wrong)
    with pytest.raises(ValueError, match="shares sum to 0.9; they must sum to 1"):
        mix_for_budget(VOC, {TAG: 0.5, BOX: 0.4})
    with pytest.raises(ValueError, match="share of BOX is -0.5"):
        mix_for_budget(VOC, {TAG: 1.5, BOX: -0.5})
    with pytest.raises(ValueError, match="unknown kind 7"):
        mix_for_budget(VOC, {7: 1.0})
    with pytest.raises(ValueError, match="budget is 0"):
        mix_for_budget(0, {TAG: 1})
    with pytest.raises(ValueError, match="50% of it buys no image of kind MASK at 136"):
        mix_for_budget(100, {TAG: 0.5, MASK: 0.5})


def test_a_draw_labels_as_many_images_as_the_mix_says() -> None:
    kinds = draw_kinds(Mix(tags=20, points=5, boxes=3, masks=2), 50, seed=0)
    assert [kinds.count(kind) for kind in LabelKind] == [20, 5, 3, 2]
    assert kinds.count(None) == 20
    assert kinds == draw_kinds(Mix(tags=20, points=5, boxes=3, masks=2), 50, seed=0)
    assert kinds != draw_kinds(Mix(tags=20, points=5, boxes=3, masks=2), 50, seed=1)


def test_boxes_of_a_small_mix_are_among_those_of_a_larger_one() -> None:
    small = draw_kinds(Mix(tags=30, boxes=10), 60, seed=5)
    large = draw_kinds(Mix(boxes=20), 60, seed=5)
    assert {i for i, kind in enumerate(small) if kind == BOX} < {
        i for i, kind in enumerate(large) if kind == BOX
    }


def test_every_image_is_drawn_equally_often() -> None:
    counts = [0] * 10
    for seed in range(400):
        for i, kind in enumerate(draw_kinds(Mix(boxes=3), 10, seed)):
            counts[i] += kind == BOX
    assert min(counts) > 80, counts  # 120 expected, 9.2 standard deviation
    assert max(counts) < 160, counts


def test_a_draw_of_more_images_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match="6 tags . 5 boxes are 11 images, the data set has 10"):
        draw_kinds(Mix(tags=6, boxes=5), 10, seed=0)
    with pytest.raises(ValueError, match="seed is -1"):
        draw_kinds(Mix(tags=6), 10, seed=-1)
