"""Heads object by object: drawn by the weights of other runs, as those drew."""

from pathlib import Path

import pytest

from wsisbook.experiments.head_objects import (
    Case,
    FirstScenes,
    Pair,
    cases_of,
    object_metrics,
    of_categories,
)
from wsisbook.experiments.settings import HEAD_OBJECTS, HeadObjectsConfig
from wsisbook.runs.config import config_from
from wsisbook.runs.digest import file_digest
from wsisbook.runs.run import execute
from wsisbook.runs.spec import load_study
from wsislib.atomic import read_json
from wsislib.data.world import WorldDataset, WorldSpec
from wsislib.engine.evaluate import coco_ap
from wsislib.labels.splits import world_split

STUDY = """
experiments:
  head_objects: wsisbook.experiments.settings:HEAD_OBJECTS
  mask_heads: wsisbook.experiments.settings:MASK_HEADS
  mask_rcnn: wsisbook.experiments.settings:MASK_RCNN
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
        categories: 4
        a_count: 2
        train_count: 8
        val_count: 5
        steps: 3
        batch_size: 4
        optimiser: adamw
        learning_rate: 0.001
        precision: float32
        log_every: 1
    rows:
      shared: {title: detector}
  heads:
    title: Heads
    experiment: mask_heads
    columns: {AP: {metric: agnostic.segm.B.AP, title: AP}}
    scales: {smoke: *smoke}
    rows:
      few:
        needs: {detector: {table: detectors, row: shared}}
        change: {heads: {agnostic: {}, clsbox: {kind: transfer}}}
      marks:
        needs: {detector: {table: detectors, row: shared}}
        change: {heads: {oracle: {kind: class-specific, masks: all}, more: {}}}
  objects:
    title: Objects
    experiment: head_objects
    columns: {IoU: {metric: agnostic.B.IoU, title: IoU}}
    scales: {smoke: {scenes: 4, min_score: 0.0}}
    rows:
      few:
        needs: {heads: {table: heads, row: few}, marks: {table: heads, row: marks}}
        change: {heads: {agnostic: heads, clsbox: heads, oracle: marks}}
      wrong:
        needs: {heads: {table: heads, row: few}}
        change: {heads: {agnstic: heads}}
      nowhere:
        needs: {heads: {table: heads, row: few}}
        change: {heads: {oracle: marks}}
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study whose runs are made once for all tests here."""
    folder = tmp_path_factory.mktemp("objects")
    (folder / "book").mkdir()
    (folder / "book" / "study.yml").write_text(STUDY, encoding="utf-8")
    return folder


def run(root: Path, table: str, row: str) -> Path:
    """The folder of a finished run."""
    study = load_study(root / "book" / "study.yml")
    done = execute(table, row, 0, "smoke", root / "results", study=study, device="cpu",
                   progress=False)  # fmt: skip
    return done.folder


def val() -> WorldDataset:
    return WorldDataset(WorldSpec(categories=4), seed=2, count=5)


def test_heads_draw_what_they_drew_in_their_own_run(root: Path) -> None:
    """AP over the kept detections of every scene is the one that the heads' run was given."""
    study = root / "book" / "study.yml"
    study.write_text(STUDY.replace("scenes: 4", "scenes: 5"), encoding="utf-8")
    folder = run(root, "objects", "few")
    examples = read_json(folder / "examples.json")
    truth = val().ground_truth()
    for head, row in (("agnostic", "few"), ("clsbox", "few"), ("oracle", "marks")):
        own = [one for one in examples if one["head"] == head]
        assert len(own) > 5, "a detector of three steps still finds something"
        judged = read_json(run(root, "heads", row) / "metrics.json")[head]["segm"]["all"]
        again = coco_ap(truth, own)
        assert pytest.approx(judged["AP"], abs=1e-6) == again.AP
        assert pytest.approx(judged["AR100"], abs=1e-6) == again.AR100
    study.write_text(STUDY, encoding="utf-8")


def test_numbers_are_those_of_the_objects_of_b(root: Path) -> None:
    folder = run(root, "objects", "few")
    metrics, examples = read_json(folder / "metrics.json"), read_json(folder / "examples.json")
    assert {one["image_id"] for one in examples} <= {1, 2, 3, 4}
    found = {
        head: [one for one in examples if one["head"] == head]
        for head in ("agnostic", "clsbox", "oracle")
    }
    b = world_split(4, 2, 0).b
    cases = of_categories(cases_of(val(), found, 0, 4), b)
    present = sum(int(c) in b for i in range(4) for c in val()[i].label.categories)
    assert metrics["B"] == {"present": present, "found": len(cases)}
    for head in found:
        if cases:
            mean = sum(case.iou(head) for case in cases) / len(cases)
            assert metrics[head]["B"]["IoU"] == pytest.approx(100 * mean)
    before = file_digest(folder / "examples.json")
    assert file_digest(run(root, "objects", "few") / "examples.json") == before


def test_heads_that_are_not_there_are_named(root: Path) -> None:
    with pytest.raises(ValueError, match=r"no mask heads \['agnstic'\] .* agnostic, clsbox"):
        run(root, "objects", "wrong")
    with pytest.raises(ValueError, match="declare the run that trains it as `marks`"):
        run(root, "objects", "nowhere")
    with pytest.raises(ValueError, match="scenes is 0"):
        config_from(HeadObjectsConfig, {"scenes": 0}, "row")
    assert HEAD_OBJECTS.parts(HeadObjectsConfig()) == ("evaluation",)


def test_the_first_scenes_are_a_data_set() -> None:
    whole = val()
    first = FirstScenes(whole, 3)
    assert len(first) == 3 and first.image_ids == (1, 2, 3)
    assert [sample.image_id for sample in (first[i] for i in range(3))] == [1, 2, 3]
    truth = first.ground_truth()
    assert {entry["image_id"] for entry in truth["annotations"]} <= {1, 2, 3}
    assert len(truth["images"]) == 3 and first.categories == whole.categories
    assert first.fingerprint() != FirstScenes(whole, 2).fingerprint() != whole.fingerprint()
    assert len(FirstScenes(whole, 99)) == 5
    with pytest.raises(IndexError, match="scene 3 of 3"):
        first[3]


def test_a_mean_of_nothing_is_left_out() -> None:
    none = object_metrics([], [], ["agnostic"], present=7)
    assert none["agnostic"] == {"B": {}, "pairs": {}} and none["B"] == {"present": 7, "found": 0}


def test_means_are_in_percent() -> None:
    import numpy as np

    full, half = np.ones((2, 2), dtype=bool), np.array([[True, True], [False, False]])
    first = Case(0, 1, 0, 0, 0.9, (0, 0, 2, 2), full, {"head": half})
    second = Case(0, 1, 1, 1, 0.9, (0, 0, 2, 2), full, {"head": full})
    metrics = object_metrics([first, second], [Pair(first, second, 1.0)], ["head"], present=3)
    assert metrics["head"] == {"B": {"IoU": 75.0, "good": 50.0}, "pairs": {"alike": 50.0}}
    assert metrics["pairs"] == {"count": 1}
