"""One run and its record: done once, staleness with its reason, faults that leave no half files."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import wsisbook.runs.parts as parts
import wsisbook.runs.resolve as resolving
from wsisbook.runs.declared import RunKey
from wsisbook.runs.resolve import resolve
from wsisbook.runs.run import execute
from wsisbook.runs.spec import load_study
from wsisbook.runs.state import RunState, run_state
from wsisbook.runs.store import RunBusyError, RunStore, open_store

FILES = {
    "params.json", "metrics.json", "environment.json", "examples.json", "history.csv",
    "status.json",
}  # fmt: skip
LOW = ("tiny", "low", 0, "lab")


def state(table: str, row: str, seed: int = 0, scale: str = "lab") -> RunState:
    study = load_study()
    return run_state(study, open_store(scale, study.root), RunKey(scale, table, row, seed))


def test_a_run_writes_its_whole_record_once(study_root: Path, executions: Callable) -> None:
    first = execute(*LOW)
    assert first.outcome == "done"
    assert first.folder == study_root / "results/runs/tiny/low/seed-0"
    assert {file.name for file in first.folder.iterdir()} >= FILES
    assert not list(first.folder.rglob("*.tmp"))
    assert execute(*LOW).outcome == "already done"
    assert executions() == ["10.0 0"]
    assert state("tiny", "low").state == "done"
    assert execute(*LOW, force=True).outcome == "done"
    assert executions() == ["10.0 0"] * 2


def test_the_record_says_where_the_number_comes_from(study_root: Path) -> None:
    folder = execute(*LOW).folder
    facts = json.loads((folder / "environment.json").read_text())
    assert facts["commit"] is None and facts["dirty"] is None  # no repository here
    assert facts["parts"] == {"engine": 1, "evaluation": 1} | facts["parts"]
    assert facts["versions"]["torch"] and facts["device"] == "cpu: fake"
    assert facts["machine"]["cores"] >= 1 and facts["seconds"] >= 0
    assert facts["data"] == {"train": "feed" * 16} and facts["peak_memory_mib"] > 0
    text = "".join((folder / name).read_text() for name in FILES)
    assert str(study_root) not in text and os.uname().nodename not in json.dumps(facts)
    params = json.loads((folder / "params.json").read_text())
    assert params["hash"] == resolve(load_study(), RunKey("lab", *LOW[:3])).params_hash


def test_needed_runs_are_done_first_and_shared(study_root: Path, executions: Callable) -> None:
    execute("tiny", "high", 1, "lab")
    assert executions() == ["5.0 1", "20.0 1"]
    execute("stage-one", "detector", 1, "lab")
    assert len(executions()) == 2
    facts = json.loads((study_root / "results/runs/tiny/high/seed-1/environment.json").read_text())
    assert facts["needs"]["detector"]["run"] == "stage-one/detector/seed-1"
    assert len(facts["needs"]["detector"]["weights"]["final.safetensors"]) == 64


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_a_needed_run_without_its_weights_is_done_again(
    study_root: Path, executions: Callable, damage: str
) -> None:
    execute("stage-one", "detector", 0, "lab")
    weights = study_root / "results/runs/stage-one/detector/seed-0/checkpoints"
    if damage == "gone":
        shutil.rmtree(weights)
    else:
        (weights / "final.safetensors").write_bytes(b"other")
    assert execute("stage-one", "detector", 0, "lab").outcome == "already done"
    execute("tiny", "high", 0, "lab")
    assert executions() == ["5.0 0", "5.0 0", "20.0 0"]


def test_a_changed_parameter_makes_a_run_stale_and_says_which(
    study_root: Path, change_study: Callable
) -> None:
    execute(*LOW)
    execute("tiny", "high", 0, "lab")
    change_study("lab: {steps: 10}", "lab: {steps: 12}")
    assert state("tiny", "low") == RunState("stale", ("steps: 10 -> 12",), True)
    assert state("stage-one", "detector").state == "done"
    change_study("{value: 5.0}", "{value: 6.0}")
    assert "needs detector: the parameters of" in state("tiny", "high").why
    assert execute(*LOW).outcome == "done"
    assert state("tiny", "low").state == "done"


def test_a_setting_added_later_leaves_runs_and_what_needs_them_valid(
    study_root: Path, monkeypatch: pytest.MonkeyPatch, change_study: Callable
) -> None:
    execute("tiny", "high", 0, "lab")
    monkeypatch.setattr(resolving, "identity", lambda settings: {**settings, "added": 0})
    assert state("tiny", "high").state == "done", "only the way of hashing is another"
    change_study("{value: 5.0}", "{value: 6.0}")
    assert "needs detector: the parameters of" in state("tiny", "high").why


def test_a_setting_added_between_a_run_and_its_need_leaves_both_valid(
    study_root: Path, monkeypatch: pytest.MonkeyPatch, change_study: Callable
) -> None:
    execute("stage-one", "detector", 0, "lab")
    monkeypatch.setattr(resolving, "identity", lambda settings: {**settings, "added": 0})
    execute("tiny", "high", 0, "lab")
    assert state("tiny", "high").state == "done", "it used the very weights that are there"
    monkeypatch.undo()
    monkeypatch.chdir(study_root)
    change_study("{value: 5.0}", "{value: 6.0}")
    assert "needs detector: the parameters of" in state("tiny", "high").why


def test_a_raised_part_version_makes_runs_stale_and_says_which(
    study_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(*LOW)
    monkeypatch.setattr(parts, "PART_VERSIONS", {**parts.PART_VERSIONS, "world": 9})
    assert state("tiny", "low").state == "done", "it does not use that part"
    monkeypatch.setattr(parts, "PART_VERSIONS", {**parts.PART_VERSIONS, "engine": 2})
    assert state("tiny", "low") == RunState("stale", ("part engine: 1 -> 2",), True)


def test_settings_of_execution_alone_leave_a_run_valid(
    study_root: Path, change_study: Callable
) -> None:
    execute(*LOW)
    change_study("settings: {batch_size: 4}", "settings: {batch_size: 4, workers: 3}")
    assert state("tiny", "low").state == "done"


def test_a_number_changed_by_hand_is_seen(study_root: Path) -> None:
    folder = execute(*LOW).folder
    file = folder / "metrics.json"
    file.write_text(file.read_text().replace("10.0", "99.0"))
    assert state("tiny", "low").state == "damaged"
    assert "metrics.json is not the file that the run wrote" in state("tiny", "low").why
    file.unlink()
    assert "metrics.json is missing" in state("tiny", "low").why


def test_a_corrupt_status_is_said_and_mended_by_a_run(study_root: Path) -> None:
    folder = execute(*LOW).folder
    (folder / "status.json").write_text("{")
    assert state("tiny", "low").state == "damaged"
    assert "status.json: not valid JSON" in state("tiny", "low").why
    assert execute(*LOW).outcome == "done"
    assert state("tiny", "low").state == "done"


def test_only_the_first_of_several_processes_keeps_the_record(
    study_root: Path, executions: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    folder = execute(*LOW).folder
    assert executions() == ["10.0 0"] and not (folder / "status.json").exists()
    monkeypatch.setenv("RANK", "0")
    execute(*LOW)
    assert state("tiny", "low").state == "done"


def test_a_failed_rerun_keeps_the_good_result(study_root: Path, change_study: Callable) -> None:
    folder = execute(*LOW).folder
    before = (folder / "metrics.json").read_bytes()
    change_study("{value: 10.0}", "{value: 10.0, fail: true}")
    with pytest.raises(ValueError, match="told to fail"):
        execute(*LOW)
    now = state("tiny", "low")
    assert now.state == "failed" and "told to fail" in now.why and now.has_result
    assert (folder / "metrics.json").read_bytes() == before
    change_study(", fail: true", "")
    assert execute(*LOW).outcome == "done"


def test_missing_then_failed(study_root: Path, change_study: Callable) -> None:
    assert state("tiny", "low") == RunState("missing")
    change_study("{value: 10.0}", "{value: 10.0, fail: true}")
    with pytest.raises(ValueError, match="told to fail"):
        execute(*LOW)
    assert state("tiny", "low").state == "failed" and not state("tiny", "low").has_result


def test_a_results_folder_that_cannot_be_written(
    study_root: Path, executions: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    (study_root / "results").write_text("a file where the folder should be")
    with pytest.raises(OSError, match=r"cannot write to the results folder .*WSIS_RESULTS"):
        execute(*LOW)
    assert executions() == []
    monkeypatch.setenv("WSIS_RESULTS", str(study_root / "elsewhere"))
    assert execute(*LOW).folder == study_root / "elsewhere/runs/tiny/low/seed-0"


def test_two_processes_asked_for_one_run(
    study_root: Path,
    wsis: list[str],
    change_study: Callable,
    executions: Callable,
    wait_for: Callable,
) -> None:
    change_study("{value: 10.0}", "{value: 10.0, gate: open-the-gate}")
    words = [*wsis, "run", "tiny", "low", "--no-progress", "--wait", "0"]
    first = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    wait_for(lambda: executions() == ["10.0 0"])
    assert state("tiny", "low").state == "running"
    second = subprocess.run(words, capture_output=True, text=True)
    assert second.returncode == 75
    assert "another process is doing the run tiny/low/seed-0" in second.stderr
    (study_root / "open-the-gate").touch()
    assert first.wait(30) == 0
    third = subprocess.run(words, capture_output=True, text=True)
    assert third.returncode == 0 and "already done" in third.stdout
    assert executions() == ["10.0 0"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_killed_in_the_middle_goes_on(
    study_root: Path,
    wsis: list[str],
    change_study: Callable,
    executions: Callable,
    wait_for: Callable,
    number: signal.Signals,
) -> None:
    change_study("{value: 10.0}", "{value: 10.0, gate: open-the-gate}")
    process = subprocess.Popen([*wsis, "run", "tiny", "low"], stderr=subprocess.PIPE, text=True)
    wait_for(lambda: executions() == ["10.0 0"])
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == (-9 if number == signal.SIGKILL else 130)
    assert state("tiny", "low").state == "interrupted"
    (study_root / "open-the-gate").touch()
    folder = execute(*LOW).folder
    facts = json.loads((folder / "environment.json").read_text())
    assert facts["notes"]["resumed"] is True and facts["attempts"] == 2
    assert not list((folder / "checkpoints").glob("work-*"))


def test_the_lock_is_free_again_after_an_error(study_root: Path) -> None:
    store, key = open_store("lab"), RunKey("lab", *LOW[:3])
    with pytest.raises(RuntimeError, match="inside"), store.lock(key):
        assert store.is_locked(key)
        with pytest.raises(RunBusyError), RunStore(store.root).lock(key, wait=0):
            pass
        raise RuntimeError("inside")
    assert not store.is_locked(key)
