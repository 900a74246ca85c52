"""Many runs on Snakemake: a failing row, a killed batch, children that must not outlive it."""

import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from wsisbook.batch.batch import run_batch
from wsisbook.plan.costs import NO_TRAINING
from wsisbook.plan.plan import make_plan
from wsisbook.runs.declared import RunKey
from wsisbook.runs.run import execute
from wsisbook.runs.spec import load_study
from wsisbook.runs.state import run_state
from wsisbook.runs.store import open_store

pytest.importorskip("snakemake", reason="the batch engine is the optional extra [batch]")


def reproduce(wsis: list[str], *words: str, jobs: int = 2) -> subprocess.CompletedProcess:
    command = [*wsis, "reproduce", *words, "--yes", "-j", str(jobs)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_a_failing_row_does_not_stop_the_others(
    study_root: Path, wsis: list[str], change_study: Callable, executions: Callable
) -> None:
    change_study("lab: {seeds: [0, 1, 2]}", "lab: {seeds: [0, 1]}")
    change_study("{value: 10.0}", "{value: 10.0, fail: true}")
    first = reproduce(wsis, "tiny")
    assert first.returncode == 1
    assert "failed: tiny/low/seed-1: failed: ValueError: this row was told to fail" in first.stderr
    log = first.stderr.partition("failed: tiny/low/seed-1")[2].partition("(log: ")[2]
    assert "told to fail" in Path(log.partition(")")[0]).read_text()
    assert "6 run(s) done, 2 failed" in first.stdout
    done = Counter(executions())
    assert done == Counter(
        [*(f"{value} {seed}" for value in (5.0, 10.0, 20.0) for seed in (0, 1)), "3.0 0", "4.0 0"]
    )
    table = (study_root / "results/tables/tiny.csv").read_text()
    assert "not run" in table and "20.05" in table

    change_study(", fail: true", "")
    second = reproduce(wsis, "tiny")
    assert second.returncode == 0, second.stderr
    assert Counter(executions()) - done == Counter(["10.0 0", "10.0 1"])
    third = reproduce(wsis, "tiny")
    assert third.returncode == 0 and "nothing to do: 8 run(s) stand" in third.stdout


def test_a_killed_batch_takes_its_children_along_and_goes_on(
    study_root: Path,
    wsis: list[str],
    change_study: Callable,
    executions: Callable,
    wait_for: Callable,
) -> None:
    change_study("lab: {seeds: [0, 1, 2]}", "lab: {seeds: [0, 1]}")
    change_study("{value: 10.0}", "{value: 10.0, gate: open-the-gate}")
    command = [*wsis, "reproduce", "tiny", "--yes", "-j", "2"]
    batch = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: sum(e.startswith("10.0") for e in executions()) == 2)
    batch.kill()
    batch.wait()
    study, store = load_study(), open_store("lab")
    low = [RunKey("lab", "tiny", "low", seed) for seed in (0, 1)]
    wait_for(lambda: all(run_state(study, store, k).state == "interrupted" for k in low))
    pids = [line.split()[2] for line in (study_root / "executions.txt").read_text().splitlines()]
    wait_for(lambda: not any(is_python(int(pid)) for pid in pids))

    before = Counter(executions())
    (study_root / "open-the-gate").touch()
    assert reproduce(wsis, "tiny").returncode == 0
    again = Counter(executions()) - before
    done_before = {e for e in before if not e.startswith("10.0")}
    assert not done_before & set(again), "a finished run was done again"
    assert {"10.0 0", "10.0 1"} <= set(again)
    assert all(count == 1 for count in again.values())


def test_ctrl_c_stops_the_children_first(
    study_root: Path,
    wsis: list[str],
    change_study: Callable,
    executions: Callable,
    wait_for: Callable,
) -> None:
    change_study("{value: 5.0}", "{value: 5.0, gate: never}")
    command = [*wsis, "reproduce", "stage-one", "--scale", "smoke", "--yes"]
    batch = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: executions() == ["5.0 0"])
    batch.send_signal(signal.SIGTERM)
    batch.communicate(timeout=60)
    assert batch.returncode == 130
    pid = int((study_root / "executions.txt").read_text().split()[2])
    assert not is_python(pid)
    status = json.loads(
        (study_root / "build/smoke/runs/stage-one/detector/seed-0/status.json").read_text()
    )
    assert status["state"] == "interrupted"


def test_the_plan_says_what_it_will_cost_and_asks(
    study_root: Path, wsis: list[str], change_study: Callable
) -> None:
    execute("tiny", "low", 0, "lab")
    plan = make_plan(load_study(), open_store("lab"), "lab", ["tiny"])
    costs = {str(job.key): job.cost.source for job in plan.jobs}
    assert costs["tiny/low/seed-1"] == "this row"
    assert costs["tiny/high/seed-0"] == "step time"
    assert costs["stage-one/detector/seed-0"] == NO_TRAINING
    assert plan.standing == 1 and "; 3 without steps not counted" in plan.text(2)
    assert "stage-one/detector/seed-0  missing: no steps" in plan.text(2)
    words = [*wsis, "reproduce", "tiny"]
    asked = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert asked.returncode == 1 and "say --yes" in asked.stderr
    assert "10 run(s) to do, 1 stand already" in asked.stdout


def test_a_run_that_another_process_does_is_no_failure(
    study_root: Path, change_study: Callable
) -> None:
    study, store = load_study(), open_store("smoke")
    plan = make_plan(study, store, "smoke", ["stage-one"])
    key = plan.jobs[0].key
    with store.lock(key):
        store.write_status(key, "running")
        # The executor's name only shortens the wait for the lock here.
        batch = run_batch(
            study, store, plan, study_root / "build", executor="local", extra=["--cores", "1"]
        )
    assert batch.elsewhere == [key] and not batch.failed and not batch.done


def is_python(pid: int) -> bool:
    """Whether that process is alive (not a corpse that nobody has collected)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return not Path("/proc/self").exists()
    return state != "Z"
