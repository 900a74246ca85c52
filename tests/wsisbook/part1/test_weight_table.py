"""Numbers of weight space over the seeds of a row."""

import numpy as np
import pytest

from wsisbook.part1 import weight_table
from wsisbook.part1.weight_table import COLUMNS, summary_table, weight_numbers
from wsislib.data.world import World, WorldSpec
from wsislib.labels.splits import world_split

TABLE, ROW = "maskx-training", "transfer-end-to-end"


def test_seeds_that_were_run_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    world, split = World(WorldSpec(categories=20)), world_split(20, 8, seed=0)
    embedding = world.embedding().astype(np.float64)
    rows = embedding @ np.random.default_rng(0).normal(size=(64, 32))
    shown = {0: rows, 2: rows + 9.0 * split.mask_categories().numpy()[:, None]}
    monkeypatch.setattr(
        weight_table, "detection_weights", lambda t, r, seed, *rest: shown.get(seed)
    )
    found = weight_numbers(TABLE, ROW, split, world)
    assert list(found.index) == [0, 2] and list(found.columns) == list(COLUMNS)
    assert found.loc[2, "auc"] > 0.95 > found.loc[0, "auc"]
    assert found.loc[2, "reach"] > 2 * found.loc[0, "reach"]
    assert found.loc[0, "other"] > 0.8 > found.loc[2, "other"]
    text = summary_table({"with": found, "without": found.iloc[:0]})
    assert set(text.loc["without"]) == {"not run"}
    assert " ± " in text.loc["with", COLUMNS["auc"]]
