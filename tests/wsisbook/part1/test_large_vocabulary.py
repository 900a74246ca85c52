"""What the chapter on large vocabularies draws, from made-up runs with known numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsisbook.experiments.large import QUARTERS
from wsisbook.part1.large_vocabulary import (
    LargeWorld,
    Tile,
    benchmark_rows,
    by_distance,
    by_frequency,
    cost_figure,
    cut,
    fade,
    gallery_figure,
    gallery_tiles,
    large_world,
)
from wsisbook.reading import RowResults, open_study
from wsislib.atomic import write_json
from wsislib.data.rle import encode_mask

TABLE, ROW = "large-heads", "frequent"


def row(scale: str) -> RowResults:
    return open_study(scale)[TABLE, ROW]


@pytest.fixture(scope="module")
def large() -> LargeWorld:
    return large_world(row("smoke").config, steps=10)


def test_what_training_saw_of_a_category_is_its_share_of_all_boxes(large: LargeWorld) -> None:
    config = row("smoke").config
    boxes = sum(len(large.val[i].label) for i in range(len(large.val)))
    scenes = 10 * config.batch_size
    assert large.expected.sum() == pytest.approx(boxes / len(large.val) * scenes)
    assert np.argmax(large.expected) == np.argmax(large.world.table.frequency)
    assert len(large.a) == config.a_count and not large.distance[list(large.a)].any()
    ranked = np.argsort(-large.world.table.frequency)
    assert set(large.a) == set(ranked[: config.a_count].tolist())


def test_tiles_show_the_object_that_the_mask_belongs_to(large: LargeWorld) -> None:
    place, index = next(
        (p, i)
        for i in range(len(large.val))
        for p, c in enumerate(large.val[i].label.categories.tolist())
        if large.distance[c] > 0 and p > 0
    )
    label = large.val[index].label
    category = int(label.categories[place])
    x0, y0, x1, y1 = label.boxes[place].tolist()
    truth = label.masks[place].numpy()
    example = {
        "image_id": large.val.image_ids[index],
        "category_id": large.val.categories[category].id,
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "given": "box",
        "iou": 0.5,
        "segmentation": encode_mask(truth),
    }
    nothing = {**example, "segmentation": encode_mask(truth & False), "iou": 0.0}
    examples = [
        {**nothing, "head": "second"},
        {**example, "head": "first"},
        {**example, "head": "other"},
        {**example, "head": "first", "given": "nothing"},
    ]
    tiles = gallery_tiles(examples, large, ["first", "second"])
    assert list(tiles) == [int(large.distance[category])]
    (tile,) = next(iter(tiles.values()))
    assert tile.name == large.world.categories[category].name
    assert tile.overlaps == (0.5, 0.0)
    assert tile.truth.sum() == truth.sum(), "the cut must hold the whole object"
    assert np.array_equal(tile.masks[0], tile.truth) and not tile.masks[1].any()
    assert gallery_tiles([], large, ["first"]) == {}


def test_curves_are_means_over_seeds_at_known_places(
    large: LargeWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSIS_RESULTS", str(tmp_path))
    assert by_distance(row("lab"), {"head": "Head"}, "IoU") == []
    for seed in range(3):
        groups = {f"distance-{d}": {"IoU": 50 - 10 * d + seed} for d in (1, 2)}
        groups |= {name: {"IoU": 30.0 + i} for i, name in enumerate(QUARTERS)}
        file = tmp_path / "runs" / TABLE / ROW / f"seed-{seed}" / "metrics.json"
        write_json(file, {"head": {"groups": groups}})
    (line,) = by_distance(row("lab"), {"head": "Head", "none": "None"}, "IoU")
    assert (line.name, list(line.x), list(line.y)) == ("Head", [1, 2], [41, 31])
    assert list(line.spread) == [1, 1]
    (line,) = by_frequency(row("smoke"), {"head": "Head"}, "IoU", large.expected)
    assert list(line.y) == [30, 31, 32, 33] and list(line.spread) == [0] * 4
    assert list(line.x) == sorted(line.x) and line.x[0] < line.x[-1]
    assert 4 * sum(line.x) == pytest.approx(
        4 * np.mean(np.delete(large.expected, large.a)) * 4, rel=0.02
    )


def tile(name: str = "amber star, rim", count: int = 2) -> Tile:
    generator = np.random.default_rng(0)
    pixels = generator.random((12, 12, 3)).astype(np.float32)
    masks = tuple(generator.random((12, 12)) < 0.5 for _ in range(count))
    truth = np.zeros((12, 12), dtype=bool)
    truth[3:9, 4:10] = True
    return Tile(name, pixels, truth, masks, tuple(0.25 * k for k in range(count)))


@settings(max_examples=40, deadline=None)
@given(
    x=st.floats(0, 90), y=st.floats(0, 60), w=st.floats(1, 40), h=st.floats(1, 40),
    margin=st.floats(0, 0.6),
)  # fmt: skip
def test_a_cut_is_a_square_inside_the_image_that_holds_the_box(
    x: float, y: float, w: float, h: float, margin: float
) -> None:
    pixels = np.zeros((100, 130, 3), dtype=np.float32)
    rows, columns = cut(pixels, (x, y, w, h), margin)
    side = rows.stop - rows.start
    assert side == columns.stop - columns.start >= 1
    assert rows.start >= 0 and rows.stop <= 100 and columns.start >= 0 and columns.stop <= 130
    if side < 100:
        assert rows.start <= y + 1 and y + h <= rows.stop + 1
        assert columns.start <= x + 1 and x + w <= columns.stop + 1


def test_what_is_outside_a_mask_is_dark_and_grey() -> None:
    one = tile()
    faded = fade(one.pixels, one.masks[0])
    assert np.array_equal(faded[one.masks[0]], one.pixels[one.masks[0]])
    outside = faded[~one.masks[0]]
    assert np.ptp(outside, axis=1).max() < 1e-6
    assert np.allclose(outside[:, 0], 0.4 * one.pixels[~one.masks[0]].mean(axis=1), atol=1e-6)


def test_every_tile_shows_its_truth_and_all_masks() -> None:
    figure = gallery_figure([tile("a"), tile("b, c"), tile("d")], ["one", "two"], across=2)
    shown = [axes for axes in figure.axes if axes.images]
    assert len(shown) == 9
    texts = [text.get_text() for axes in shown for text in axes.texts]
    assert texts == ["0", "25"] * 3
    titles = [axes.get_title() for axes in shown]
    assert titles == ["", "one", "two", "", "one", "two", "", "", ""]
    names = [axes.get_title(loc="left") for axes in shown[::3]]
    assert names == ["a", "b\nc", "d"]
    assert len(figure._repr_png_()) > 1000


ROWS = [
    {"subject": s, "categories": c, "seconds_ratio": c / 80 * k, "peak_ratio": 1.0 + k}
    for k, s in enumerate(("step", "prediction"), start=1)
    for c in (3000, 80, 300)
]


def test_each_subject_is_a_line_in_order_of_size() -> None:
    figure = cost_figure(ROWS)
    time, memory = figure.axes
    assert [line.get_label() for line in time.get_lines()] == ["step", "prediction"]
    assert list(time.get_lines()[1].get_xdata()) == [80, 300, 3000]
    assert list(time.get_lines()[1].get_ydata()) == pytest.approx([2.0, 7.5, 75.0])
    assert list(memory.get_lines()[0].get_ydata()) == [2.0, 2.0, 2.0]
    assert (time.get_title(), memory.get_title()) == ("time", "peak memory")
    assert len(figure._repr_png_()) > 1000


def test_a_benchmark_that_was_not_run_has_no_rows() -> None:
    assert benchmark_rows("no-such-benchmark") == ([], "benchmark no-such-benchmark was not run")
    rows, machine = benchmark_rows("maskx_cpu")
    assert rows and "torch" in machine
