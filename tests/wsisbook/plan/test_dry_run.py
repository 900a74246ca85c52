"""Dry runs: the row's own experiment, small, without a trace; and what stands in for the data."""

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from wsisbook import cli
from wsisbook.experiments.embedding import word_vectors
from wsisbook.experiments.settings import MASK_RCNN
from wsisbook.plan.costs import room
from wsisbook.plan.dry_run import DryRunOptions, dry_runs, small_settings
from wsisbook.plan.dry_run_data import (
    COCO_IDS,
    write_coco,
    write_genome,
    write_miniatures,
    write_word_vectors,
)
from wsisbook.plan.dry_run_model import write_weights
from wsisbook.runs.declared import RunKey, Study
from wsisbook.runs.resolve import Run, resolve
from wsisbook.runs.spec import load_study
from wsislib.cli import DONE, WRONG_USE
from wsislib.data.photographs.coco import CocoDataset
from wsislib.data.photographs.validate import check_coco
from wsislib.data.visual_genome.classes import COCO_NAMES
from wsislib.data.visual_genome.dataset import VisualGenome, read_coco_ids

ROOT = Path(__file__).resolve().parents[3]
COMMITTED = load_study(ROOT / "book" / "study.yml")

STUDY = """
experiments:
  mask_heads: wsisbook.experiments.settings:MASK_HEADS
  mask_rcnn: wsisbook.experiments.settings:MASK_RCNN
scales: {paper: {seeds: [0]}, lab: {seeds: [0, 1]}}
tables:
  detectors:
    title: Detectors
    experiment: mask_rcnn
    columns: {AP: {metric: bbox.all.AP, title: AP}}
    settings: {stage: detector, masks: none, steps: 90000, checkpoint_every: 2000, workers: 4}
    scales:
      lab: {categories: 6, a_count: 3}
      paper: &paper
        data: coco
        train_annotations: coco/annotations/instances_train2017.json
        train_images: coco/train2017
        val_annotations: coco/annotations/instances_val2017.json
        val_images: coco/val2017
        split: voc
        builder: mask_rcnn_r50_fpn
    rows: {shared: {}}
  heads:
    title: Heads
    experiment: mask_heads
    columns: {AP: {metric: two.segm.B.AP, title: AP}}
    settings:
      steps: 90000
      heads: {one: {}, two: {kind: transfer, mlp_layers: 1}}
    scales: {lab: {categories: 6, a_count: 3}}
    rows:
      all: {needs: {detector: {table: detectors, row: shared}}}
"""


@pytest.fixture
def study(study_root: Path) -> Study:
    (study_root / "book" / "study.yml").write_text(STUDY)
    return load_study()


