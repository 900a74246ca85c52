"""Runs that a notebook starts: missing ones, and rows with changed settings."""

from collections.abc import Callable
from pathlib import Path

import pytest

from wsisbook.reading import open_study
from wsisbook.runs.changed_row import read_row_change, with_changed_row
from wsisbook.runs.declared import RunKey
from wsisbook.runs.resolve import resolve
from wsisbook.runs.run import execute
from wsisbook.runs.spec import load_study


def test_a_change_is_a_row_and_its_settings_as_yaml() -> None:
    change = read_row_change("boxes prompt_weight:0 steps:400 'jitter_range:[0.6, 1.4]' flip:true")
    assert change.row == "boxes"
    assert change.settings == {
        "prompt_weight": 0, "steps": 400, "jitter_range": [0.6, 1.4], "flip": True,
    }  # fmt: skip


@pytest.mark.parametrize("text", ["boxes", "steps:3", "boxes steps", "boxes a=1 a=2", "boxes 'a=1"])
def test_what_is_no_change_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="such as 'boxes prompt_weight:0 steps:400'"):
        read_row_change(text)


def test_a_changed_row_wins_over_its_scale_and_has_a_key_of_its_own(study_root: Path) -> None:
    study = load_study()
    changed, name = with_changed_row(study, "lab", "tiny", read_row_change("low value:3 steps:7"))
    run = resolve(changed, RunKey("lab", "tiny", name, 0))
    assert (run.config.steps, run.settings["value"], run.config.batch_size) == (7, 3.0, 4)
    assert name.startswith("low-") and name not in study.table("tiny").rows
    again = with_changed_row(study, "lab", "tiny", read_row_change("low value:4 steps:7"))[1]
    assert again != name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lwo value:3", "did you mean 'low'"),
        ("low valeu:3", "did you mean 'value'"),
        ("low value:many", "valid number"),
        ("shown value:3", "change that row of that table instead"),
    ],
)
def test_a_change_that_cannot_be_is_refused_before_anything_runs(
    study_root: Path, executions: Callable, text: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        open_study().changed_row("tiny", text)
    assert executions() == []


def test_a_changed_row_stands_beside_the_declared_one_and_outside_the_results(
    study_root: Path, executions: Callable, capsys: pytest.CaptureFixture
) -> None:
    for seed in (0, 1):
        execute("tiny", "low", seed, "lab")
    study = open_study()
    shown = study.changed_row("tiny", "low value:3", seed=1)
    assert shown is not None
    assert shown.frame()["AP on B"].tolist()[1:] == ["10.1", "3.1 (1 seed)"]
    assert "1 run to do" in capsys.readouterr().out
    assert "not part of the book" in shown._repr_html_()
    assert (study_root / "build/changed/lab/runs/tiny").is_dir()
    assert sorted(p.name for p in (study_root / "results/runs/tiny").iterdir()) == ["low"]
    before = len(executions())
    study.changed_row("tiny", "low value:3", seed=1)
    assert len(executions()) == before, "a run that was done is done again"
    assert study.changed_row("tiny", "") is None


def test_needed_runs_are_taken_from_the_results_where_their_weights_are(
    study_root: Path, executions: Callable
) -> None:
    execute("stage-one", "detector", 0, "lab")
    open_study().changed_row("tiny", "high value:3")
    assert [line.split()[0] for line in executions()] == ["5.0", "3.0"]


def test_missing_runs_are_done_at_smoke_scale_and_elsewhere_when_asked(
    study_root: Path, executions: Callable, capsys: pytest.CaptureFixture
) -> None:
    lab = open_study()
    lab.train_missing("tiny")
    assert executions() == [] and lab.table("tiny").cell("low", "AP_B").state == "not run"
    smoke = open_study("smoke")
    smoke.train_missing("tiny")
    assert smoke.table("tiny").cell("low", "AP_B").state == "done"
    assert capsys.readouterr().out == ""
    lab.train_missing("tiny", asked=True)
    assert lab.table("tiny").cell("low", "AP_B").state == "done"
    assert "run(s) to do" in capsys.readouterr().out


def test_building_the_book_starts_no_run(
    study_root: Path, executions: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSIS_BUILDING", "1")
    study = open_study("smoke")
    study.train_missing("tiny", asked=True)
    shown = study.changed_row("tiny", "low value:3")
    assert shown is not None and shown.frame()["AP on B"].tolist()[-1] == "not run"
    assert "Building the book starts no run" in shown._repr_html_()
    assert executions() == []
