"""Dry runs of WISH on VOC: every kind of label at full size, with a stand-in for SAM's file."""

from dataclasses import replace
from pathlib import Path

import pytest
from segment_anything import sam_model_registry

from wsisbook.experiments.wish import jitter
from wsisbook.experiments.wish_settings import WISH_EXPERIMENT, WishConfig
from wsisbook.plan.dry_run import DryRunOptions, dry_runs, small_settings
from wsisbook.plan.dry_run_data import write_voc
from wsisbook.plan.step_times import kind_of
from wsisbook.runs.config import config_from
from wsisbook.runs.declared import RunKey, Study
from wsisbook.runs.resolve import resolve
from wsisbook.runs.spec import load_study
from wsislib.data.photographs.validate import check_voc
from wsislib.data.photographs.voc import VocDataset
from wsislib.models.sam.sam_weights import CHECKPOINTS
from wsislib.models.sam.tiny_sam import tiny_sam
from wsislib.models.wish.wish import WISH

STUDY = """
experiments:
  wish: wsisbook.experiments.wish_settings:WISH_EXPERIMENT
scales: {paper: {seeds: [0]}}
tables:
  kinds:
    title: Kinds of labels
    experiment: wish
    columns: {AP: {metric: segm.all.AP, title: AP}}
    scales:
      paper: {data: voc, voc: VOC2012, builder: r50, teacher: sam_vit_b_01ec64.pth, jitter: 1024,
              optimiser: adamw, decay_norms: false, steps: 33069, workers: 8}
    rows:
      mix: {change: {labels: 1 tags + 1 boxes, lr_factors: {segmenter.backbone.: 0.1}}}
      pseudo: {change: {labels: points, method: pseudo-masks}}
"""


@pytest.fixture
def study(study_root: Path) -> Study:
    (study_root / "book" / "study.yml").write_text(STUDY)
    return load_study()


def test_a_mix_of_labels_on_voc_at_full_size(
    study: Study, study_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sam_model_registry, "vit_b", tiny_sam)  # the real one takes a minute
    before, seen = dict(CHECKPOINTS), []
    options = DryRunOptions(images=2, side=64, device="cpu")
    keys = [RunKey("paper", "kinds", row, 0) for row in ("mix", "pseudo")]
    done = list(dry_runs(study, keys, options, False, lambda run, model: seen.append(model)))
    assert [one.images for one in done] == [2, 2]
    assert all(one.step_seconds > 0 and one.parameters > 40e6 for one in done)
    wish = seen[0]
    assert isinstance(wish, WISH) and wish.cam_warmup == 0 and int(wish.steps) == 1
    assert wish.segmenter.framing.side == (64, 107)
    assert before == CHECKPOINTS
    left = {path.name for path in (study_root / "build").rglob("*")}
    assert left == {"dry-run"}


def test_settings_of_the_branches_are_tried_from_the_first_step(study: Study) -> None:
    config = resolve(study, RunKey("paper", "kinds", "mix", 0)).config
    small = small_settings(WISH_EXPERIMENT, config, DryRunOptions(side=320), 1)
    assert (small.cam_warmup, small.self_start, small.jitter) == (0, 0, 320)
    never = small_settings(
        WISH_EXPERIMENT, replace(config, self_start=-1, jitter=0), DryRunOptions(side=320), 1
    )
    assert (never.self_start, never.jitter) == (-1, 0)
    assert small_settings(WISH_EXPERIMENT, config, DryRunOptions(), 1).jitter == 1024


def test_the_files_of_a_row_name_its_teacher(study: Study) -> None:
    run = resolve(study, RunKey("paper", "kinds", "mix", 0))
    assert run.experiment.files(run.config) == ("VOC2012", "sam_vit_b_01ec64.pth")
    alone = replace(run.config, labels="masks", method="mask2former")
    assert run.experiment.files(alone) == ("VOC2012",)
    assert run.experiment.files(WishConfig()) == ()


def test_the_miniature_of_voc_is_sound(tmp_path: Path) -> None:
    write_voc(tmp_path / "VOC2012", {"trainaug": 2, "val": 1})
    for split, count in (("trainaug", 2), ("val", 1)):
        report = check_voc(tmp_path / "VOC2012", split)
        assert report.may_train and not report.problems, report.text()
        data = VocDataset(tmp_path / "VOC2012", split)
        assert len(data) == count
        assert all(len(data[i].label.categories.unique()) == 3 for i in range(count))


def test_jitter_is_the_windows_that_the_settings_name(tmp_path: Path) -> None:
    import torch

    write_voc(tmp_path, {"train": 1})
    sample = VocDataset(tmp_path, "train")[0]
    assert jitter(WishConfig()) is None
    change = jitter(WishConfig(jitter=96))
    assert change is not None
    sizes = [
        max(change(sample, torch.Generator().manual_seed(seed)).image.shape[1:])
        for seed in range(20)
    ]
    assert max(sizes) == 96 and min(sizes) < 48
    with pytest.raises(ValueError, match="jitter is -1; it is a number of pixels, or 0 for none"):
        WishConfig(jitter=-1)


@pytest.mark.parametrize(
    ("shares", "mix"),
    [
        ({"boxes": 1.0}, "2 boxes"),
        ({"tags": 0.5, "boxes": 0.5}, "1 tags + 1 boxes"),
        ({"tags": 0.4, "points": 0.3, "boxes": 0.3}, "1 tags + 1 points + 1 boxes"),
    ],
)
def test_a_budget_becomes_a_mix_of_few_images(shares, mix) -> None:
    config = config_from(
        WishConfig, {"labels": "budget", "budget": 9000.0, "shares": shares, "steps": 5}, "row"
    )
    small = small_settings(WISH_EXPERIMENT, config, DryRunOptions(), 1)
    assert (small.labels, small.budget, small.shares) == (mix, 0.0, {})
    assert small.train_count == max(2, len(shares))


def test_what_a_step_costs_under_weak_labels() -> None:
    study = load_study()
    kinds = {
        row: kind_of(resolve(study, RunKey("paper", "wish-budgets", row, 0)))
        for row in ("points", "boxes-masks", "tags-boxes")
    }
    assert kinds["points"] == kinds["boxes-masks"] != kinds["tags-boxes"]
    assert kinds["tags-boxes"]["live_teacher"] == "sam_vit_b_01ec64.pth"
    plain = kind_of(resolve(study, RunKey("paper", "wish-label-kinds", "masks", 0)))
    pseudo = kind_of(resolve(study, RunKey("paper", "wish-label-kinds", "boxes-pseudo-masks", 0)))
    assert plain == pseudo and plain["experiment"] == "mask2former"