def everything_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_row_and_what_it_needs_leave_no_trace(
    study: Study, study_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSIS_DATA", "my/own")
    monkeypatch.delenv("TORCH_HOME", raising=False)
    before = everything_in(study_root)
    seen: dict[str, torch.nn.Module] = {}

    def watch(run: Run, model: torch.nn.Module) -> None:
        seen[run.key.table] = model
        assert os.environ["WSIS_DATA"].startswith(str(study_root / "build" / "dry-run"))

    options = DryRunOptions(images=2, steps=2, side=64, device="cpu")
    done = list(dry_runs(study, [RunKey("lab", "heads", "all", 1)], options, False, watch))
    assert [str(one.key) for one in done] == ["detectors/shared/seed-1", "heads/all/seed-1"]
    detector, heads = done
    assert heads.parameters > detector.parameters and heads.images == 2
    assert detector.masks > 0 and heads.masks == 2 * detector.masks  # the same regions, two heads
    assert heads.step_seconds > 0 and heads.peak_memory_mib > 100
    assert "heads/all/seed-1: " in heads.text() and "a step of 2 image(s): " in heads.text()
    # Room as `wsis plan` computes it, to the bytes of the files' headers.
    model = seen["heads"]
    values = sum(tensor.numel() for tensor in model.state_dict().values())
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    expected = room(values, trained, "sgd", 0.9)
    for name in ("checkpoint_bytes", "weights_bytes"):
        assert getattr(heads, name) == pytest.approx(expected[name], rel=0.01)
    assert model.transform.min_size == (64,) and model.detector_frozen
    assert everything_in(study_root) - before == {"build", "build/dry-run"}
    assert os.environ["WSIS_DATA"] == "my/own" and "TORCH_HOME" not in os.environ


def test_full_size_on_photographs_in_cocos_format(
    study: Study, study_root: Path, capsys: pytest.CaptureFixture
) -> None:
    words = ["dry-run", "detectors", "shared", "--side", "64", "--device", "cpu", "--no-progress"]
    assert cli.main(words) == DONE
    said = capsys.readouterr().out
    assert said.startswith("detectors/shared/seed-0: 44.3 M parameters, a step of 1 image(s): ")
    assert "masks judged, weights 178 MB, a checkpoint 354 MB, peak memory " in said
    assert not (study_root / "results").exists()


@pytest.mark.parametrize("table", ["photo-detectors", "photo-detectors-80"])
def test_rows_of_photographs_on_a_backbone_from_a_package(table: str, study_root: Path) -> None:
    study = replace(COMMITTED, file=study_root / "book" / "study.yml")  # works in that folder
    options = DryRunOptions(side=64, device="cpu")
    (done,) = dry_runs(study, [RunKey("photo", table, "shared", 0)], options, False)
    assert done.parameters > 5e6 and done.masks > 0


class _Built(Exception):
    """Enough was seen."""


def test_the_largest_model_has_the_papers_rows_and_its_backbone_stands_in(
    study_root: Path, capsys: pytest.CaptureFixture
) -> None:
    """R-101 over 3,001 categories of Visual Genome, as the committed row builds it."""
    here = replace(COMMITTED, file=study_root / "book" / "study.yml")

    def watch(run: Run, model: torch.nn.Module) -> None:
        rows = model.roi.box_predictor
        assert rows.cls_score.out_features == 3002 and rows.bbox_pred.out_features == 12008
        body = model.backbone.body
        assert len(body["layer3"]) == 23
        assert torch.all(body["layer3"][5].bn3.weight == 0.1)  # from the stand-in's file
        assert type(body["bn1"]).__name__ == "FrozenBatchNorm2d"
        assert not body["conv1"].weight.requires_grad
        assert model.transform.min_size == (800,) and model.transform.max_size == 1333
        raise _Built

    key = RunKey("paper", "genome-detectors", "r101", 0)
    with pytest.raises(_Built):
        list(dry_runs(here, [key], DryRunOptions(device="cpu"), False, watch))
    assert everything_in(study_root / "build") == {"dry-run"}


@pytest.mark.slow
def test_two_processes_train_as_one(study: Study, study_root: Path) -> None:
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python"]
    words = ["dry-run", "heads", "all", "--scale", "lab", "--steps", "2", "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, *launch, sys.executable, "-m", "wsisbook.cli", *words],
        capture_output=True, text=True, timeout=280, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 2  # one process speaks
    assert lines[0].startswith("detectors/shared/seed-0: ")
    assert "a step of 2 image(s), 2 processes: " in lines[1]
    assert everything_in(study_root / "build") == {"dry-run"}


def test_what_is_learnt_and_built_stays_as_the_row_has_it() -> None:
    run = resolve(COMMITTED, RunKey("paper", "maskx-end-to-end", "maskx", 0))
    options = DryRunOptions(images=2, steps=3)
    small = small_settings(run.experiment, run.config, options, processes=4)
    changed = {n for n, v in vars(small).items() if v != getattr(run.config, n)}
    assert (small.steps, small.batch_size, small.workers) == (3, 8, 0)
    assert changed == {
        "steps", "batch_size", "checkpoint_every", "log_every", "workers", "train_count",
        "val_count",
    }  # fmt: skip
    idle = replace(run.config, steps=0)
    assert small_settings(run.experiment, idle, DryRunOptions(), 1).steps == 0


def test_the_miniature_of_coco_is_sound(tmp_path: Path) -> None:
    write_coco(tmp_path / "a" / "train.json", tmp_path / "images", 3, seed=1)
    report = check_coco(tmp_path / "a" / "train.json", tmp_path / "images")
    assert report.may_train and not report.problems, report.text()
    data = CocoDataset(tmp_path / "a" / "train.json", tmp_path / "images")
    assert tuple(c.name for c in data.categories) == COCO_NAMES and len(COCO_IDS) == 80
    assert (COCO_IDS[0], COCO_IDS[11], COCO_IDS[-1]) == (1, 13, 90)
    sample = data[0]
    height, width = sample.image.shape[1:]
    assert round(width * 800 / height) == 1333  # the largest that there can be at full size
    assert bool(sample.label.has_mask.all()) and len(sample.label.categories.unique()) == 8


def test_the_miniature_of_visual_genome_has_one_rare_synset(tmp_path: Path) -> None:
    """FACTS of the authors' code: 3,000 synsets and one of COCO's beside them; 3,001 in all."""
    write_coco(tmp_path / "val.json", tmp_path / "unused", 1, seed=0)
    write_genome(tmp_path / "vg", images=3, coco_val_ids=[1], listed=3000, tests=20)
    genome = VisualGenome(tmp_path / "vg", read_coco_ids(tmp_path / "val.json"), test_count=20)
    assert len(genome.categories) == 3001 and genome.coco_count == 80
    assert {name: len(part) for name, part in genome.parts.items()} == {
        "train": 3, "val": 1, "test": 20,
    }  # fmt: skip
    assert genome.dropped["rarer synset"] == 0
    for part in ("train", "val"):
        for sample in (dataset := genome.dataset(part)):
            assert len(sample.label.categories) == 8
        assert len(dataset.fingerprint()) == 64
    with pytest.raises(ValueError, match="80 synsets or more and a test part"):
        write_genome(tmp_path / "small", images=1, coco_val_ids=[], listed=79, tests=1)


def test_word_vectors_are_those_of_cocos_names(tmp_path: Path) -> None:
    write_word_vectors(tmp_path / "glove.txt")
    vectors = word_vectors(tmp_path / "glove.txt", COCO_NAMES)
    assert vectors.shape == (80, 300) and math.isclose(float(vectors.std()), 1.0, rel_tol=0.2)


def test_backbones_that_are_not_published_need_no_stand_in(tmp_path: Path) -> None:
    config = resolve(COMMITTED, RunKey("lab", "detectors", "shared", 0)).config
    write_weights(config, tmp_path)
    assert everything_in(tmp_path) == set()


def test_a_file_without_miniature_is_named(tmp_path: Path) -> None:
    kind = replace(MASK_RCNN, files=lambda config: ("sounds.wav",))
    with pytest.raises(ValueError, match="cannot make a miniature of the data file 'sounds.wav'"):
        write_miniatures(kind, kind.config(), tmp_path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("stage-one", "detector", "--side", "64"), "dry run of stage-one/detector/seed-0: the"),
        (("stage-one", "detector", "--images", "0"), "--images is 0; it must be 1 or more"),
        (("stage-one", "detector", "--side", "9"), "--side is 9; it must be 32 or more"),
        (("stage-one", "detectr"), "table 'stage-one' has no row 'detectr'; did you mean"),
    ],
)
def test_wrong_use_is_one_line(
    study_root: Path, words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture
) -> None:
    assert cli.main(["dry-run", *words, "--scale", "lab", "--device", "cpu"]) == WRONG_USE
    error = capsys.readouterr().err
    assert error.startswith(f"wsis: error: {message}") and error.count("\n") == 1
    assert not list((study_root / "build").glob("dry-run/*"))


def test_an_experiment_that_shows_no_model_is_tried_at_its_own_size(
    study_root: Path, capsys: pytest.CaptureFixture
) -> None:
    words = ["dry-run", "tiny", "--scale", "lab", "--device", "cpu"]
    assert cli.main(words) == DONE
    rows = [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert rows == [
        "tiny/low/seed-0", "stage-one/detector/seed-0", "tiny/high/seed-0",
        "tiny/high-3/seed-0", "tiny/high-4/seed-0",
    ]  # fmt: skip
