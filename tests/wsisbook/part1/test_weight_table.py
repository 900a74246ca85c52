"""Numbers of weight space over the seeds of a row."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
from safetensors.numpy import save_file

from wsisbook.part1.weight_table import COLUMNS, summary_table, weight_numbers
from wsislib.data.world import World, WorldSpec
from wsislib.labels.splits import world_split


def test_seeds_that_were_run_are_measured(tmp_path: Path) -> None:
    world, split = World(WorldSpec(categories=20)), world_split(20, 8, seed=0)
    embedding = world.embedding().astype(np.float64)
    rows = embedding @ np.random.default_rng(0).normal(size=(64, 32))
    shown = {0: rows, 2: rows + 9.0 * split.mask_categories().numpy()[:, None]}
    for seed, own in shown.items():
        (tmp_path / str(seed)).mkdir()
        kept = {"cls": np.concatenate([own[:1], own])}  # the first row is of background
        save_file(kept, tmp_path / str(seed) / "detection_weights.safetensors")
    row = SimpleNamespace(seeds=(0, 1, 2), folder=lambda seed: tmp_path / str(seed))
    found = weight_numbers(row, split, world)
    assert list(found.index) == [0, 2] and list(found.columns) == list(COLUMNS)
    assert found.loc[2, "auc"] > 0.95 > found.loc[0, "auc"]
    assert found.loc[2, "reach"] > 2 * found.loc[0, "reach"]
    assert found.loc[0, "other"] > 0.8 > found.loc[2, "other"]
    text = summary_table({"with": found, "without": found.iloc[:0]})
    assert set(text.loc["without"]) == {"not run"}
    assert " ± " in text.loc["with", COLUMNS["auc"]]
