"""Many splits in one run: which heads there are, what they are judged on, what is made of it."""

import json
import math
from pathlib import Path

import pytest

from tests.engine.coco_reference import perfect_results
from wsisbook.experiments.mask_heads import split_of
from wsisbook.experiments.partial_data import instances_by_category
from wsisbook.experiments.random_splits import (
    SmallResult,
    judge_splits,
    relative_gain,
    splits_of,
    summary,
)
from wsisbook.experiments.settings import RandomSplitsConfig
from wsisbook.runs.config import config_from
from wsisbook.runs.declared import RunKey
from wsisbook.runs.run import execute
from wsisbook.runs.spec import load_study
from wsisbook.runs.store import RunStore
from wsisbook.tables.tables import Results
from wsislib.data.world import WorldDataset, WorldSpec
from wsislib.labels.splits import (
    RANDOM_SPLIT_SIZES,
    RANDOM_SPLIT_TRIALS,
    make_split,
    random_splits,
)

STUDY = """
experiments:
  mask_rcnn: wsisbook.experiments.settings:MASK_RCNN
  random_splits: wsisbook.experiments.settings:RANDOM_SPLITS
scales:
  smoke: {seeds: [0]}
tables:
  detectors:
    title: Detectors
    experiment: mask_rcnn
    columns: {AP: {metric: bbox.all.AP, title: AP}}
    settings: {stage: detector, masks: none}
    scales:
      smoke: &smoke
        categories: 6
        a_count: 3
        train_count: 8
        val_count: 3
        steps: 2
        batch_size: 4
        precision: float32
        log_every: 1
    rows:
      shared: {title: detector}
  splits:
    title: Splits
    experiment: random_splits
    columns: {instances: {metric: instances, title: instances}}
    scales: {smoke: *smoke}
    rows:
      all:
        title: all
        needs: {detector: {table: detectors, row: shared}}
        change: {draw: world, sizes: [2, 4], trials: 2, regions: 8}
      few: {title: few, view: {table: splits, row: all, prefix: few-instances}}
"""


def test_the_papers_splits_give_fifty_heads_that_know_their_split() -> None:
    config = config_from(RandomSplitsConfig, {}, "row")
    specs, splits = config.specs(), splits_of(config, 80)
    assert len(specs) == 50
    assert {s.name: s for s in splits.values()} == {s.name: s for s in random_splits()}
    for name, split in splits.items():
        for kind in ("class-agnostic", "transfer"):
            spec = specs[f"{name}-{kind}"]
            assert (spec.kind, spec.masks, spec.mlp_layers) == (kind, "A", 0)
            assert split_of(spec, config, 80) == split
        assert specs[f"{name}-transfer"].inputs == "cls+box"
        assert specs[f"{name}-transfer"].layers == 2


