"""What the chapter on large vocabularies draws, from made-up runs with known numbers."""

from pathlib import Path

import numpy as np
import pytest

from wsisbook.experiments.large import QUARTERS
from wsisbook.part1.large_show import (
    LargeWorld,
    by_distance,
    by_frequency,
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