def test_splits_of_another_world_are_drawn_by_trial() -> None:
    config = config_from(RandomSplitsConfig, {"draw": "world", "sizes": [2, 3], "trials": 3}, "row")
    splits = splits_of(config, 6)
    assert [len(split.a) for split in splits.values()] == [2, 3] * 3
    assert len({split.a for split in splits.values()}) > 3
    for name, split in splits.items():
        assert split_of(config.specs()[f"{name}-transfer"], config, 6) == split


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"heads": {"a": {}}}, "heads follow from `sizes` and `trials`"),
        ({"sizes": []}, "sizes are ..; give different sizes"),
        ({"sizes": [20, 20]}, r"sizes are .20, 20.; give different sizes"),
        ({"trials": 0}, "trials is 0; it must be 1 or more"),
        ({"clip_norm": 1.0}, "clip_norm is 1.0; heads side by side are trained without"),
    ],
)
def test_wrong_settings_are_named(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config_from(RandomSplitsConfig, settings, "row")


def test_splits_that_do_not_fit_the_data_are_refused() -> None:
    with pytest.raises(ValueError, match="80 categories, the data set 6"):
        splits_of(RandomSplitsConfig(), 6)
    with pytest.raises(ValueError, match="unknown split 'random-10-trial-1'"):
        splits_of(RandomSplitsConfig(sizes=(10,)), 80)
    with pytest.raises(ValueError, match="split random-6-trial-1: A holds all 6 categories"):
        splits_of(RandomSplitsConfig(draw="world", sizes=(6,)), 6)


def test_the_defaults_are_the_authors_sizes_and_trials() -> None:
    config = RandomSplitsConfig()
    assert (config.sizes, config.trials) == (RANDOM_SPLIT_SIZES, RANDOM_SPLIT_TRIALS)


def test_the_summary_of_made_up_splits_is_what_one_computes_by_hand() -> None:
    splits = {
        str(n): {"instances": 100.0 * n, "a_count": 20 + n % 2, "relative_gain": gain}
        for n, gain in enumerate((1.0, 2.0, 40.0, 5.0, 8.0))
    }
    splits["none"] = {"instances": 200.0, "a_count": 20, "relative_gain": math.nan}
    found = summary(splits)
    assert found["relative_gain"] == pytest.approx(56 / 5)
    assert found["median_instances"] == 200
    assert found["few-instances"]["relative_gain"] == pytest.approx(1.5)
    assert found["many-instances"]["relative_gain"] == pytest.approx(6.5)
    assert found["many-instances"]["instances"] == 350
    assert found["few-instances"]["split_count"] == found["many-instances"]["split_count"] == 2
    assert found["rank"]["instances"]["rho"] == pytest.approx(0.7)
    nothing = summary({"none": splits["none"]})
    assert math.isnan(nothing["relative_gain"]) and nothing["instances"] == 200
    assert relative_gain(12.0, 10.0) == pytest.approx(20) and math.isnan(relative_gain(3.0, 0.0))


def test_perfect_masks_of_b_score_100_and_a_is_not_judged() -> None:
    data = WorldDataset(WorldSpec(4), seed=1, count=30)
    truth = data.ground_truth()
    split = make_split("s", [0, 1], 4)
    own = [r for r in perfect_results(truth) if r["category_id"] in (3, 4)]
    found = {
        "s-transfer": [SmallResult.of(result) for result in own],
        "s-class-agnostic": [
            SmallResult.of(result) for result in own if result["category_id"] == 3
        ],
    }
    whole = judge_splits(truth, truth, found, {"s": split})
    metrics = whole["splits"]["s"]
    assert metrics["transfer"]["AP"] == pytest.approx(100)
    assert metrics["class-agnostic"]["AP"] == pytest.approx(50)
    assert metrics["relative_gain"] == pytest.approx(100)
    assert list(metrics["transfer"]["per_category"]) == [c.name for c in data.categories[2:]]
    counts = [sum(a["category_id"] == c for a in truth["annotations"]) for c in (1, 2, 3, 4)]
    assert instances_by_category(truth) == whole["category_instances"] == counts
    assert metrics["instances"] == pytest.approx((counts[0] + counts[1]) / 2)
    crowd = {**truth, "annotations": [{**truth["annotations"][0], "iscrowd": 1}]}
    assert instances_by_category(crowd) == [0, 0, 0, 0]


def test_a_run_learns_all_heads_and_shows_its_halves(tmp_path: Path) -> None:
    (tmp_path / "book").mkdir()
    file = tmp_path / "book" / "study.yml"
    file.write_text(STUDY, encoding="utf-8")
    study = load_study(file)
    done = execute(
        "splits", "all", 0, "smoke", tmp_path / "results", study=study, device="cpu",
        progress=False,
    )  # fmt: skip
    metrics = json.loads((done.folder / "metrics.json").read_text(encoding="utf-8"))
    names = [f"random-{size}-trial-{trial}" for trial in (1, 2) for size in (2, 4)]
    assert list(metrics["splits"]) == names
    for name, own in metrics["splits"].items():
        assert own["a_count"] == int(name.split("-")[1])
        assert len(own["transfer"]["per_category"]) == 6 - own["a_count"]
        assert own["instances"] > 0
    history = (done.folder / "history.csv").read_text(encoding="utf-8").splitlines()
    assert sum("loss_mask." in column for column in history[0].split(",")) == 8
    store = RunStore(tmp_path / "results")
    assert store.weights(RunKey("smoke", "splits", "all", 0)) is not None
    table = Results(study, store, "smoke").table("splits")
    assert table.cell("all", "instances").values == (metrics["instances"],)
    few = metrics["few-instances"]["instances"]
    assert table.cell("few", "instances").values == (few,) and few < metrics["instances"]
